/** JSON as text, where a number may be any digits: some of these have more than JavaScript has. */
type Text = string;

/** What is written for a value when one part of it, the one at `path`, is replaced by `text`. */
function write(value: unknown, path: readonly PropertyKey[], text: Text): Text {
  const [name, ...rest] = path;
  if (name === undefined) return text;
  if (Array.isArray(value)) {
    return `[${value.map((part, index) => (index === name ? write(part, rest, text) : JSON.stringify(part))).join()}]`;
  }
  const parts = Object.entries(value as object).map(
    ([each, part]) => `${JSON.stringify(each)}:${each === name ? write(part, rest, text) : JSON.stringify(part)}`,
  );
  return `{${parts.join()}}`;
}

/** The paths to all parts of a value, itself among them. */
function pathsIn(value: unknown): PropertyKey[][] {
  if (typeof value !== "object" || value === null) return [[]];
  const parts = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [[], ...parts.flatMap(([name, part]) => pathsIn(part).map((path) => [name, ...path]))];
}

const partAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<any>((part, name) => part[name], value);

/** Pieces of which text is made that matchers and normalizers find hard. */
const pieces = ["a", "0", " ", "a.", "a,", "/", "@", "%", "\u0301\u0323", "\\", "{", "$$a", '"a",'];

/** Long text that ends otherwise than it goes on, which a matcher finds out at last. */
export const longTexts = (text: string): ((length: number) => string)[] =>
  pieces.map((piece) => (length) => `${text}${piece.repeat(length / piece.length)}\u0001`);

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);
const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, index) => make(index));

/** What a part may be replaced by, of about so many characters. */
function large(part: unknown): ((length: number) => Text)[] {
  const digits = (length: number) => "1".repeat(length);
  if (typeof part === "string") return longTexts(part).map((make) => (length) => JSON.stringify(make(length)));
  if (typeof part === "number") {
    return [
      digits,
      (length) => `0.${digits(length)}`,
      (length) => `1e${digits(length)}`,
      (length) => `1e-${digits(length)}`,
    ];
  }
  if (typeof part !== "object" || part === null) return [];
  const first = JSON.stringify(Object.values(part)[0] ?? 1);
  const name = Object.keys(part)[0] ?? "a";
  const many = (length: number, names: (index: number) => string) => {
    const one = first.length + name.length + 10;
    return `{${times(Math.ceil(length / one), (index) => `${JSON.stringify(names(index))}:${first}`).join()}}`;
  };
  const elements = (length: number) => `[${times(Math.ceil(length / (first.length + 1)), () => first).join()}]`;
  const deep = (length: number) => nested(Math.ceil(length / 6), '{"a":', "}").replace(":}", ":1}");
  if (Array.isArray(part)) return [elements, (length) => nested(length / 2, "[", "]"), deep];
  return [
    (length) => many(length, (index) => `${name}${index}`),
    (length) => many(length, (index) => `${name}.${index}`),
    (length) => many(length, (index) => String(1_000_000 - index)),
    (length) => `{"${name}${"x".repeat(length)}":${first}}`,
    (length) => `{"${name}${".x".repeat(length / 2)}":${first}}`,
    elements,
    deep,
  ];
}

/** An input that grows: `make` writes one of about so many characters. */
export type Growing = { what: string; make: (length: number) => Text };

/** All that becomes of a value when one part of it, whichever or one of those at `paths`, is made large. */
export const inflations = (value: unknown, paths: readonly PropertyKey[][] = pathsIn(value)): Growing[] =>
  paths.flatMap((path) =>
    large(partAt(value, path)).map((make, index) => ({
      what: `${JSON.stringify(value)?.slice(0, 80)} /${path.join("/")} ${index}`,
      make: (length: number) => write(value, path, make(length)),
    })),
  );

/** As deep as a body may be, and then wide at each depth; no name twice. */
function deepAndWide(length: number, level: (own: string[], inner: Text) => Text): Text {
  const one = '"$f99_99",'.length;
  const depth = Math.min(90, Math.ceil(length / (36 * one)));
  const width = Math.ceil(length / (depth * one));
  const names = (at: number) => times(width, (index) => `f${at}_${index}`);
  return times(depth, (at) => at).reduce((inner, at) => level(names(at), inner), "1");
}

/** Expressions of many fields at each of many depths. */
export const deepExpressions: Growing[] = [
  { what: "an array", level: (own: string[], inner: Text) => `[${own.map((each) => `"$${each}",`).join("")}${inner}]` },
  {
    what: "an object",
    level: (own: string[], inner: Text) => `{${own.map((each) => `"${each}":"$${each}",`).join("")}"z":${inner}}`,
  },
].map(({ what, level }) => ({ what: `${what} at each depth`, make: (length) => deepAndWide(length, level) }));
