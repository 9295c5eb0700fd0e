import * as z from "zod";

export type Given = Record<string, string | undefined>;
export type SettingsContext = { given: Given; development: boolean };

/** The settings of a noun: what may be given, what becomes of it, and what is wrong with it beside its single values. */
export type SettingsOf<Shape extends z.ZodRawShape, Part> = {
  shape: Shape;
  read(value: z.output<z.ZodObject<Shape>>, context: SettingsContext): Part;
  /** @param value undefined when one of them is wrong by itself */
  problems?(value: z.output<z.ZodObject<Shape>> | undefined, context: SettingsContext): string[];
};
export const settingsOf = <const Shape extends z.ZodRawShape, Part>(
  settings: SettingsOf<Shape, Part>,
): SettingsOf<Shape, Part> => settings;

/**
 * A setting as `--help` and docs/configuration.md show it.
 *
 * @param fallback what holds without it, where its schema doesn't say
 */
export const setting = <Schema extends z.ZodType>(schema: Schema, meaning: string, fallback?: string): Schema =>
  schema.meta({ description: meaning, ...(fallback !== undefined && { fallback }) });

/** Of a setting that means something when it is given empty. */
export const mayBeEmpty = <Schema extends z.ZodType>(schema: Schema): Schema =>
  schema.meta({ ...schema.meta(), mayBeEmpty: true });
export const isEmptyMeant = (schema: unknown): boolean =>
  (schema as z.ZodType | undefined)?.meta()?.mayBeEmpty === true;

export type SettingRow = { name: string; fallback: string; meaning: string };

/** What there is to be said of settings; those that aren't given have no fallback at all where that is empty. */
export const rowsOf = (shape: z.ZodRawShape): SettingRow[] =>
  Object.entries(shape).map(([name, schema]) => {
    const { description = "", fallback } = (schema as z.ZodType).meta() ?? {};
    const { data } = z.safeParse(schema, undefined);
    const own = data === undefined || typeof data === "object" ? "" : String(data);
    return { name, fallback: typeof fallback === "string" ? fallback : own, meaning: description };
  });

export const wholeNumberOf = (minimum: number, maximum: number) => {
  const error = `must be a whole number from ${minimum} to ${maximum}`;
  return z.coerce.number({ error }).int(error).min(minimum, error).max(maximum, error);
};
export const wholeNumber = (fallback: number, minimum: number, maximum: number) =>
  wholeNumberOf(minimum, maximum).default(fallback);
export const oneOf = <const T extends string[]>(...values: T) =>
  z.enum(values, { error: `must be one of ${values.join(", ")}` });

export const listOf = (text: string): string[] => text.split(",").flatMap((part) => part.trim() || []);
