// In an array a number in a path is tried as an index, and as a name in each element: each doubles the work in a document.
import { describe, expect, test } from "bun:test";
import { Binary } from "mongodb";
import { readFilter } from "../../../src/tenant/query/filter.ts";
import { readPipeline } from "../../../src/tenant/query/pipeline.ts";
import { readProjection } from "../../../src/tenant/query/projection.ts";
import { readSort } from "../../../src/tenant/query/sort.ts";
import { refusedAt } from "../../support/refused.ts";

const four = "a.0.1.b.22.3";
const five = `${four}.04`;

describe("a path of more than four numbers is refused", () => {
  const stages: [stage: (path: string) => object, at: string][] = [
    [(path) => ({ $match: { [path]: 1 } }), `/$match/${five}`],
    [(path) => ({ $match: { $expr: { $eq: [`$${path}`, 1] } } }), "/$match/$expr/$eq/0"],
    [(path) => ({ $sort: { [path]: 1 } }), `/$sort/${five}`],
    [(path) => ({ $set: { [path]: 1 } }), `/$set/${five}`],
    [(path) => ({ $project: { [path]: 1 } }), `/$project/${five}`],
    [(path) => ({ $unset: [path] }), "/$unset/0"],
    [(path) => ({ $unwind: `$${path}` }), "/$unwind"],
    [(path) => ({ $set: { r: `$${path}` } }), "/$set/r"],
    [(path) => ({ $set: { r: `$$ROOT.${path}` } }), "/$set/r"],
    [
      (path) => ({ $set: { r: { $sortArray: { input: "$b", sortBy: { [path]: 1 } } } } }),
      `/$set/r/$sortArray/sortBy/${five}`,
    ],
    [
      (path) => ({ $group: { _id: 1, r: { $top: { sortBy: { [path]: 1 }, output: "$b" } } } }),
      `/$group/r/$top/sortBy/${five}`,
    ],
    [(path) => ({ $fill: { sortBy: { [path]: 1 }, output: { b: { method: "linear" } } } }), `/$fill/sortBy/${five}`],
  ];
  test.each(stages)("in a stage: %p", (stage, at) => {
    expect(refusedAt(() => readPipeline([stage(four)]))).toBeUndefined();
    expect(refusedAt(() => readPipeline([stage(five)]))).toBe(`#/pipeline/0${at}`);
  });

  test.each<[what: string, read: (path: string) => unknown, at: string]>([
    ["filter", (path) => readFilter({ [path]: 1 }), five],
    ["filter", (path) => readFilter({ $or: [{ a: { $elemMatch: { [path]: 1 } } }] }), `$or/0/a/$elemMatch/${five}`],
    ["projection", (path) => readProjection({ [path]: 1 }), five],
    ["sort", (path) => readSort(path), five],
  ])("in a %s", (what, read, at) => {
    expect(refusedAt(() => read(four))).toBeUndefined();
    expect(refusedAt(() => read(five))).toBe(`#/${what}/${at}`);
  });
});

describe("a filter costs too much", () => {
  const costs = (filter: unknown) => refusedAt(() => readFilter(filter), "expression_too_costly") === "#/filter";
  const or = (count: number, condition: unknown) => ({ $or: Array(count).fill(condition) });

  test("whose conditions have numbers in many paths, beside or within one another", () => {
    expect(costs(or(12, { "a.0.1.2.3": 1 }))).toBeFalse();
    expect(costs(or(13, { "a.0.1.2.3": 1 }))).toBeTrue();
    const within = (path: string) => ({ [path]: { $elemMatch: { [path]: { $elemMatch: { [path]: 1 } } } } });
    expect(costs(within("0.0"))).toBeFalse();
    expect(costs(within("0.0.0"))).toBeTrue();
    expect(costs({ a: { $all: [{ $elemMatch: within("0.0.0") }] } })).toBeTrue();
  });

  test("that asks for many bits, each of which is looked at in a binary value", () => {
    expect(costs(or(40, { a: { $bitsAnySet: 1 } }))).toBeFalse();
    expect(costs(or(41, { a: { $bitsAnySet: 1 } }))).toBeTrue();
    const bits = (count: number) => ({ a: { $bitsAnySet: Array.from({ length: count }, (_, bit) => bit) } });
    const mask = (bytes: number) => ({ a: { $not: { $bitsAllClear: new Binary(new Uint8Array(bytes)) } } });
    expect(refusedAt(() => readFilter(bits(64)))).toBeUndefined();
    expect(refusedAt(() => readFilter(bits(65)))).toBe("#/filter/a/$bitsAnySet");
    expect(refusedAt(() => readFilter(mask(8)))).toBeUndefined();
    expect(refusedAt(() => readFilter(mask(9)))).toBe("#/filter/a/$not/$bitsAllClear");
  });
});
