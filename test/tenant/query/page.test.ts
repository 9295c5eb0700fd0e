import { describe, expect, test } from "bun:test";
import { BSONRegExp, Code, type Document, Int32, Long, ObjectId } from "mongodb";
import { printExtendedJson } from "../../../src/lib/json/extended-json.ts";
import { isFailure } from "../../../src/lib/failure.ts";
import { afterInTurn, arraysOn, decodeCursor, encodeCursor, keysOf, lastKeys } from "../../../src/tenant/query/page.ts";
import { readSort } from "../../../src/tenant/query/sort.ts";
import { refusedAt } from "../../support/refused.ts";

const filter = { a: { $gt: new Int32(1) } };
const sort = readSort("a,-b.c");

describe("a cursor", () => {
  const keys = [Long.fromString("9007199254740993"), null, new ObjectId()];

  test("brings back the values that it was made of", () => {
    expect(printExtendedJson(decodeCursor(encodeCursor(sort, filter, keys), sort, filter))).toBe(
      printExtendedJson(keys),
    );
  });

  test.each([
    ["another filter", sort, { a: 1 }],
    ["another sort", readSort("a,b.c"), filter],
    ["another _id", readSort("a,-b.c,-_id"), filter],
  ])("is refused with %s", (_, otherSort, otherFilter) => {
    const cursor = encodeCursor(sort, filter, keys);
    expect(refusedAt(() => decodeCursor(cursor, otherSort, otherFilter), "invalid_cursor")).toBe("#/cursor");
  });

  const made = (change: (read: Document) => unknown) => {
    const read = JSON.parse(Buffer.from(encodeCursor(sort, filter, ["x", "y", "z"]), "base64url").toString());
    return Buffer.from(JSON.stringify(change(read))).toString("base64url");
  };
  test.each([
    ["empty", ""],
    ["no base64url", "a+b/"],
    ["no JSON", "abcd"],
    ["too long", "a".repeat(8_193)],
    ["no object", made(() => 5)],
    ["null", made(() => null)],
    ["no keys", made(({ k: _, ...rest }) => rest)],
    ["keys that are an object", made((read) => ({ ...read, k: { $where: "1" } }))],
    ["too few keys", made((read) => ({ ...read, k: ["x", "z"] }))],
    ["an array among them", made((read) => ({ ...read, k: [["x"], "y", "z"] }))],
    ["an _id that is an array", made((read) => ({ ...read, k: ["x", "y", [1]] }))],
    ["code", made((read) => ({ ...read, k: [{ $code: "f()" }, "y", "z"] }))],
    ["no digest", made(({ f: _, ...rest }) => rest)],
  ])("that was made up is refused: %s", (_, cursor) => {
    expect(refusedAt(() => decodeCursor(cursor, sort, filter), "invalid_cursor")).toBe("#/cursor");
  });

  test("that was made up holds values to compare with, never operators", () => {
    const cursor = made((read) => ({ ...read, k: [{ $gt: "" }, { $where: "1" }, { $ne: { $gt: 1 } }] }));
    const after = printExtendedJson(afterInTurn(sort, decodeCursor(cursor, sort, filter), "_id"));
    expect(after).toContain('{"a":{"$gt":{"$gt":""}}}');
    expect(after).toContain('{"b.c":{"$eq":{"$where":"1"}}}');
    expect(after).toContain('{"_id":{"$gt":{"$ne":{"$gt":1}}}}');
  });

  test("is not given out when the value is too long, or would be read as something else", () => {
    for (const value of ["x".repeat(8_192), { $date: 5 }]) {
      expect(refusedAt(() => encodeCursor(sort, filter, [value, 1, 2]), "unsupported_sort")).toBe("#/sort");
    }
  });
});

describe("what a document sorts by", () => {
  test.each([
    [{ _id: 1, a: "x", b: { c: 2 } }, ["x", 2, 1]],
    [{ _id: 1, b: {} }, [null, null, 1]],
    [{ _id: 1, a: { d: [1] }, b: 5 }, [{ d: [1] }, null, 1]],
    [JSON.parse('{"_id":1,"b":{"__proto__":{"c":1}}}'), [null, null, 1]],
  ])("%#", (document, keys) => {
    expect(keysOf(sort, document)).toEqual(keys);
  });

  test.each([
    [{ _id: 1, a: [] }],
    [{ _id: 1, a: [1] }],
    [{ _id: 1, b: [{ c: 1 }] }],
    [{ _id: 1, b: { c: [1] } }],
    [{ _id: 1, a: new Code("f()") }],
    [{ _id: 1, b: { $ref: "c", $id: new ObjectId(), c: 1 } }],
    [{ _id: 1, a: new Date(Number.NaN) }],
    [{ _id: 1, a: undefined }],
  ])("%#: no page can begin after it", (document) => {
    expect(refusedAt(() => keysOf(sort, document), "unsupported_sort")).toBe("#/sort");
    expect(refusedAt(() => lastKeys(sort, [document, { _id: 2 }]), "unsupported_sort")).toBe("#/sort");
  });

  test("the failure says which field and why", () => {
    try {
      keysOf(sort, { _id: 1, a: [1] });
    } catch (error) {
      expect(isFailure(error) && error.message).toMatch(/^a can't be paged by: a document has an array in this field/);
    }
    expect.assertions(1);
  });
});

describe("what comes after", () => {
  const texts = (sorted: string, keys: unknown[], idPath: "_id" | "_id.i" = "_id") =>
    afterInTurn(readSort(sorted), keys, idPath).map((part) => printExtendedJson(part));

  test("an id: its own type first, then the later ones; in the place where the id is", () => {
    const later =
      '{"$type":["binData","objectId","bool","date","timestamp","regex","dbPointer","javascript","javascriptWithScope","maxKey"]}';
    expect(texts("", [{ z: 1 }], "_id.i")).toEqual(['{"_id.i":{"$gt":{"z":1}}}', `{"_id.i":${later}}`]);
    expect(texts("-_id", ["x"])).toEqual([
      '{"_id":{"$lt":"x"}}',
      '{"$or":[{"_id":{"$eq":{"$numberDouble":"NaN"}}},{"_id":{"$type":["minKey","undefined","null","number"]}}]}',
    ]);
  });

  test("two fields: the rest of the equal ones first", () => {
    expect(texts("-a", [null, "x"]).map((text) => text.slice(0, 40))).toEqual([
      '{"$and":[{"a":null},{"_id":{"$gt":"x"}}]',
      '{"$and":[{"a":null},{"_id":{"$type":["ob',
      '{"a":{"$type":["minKey","undefined"]}}',
    ]);
  });

  test("a pattern is compared by an expression, as a filter can't", () => {
    expect(texts("a", [new BSONRegExp("x"), 1])[2]).toBe(
      '{"a":{"$type":"regex"},"$expr":{"$gt":["$a",{"$literal":{"$regularExpression":{"pattern":"x","options":""}}}]}}',
    );
  });

  test("documents that no page may show are those with an array on the way", () => {
    expect(arraysOn(sort)).toEqual({
      $or: [{ a: { $type: "array" } }, { b: { $type: "array" } }, { "b.c": { $type: "array" } }],
    });
    expect(arraysOn(readSort(""))).toBeNull();
  });
});
