import { describe, expect, test } from "bun:test";
import { hashKey, makeKeyText, readKeyId } from "../../src/operator/key-text.ts";

describe("the text of an operator's key", () => {
  test("is told by its start, holds its id and 256 random bits, and is another each time", () => {
    const made = Array.from({ length: 100 }, makeKeyText);
    for (const { id, key } of made) {
      expect(key).toMatch(/^crp_live_[0-9a-f]{8}_[0-9a-f]{72}$/);
      expect(key).toStartWith(`crp_live_${id}_`);
      expect(readKeyId(key)).toBe(id);
    }
    expect(new Set(made.map(({ key }) => key.slice(18, 82))).size).toBe(100);
    expect(new Set(made.map(({ key }) => hashKey(key))).size).toBe(100);
  });

  test("with one character changed, left out or added is none, which no database has to say", () => {
    const { key } = makeKeyText();
    for (let at = 0; at < key.length; at++) {
      const other = key[at] === "0" ? "1" : "0";
      expect(readKeyId(key.slice(0, at) + other + key.slice(at + 1))).toBeNull();
      expect(readKeyId(key.slice(0, at) + key.slice(at + 1))).toBeNull();
      expect(readKeyId(key.slice(0, at) + other + key.slice(at))).toBeNull();
    }
    for (const text of ["", "null", key.toUpperCase(), ` ${key}`, `${key}\n`, key + key])
      expect(readKeyId(text)).toBeNull();
  });

  test("is not in what is stored of it", () => {
    const { key } = makeKeyText();
    expect(hashKey(key)).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(hashKey(key)).not.toContain(key.slice(18, 40));
  });
});
