import { describe, expect, test } from "bun:test";
import { placeProjection, readProjection } from "../../../src/tenant/query/projection.ts";
import { placeSort, readSort } from "../../../src/tenant/query/sort.ts";
import { refusedAt } from "../../support/refused.ts";

describe("sort", () => {
  test.each([
    [undefined, [["_id", 1]]],
    ["", [["_id", 1]]],
    [
      "a,-b.c",
      [
        ["a", 1],
        ["b.c", -1],
        ["_id", 1],
      ],
    ],
    [
      { a: -1 },
      [
        ["a", -1],
        ["_id", 1],
      ],
    ],
    [
      '{"a":1,"b":-1}',
      [
        ["a", 1],
        ["b", -1],
        ["_id", 1],
      ],
    ],
    ["-_id", [["_id", -1]]],
    [
      "a,-_id,b",
      [
        ["a", 1],
        ["_id", -1],
      ],
    ],
    [
      "a,-0",
      [
        ["a", 1],
        ["0", -1],
        ["_id", 1],
      ],
    ],
    [
      { 0: 1 },
      [
        ["0", 1],
        ["_id", 1],
      ],
    ],
    [
      "a,b,c,d",
      [
        ["a", 1],
        ["b", 1],
        ["c", 1],
        ["d", 1],
        ["_id", 1],
      ],
    ],
  ])("%p", (value, sort) => {
    expect(placeSort(readSort(value), "_id")).toEqual(sort as ReturnType<typeof placeSort>);
  });

  test("by _id.i in the shared collection", () => {
    expect(placeSort(readSort("a,-_id"), "_id.i")).toEqual([
      ["a", 1],
      ["_id.i", -1],
    ]);
  });

  test.each([
    ["tenant_id", "/tenant_id"],
    ["-_croupier.v", "/_croupier.v"],
    [{ a: 1, "tenant_id.x": 1 }, "/tenant_id.x"],
    ["_id.t", "/_id.t"],
    ["a,,b", "/"],
    ["a,a", "/a"],
    ["a,-a", "/a"],
    [{ a: 2 }, "/a"],
    [{ a: "asc" }, "/a"],
    [{ a: { $meta: "textScore" } }, "/a"],
    [{ $natural: 1 }, "/$natural"],
    ["a.$b", "/a.$b"],
    ["a,b,c,d,e", ""],
    [{ a: 1, 0: -1 }, ""],
    ['{"a":1,"0":-1}', ""],
    [5, ""],
    [null, ""],
    ["{", ""],
  ])("%p is refused", (value, pointer) => {
    expect(refusedAt(() => readSort(value))).toBe(`#/sort${pointer}`);
  });
});

describe("projection", () => {
  const hidden = { tenant_id: 0, _croupier: 0 };
  test.each([
    [undefined, hidden],
    [{}, hidden],
    [
      { a: 1, "b.c": true },
      { a: 1, "b.c": 1, _id: 1 },
    ],
    [
      { a: 1, _id: 0 },
      { a: 1, _id: 0 },
    ],
    [
      { a: 0, "b.c": false },
      { a: 0, "b.c": 0, ...hidden },
    ],
    [{ _id: 0 }, { _id: 0, ...hidden }],
    [{ _id: 1 }, { _id: 1 }],
    [
      { _id: 1, a: 0 },
      { a: 0, ...hidden },
    ],
    [
      { _id: false, a: 0 },
      { a: 0, _id: 0, ...hidden },
    ],
    [{ a: 1, ab: 1, "a.b": undefined }, null],
    [{ "a.tenant_id": 1 }, { "a.tenant_id": 1, _id: 1 }],
  ])("%p", (value, fields) => {
    if (fields === null) expect(refusedAt(() => readProjection(value))).toBe("#/projection/a.b");
    else expect(placeProjection(readProjection(value)).fields).toEqual(fields);
  });

  test.each([
    [{ tenant_id: 1 }, "/tenant_id"],
    [{ tenant_id: 0 }, "/tenant_id"],
    [{ "_croupier.v": 1 }, "/_croupier.v"],
    [{ "_id.t": 1 }, "/_id.t"],
    [{ "_id.i": 0 }, "/_id.i"],
    [{ a: 1, b: 0 }, "/b"],
    [{ a: 0, b: 1 }, "/b"],
    [{ a: 2 }, "/a"],
    [{ a: "$tenant_id" }, "/a"],
    [{ a: { b: 1 } }, "/a"],
    [{ a: { $slice: 1 } }, "/a"],
    [{ a: { $elemMatch: {} } }, "/a"],
    [{ a: { $meta: "indexKey" } }, "/a"],
    [{ a: null }, "/a"],
    [{ "a.$": 1 }, "/a.$"],
    [{ $a: 1 }, "/$a"],
    [{ "": 1 }, "/"],
    [{ "a.b.c": 1, a: 1 }, "/a.b.c"],
    [{ a: 0, "a.b": 0 }, "/a.b"],
    [[], ""],
    [null, ""],
    ["a", ""],
  ])("%p is refused", (value, pointer) => {
    expect(refusedAt(() => readProjection(value))).toBe(`#/projection${pointer}`);
  });

  test.each([
    // What the sort needs comes too, and is taken off again.
    [{ a: 1 }, "a", { a: 1, _id: 1 }, "same"],
    [{ "a.b": 1 }, "a", { a: 1, _id: 1 }, { _id: 7, a: { b: 1 } }],
    [{ a: 1, _id: 0 }, "c", { a: 1, c: 1, _id: 1 }, { a: { b: 1, c: 2 } }],
    [{ a: 0, c: 0 }, "a.b", { c: 0, ...hidden }, { _id: 7, d: [{ e: 1, f: 2 }, 5] }],
    [{ a: 0, _id: 0 }, "c", { a: 0, ...hidden }, { c: 3, d: [{ e: 1, f: 2 }, 5] }],
    [{ "d.e": 1 }, "c", { "d.e": 1, c: 1, _id: 1 }, { _id: 7, d: [{ e: 1 }] }],
    [{ "d.e": 0 }, "d", { ...hidden }, { _id: 7, a: { b: 1, c: 2 }, c: 3, d: [{ f: 2 }, 5] }],
  ])("%p with a sort by %s", (value, sort, fields, trimmed) => {
    const placed = placeProjection(readProjection(value), readSort(sort));
    expect(placed.fields).toEqual(fields as typeof placed.fields);
    const document = { _id: 7, a: { b: 1, c: 2 }, c: 3, d: [{ e: 1, f: 2 }, 5] };
    expect(placed.trim(document)).toEqual(trimmed === "same" ? document : (trimmed as typeof document));
  });
});
