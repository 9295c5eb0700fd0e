/** The part of JSON Schema 2020-12 that the service's own description uses; anything else is reported as unknown. */
export type Schema = {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  items?: Schema;
  maxItems?: number;
  anyOf?: Schema[];
  allOf?: Schema[];
  not?: Schema;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minProperties?: number;
  minimum?: number;
  maximum?: number;
  format?: string;
  description?: string;
  example?: unknown;
  default?: unknown;
};

const annotations = new Set(["description", "example", "format", "title"]);

/** What a JSON pointer of the document's own points to; undefined when there is nothing. */
export const resolve = (document: unknown, reference: string): any =>
  reference
    .replace(/^#\//, "")
    .split("/")
    .reduce((at: any, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], document);

const typeOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;

/** Every way in which a value is not what a schema says, each with its place; empty when it is valid. */
export function checkValue(document: unknown, schema: Schema, value: any, place = ""): string[] {
  const rules: Record<string, (rule: any) => string[]> = {
    $ref: (to) => checkValue(document, resolve(document, to), value, place),
    type: (type: string | string[]) => {
      const types = [type].flat();
      const isNumber = types.includes("number") && typeof value === "number";
      return types.includes(typeOf(value)) || isNumber ? [] : [`${place} is no ${types.join()}`];
    },
    properties: (properties) =>
      Object.entries<Schema>(properties).flatMap(([name, field]) =>
        Object.hasOwn(value, name) ? checkValue(document, field, value[name], `${place}/${name}`) : [],
      ),
    required: (names: string[]) =>
      names.filter((name) => !Object.hasOwn(value, name)).map((name) => `${place}/${name} is missing`),
    additionalProperties: (allowed) =>
      Object.keys(value)
        .filter((name) => !Object.hasOwn(schema.properties ?? {}, name))
        .flatMap((name) =>
          allowed === false
            ? [`${place}/${name} is not known`]
            : checkValue(document, allowed, value[name], `${place}/${name}`),
        ),
    propertyNames: (names) => Object.keys(value).flatMap((name) => checkValue(document, names, name, `${place} name`)),
    minProperties: (least) => (Object.keys(value).length >= least ? [] : [`${place} has too few fields`]),
    items: (items) => value.flatMap((item: unknown, n: number) => checkValue(document, items, item, `${place}/${n}`)),
    maxItems: (most) => (value.length <= most ? [] : [`${place} has too many items`]),
    anyOf: (schemas: Schema[]) =>
      schemas.some((either) => checkValue(document, either, value, place).length === 0)
        ? []
        : [`${place} is none of these`],
    allOf: (schemas: Schema[]) => schemas.flatMap((each) => checkValue(document, each, value, place)),
    not: (refused: Schema) => (checkValue(document, refused, value, place).length > 0 ? [] : [`${place} is refused`]),
    enum: (values: unknown[]) => (values.includes(value) ? [] : [`${place} is not in ${values.join()}`]),
    const: (only) => (value === only ? [] : [`${place} is not ${only}`]),
    pattern: (pattern) => (new RegExp(pattern, "u").test(value) ? [] : [`${place} doesn't match`]),
    minLength: (length) => ([...value].length >= length ? [] : [`${place} is too short`]),
    maxLength: (length) => ([...value].length <= length ? [] : [`${place} is too long`]),
    minimum: (least) => (value >= least ? [] : [`${place} is too small`]),
    maximum: (most) => (value <= most ? [] : [`${place} is too large`]),
  };
  const wrongType = schema.type === undefined ? [] : rules.type!(schema.type);
  if (wrongType.length > 0) return wrongType;
  return Object.entries(schema)
    .filter(([name]) => !annotations.has(name))
    .flatMap(([name, rule]) => rules[name]?.(rule) ?? [`${place}: unknown keyword ${name}`]);
}
