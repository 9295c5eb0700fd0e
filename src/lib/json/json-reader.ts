import type { Failure } from "../failure.ts";
import { invalid, under } from "../invalid.ts";

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

/** An array or an object of which not all has been read; the name of the part that comes next is the last of the path. */
type Open = { values: unknown[] } | { values: null; fields: Record<string, unknown>; special: boolean };
const unfinished = Symbol("unfinished");

/** Reads on, at most so many values, and says whether that was the end: then `value` is all of it. */
export type JsonReader = { read(values: number): boolean; readonly value: unknown };

/**
 * Reads JSON (RFC 8259) more strictly than JSON.parse: numbers come as the text that they were, and a name that stands
 * twice in an object, half a surrogate pair, NUL in a name and nesting beyond `depthMax` are refused. It can be read some
 * values at a time, as there may be millions.
 */
export function createJsonReader(text: string, pointer: string, make: JsonMakers): JsonReader {
  const path: (string | number)[] = [];
  const open: Open[] = [];
  let whole: unknown;
  const at = () => path.reduce<string>(under, pointer);
  const malformed = (): Failure => invalid(pointer, `is not JSON (at character ${position + 1})`, "malformed_json");
  const notText = () => invalid(at(), "contains half a surrogate pair", "invalid_text");
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

  function readName(object: Open & { values: null }): void {
    expect('"');
    const name = readText();
    path.push(name);
    if (namesRefused.has(name)) throw invalid(at(), "is not allowed as a field name", "invalid_name");
    if (name.includes("\0")) throw invalid(at(), "contains NUL in its name", "invalid_name");
    if (Object.hasOwn(object.fields, name)) throw invalid(at(), "occurs twice", "duplicate_name");
    object.special ||= name.startsWith("$");
    expect(":");
  }

  /** A value, or `unfinished` where an array or object begins that isn't empty. */
  function begin(): unknown {
    skipSpace();
    const first = text[position] ?? "";
    if ((first === "{" || first === "[") && open.length >= depthMax)
      throw invalid(at(), `is nested deeper than ${depthMax} levels`, "too_deep");
    if (take("{")) {
      const object = { values: null, fields: {}, special: false };
      if (take("}")) return make.object(object.fields, false, at);
      open.push(object);
      readName(object);
      return unfinished;
    }
    if (take("[")) {
      if (take("]")) return [];
      open.push({ values: [] });
      path.push(0);
      return unfinished;
    }
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

  /** Puts a value into what it is in: that, when it was the last one, else `unfinished`. */
  function put(into: Open, value: unknown): unknown {
    const name = path.pop()!;
    if (into.values) {
      into.values.push(value);
      if (take(",")) {
        path.push(into.values.length);
        return unfinished;
      }
      expect("]");
      open.pop();
      return into.values;
    }
    into.fields[name] = value;
    if (take(",")) {
      readName(into);
      return unfinished;
    }
    expect("}");
    open.pop();
    return make.object(into.fields, into.special, at);
  }

  if (!text.isWellFormed()) throw notText();
  return {
    read(values) {
      for (let left = values; left > 0; left--) {
        let value = begin();
        while (value !== unfinished) {
          const into = open.at(-1);
          if (into) {
            value = put(into, value);
            continue;
          }
          match(space);
          if (position < text.length) throw malformed();
          whole = value;
          return true;
        }
      }
      return false;
    },
    get value() {
      return whole;
    },
  };
}
