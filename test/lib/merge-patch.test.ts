import { describe, expect, test } from "bun:test";
import { Decimal128, Int32, Long, ObjectId } from "mongodb";
import { mergePatch } from "../../src/lib/json/merge-patch.ts";

describe("merge patch", () => {
  // RFC 7396, appendix A, its rows of objects (a body that is none is refused before).
  test.each([
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', "{}"],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
    // The order of fields is kept, and arrays are whole.
    ['{"a":1,"b":2,"c":3}', '{"b":5,"d":6,"a":null}', '{"b":5,"c":3,"d":6}'],
    ['{"a":[1,2]}', '{"a":[null]}', '{"a":[null]}'],
  ])("%s with %s is %s", (target, patch, result) => {
    expect(JSON.stringify(mergePatch(JSON.parse(target), JSON.parse(patch)))).toBe(result);
  });

  test("a scalar of BSON is a value: it replaces, is replaced and is never merged", () => {
    for (const scalar of [new ObjectId(), new Date(), new Int32(1), Long.fromNumber(1), Decimal128.fromString("1")]) {
      expect(mergePatch({ a: { b: 1 } }, { a: scalar }).a).toBe(scalar);
      expect(mergePatch({ a: scalar }, { a: { b: 1 } })).toEqual({ a: { b: 1 } });
    }
  });

  test("neither of the two is changed", () => {
    const [target, patch] = [
      { a: { b: 1 }, c: [1] },
      { a: { d: { e: 2 } }, c: null },
    ];
    const before = JSON.stringify([target, patch]);
    expect(mergePatch(target, patch)).toEqual({ a: { b: 1, d: { e: 2 } } });
    expect(JSON.stringify([target, patch])).toBe(before);
  });

  test("a field called __proto__ is a field", () => {
    const merged = mergePatch(
      JSON.parse('{"__proto__":{"a":1}}'),
      JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
    );
    expect(JSON.stringify(merged)).toBe(
      '{"__proto__":{"a":1,"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
