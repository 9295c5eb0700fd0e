import type { Failure } from "./failure.ts";
import { invalid, under } from "./invalid.ts";

/** What is made of the parts of a JSON text. `at` makes the pointer to the part; it costs nothing until it is called. */
export type JsonMakers = {
  number(text: string, at: () => string): unknown;
  /** `special`: a name in it begins with `$`. */
  object(fields: Record<string, unknown>, special: boolean, at: () => string): unknown;
};

/** Levels of nesting, the outermost object being the first. MongoDB stores 100 and a few more. */
export const depthMax = 100;

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const plainText = /[^"\\\0-\x1f]*/y;
const space = /[ \t\n\r]*/y;
const words = [
  ["true", true],
  ["false", false],
  ["null", null],
] as const;
// With these an object would not be what it looks like: to JavaScript, or to the driver.
export const namesRefused = new Set(["__proto__", "_bsontype"]);

/**
 * Reads JSON (RFC 8259) more strictly than JSON.parse: numbers come as the text that they were, and a name that stands
 * twice in an object, half a surrogate pair, NUL in a name and nesting beyond `depthMax` are refused.
 */
export function readJson(text: string, pointer: string, make: JsonMakers): unknown {
  const path: (string | number)[] = [];
  const at = () => path.reduce<string>(under, pointer);
  const malformed = (): Failure => invalid(pointer, `is not JSON (at character ${position + 1})`, "malformed_json");
  const notText = () => invalid(at(), "has half a surrogate pair in it", "invalid_text");
  let position = 0;

  const match = (pattern: RegExp): string => {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0] ?? "";
    position += found.length;
    return found;
  };
  const skipSpace = (): void => {
    // Mostly there is none, and a pattern costs more than a look.
    if (text.charCodeAt(position) <= 32) match(space);
  };
  const take = (character: string): boolean => {
    skipSpace();
    if (text[position] !== character) return false;
    position++;
    return true;
  };
  const expect = (character: string): void => {
    if (!take(character)) throw malformed();
  };

  function readText(): string {
    const start = position;
    const plain = match(plainText);
    if (text[position] === '"') {
      position++;
      return plain;
    }
    while (text[position] === "\\") {
      position += 2;
      match(plainText);
    }
    expect('"');
    let read: string;
    try {
      read = JSON.parse(text.slice(start - 1, position));
    } catch {
      throw malformed();
    }
    if (!read.isWellFormed()) throw notText();
    return read;
  }

  function readArray(): unknown[] {
    const values: unknown[] = [];
    if (take("]")) return values;
    do {
      path.push(values.length);
      values.push(readValue());
      path.pop();
    } while (take(","));
    expect("]");
    return values;
  }

  function readObject(): unknown {
    const fields: Record<string, unknown> = {};
    let special = false;
    if (take("}")) return make.object(fields, special, at);
    do {
      expect('"');
      const name = readText();
      path.push(name);
      if (namesRefused.has(name)) throw invalid(at(), "is a name that no field can have", "invalid_name");
      if (name.includes("\0")) throw invalid(at(), "has NUL in its name", "invalid_name");
      if (Object.hasOwn(fields, name)) throw invalid(at(), "is there twice", "duplicate_name");
      special ||= name.startsWith("$");
      expect(":");
      fields[name] = readValue();
      path.pop();
    } while (take(","));
    expect("}");
    return make.object(fields, special, at);
  }

  function readValue(): unknown {
    skipSpace();
    const first = text[position] ?? "";
    if ((first === "{" || first === "[") && path.length >= depthMax)
      throw invalid(at(), `is nested deeper than ${depthMax} levels`, "too_deep");
    if (take("{")) return readObject();
    if (take("[")) return readArray();
    if (take('"')) return readText();
    for (const [word, value] of words) {
      if (!text.startsWith(word, position)) continue;
      position += word.length;
      return value;
    }
    const digits = match(number);
    if (digits === "") throw malformed();
    return make.number(digits, at);
  }

  if (!text.isWellFormed()) throw notText();
  const value = readValue();
  match(space);
  if (position < text.length) throw malformed();
  return value;
}
