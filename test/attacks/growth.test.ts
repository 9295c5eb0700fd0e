import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Glob } from "bun";
import fc from "fast-check";
import { parseExtendedJson, printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { scrub } from "../../src/lib/scrub.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { mergePatch } from "../../src/lib/json/merge-patch.ts";
import { assertStorable, idKey } from "../../src/tenant/document.ts";
import { placeFilter, readFilter } from "../../src/tenant/query/filter.ts";
import { arraysOn } from "../../src/tenant/query/page.ts";
import { placePipeline, readPipeline } from "../../src/tenant/query/pipeline.ts";
import { placeProjection, readProjection } from "../../src/tenant/query/projection.ts";
import { readSort } from "../../src/tenant/query/sort.ts";
import { accumulators, expressionOperators, filterOperators } from "../../src/tenant/query/operators.ts";
import { stageChecks } from "../../src/tenant/query/stages.ts";
import { anyFilter, anyPipeline } from "../support/any-query.ts";
import { createTarget, fill, nameOf, type Route, type Target } from "../support/attack.ts";
import { anyScalar } from "../support/bson-values.ts";
import { deepExpressions, type Growing, inflations, longTexts } from "../support/inflate.ts";
import { useOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";

setDefaultTimeout(120_000);
const service = useService({ DEFAULT_TIER: "starter" });
const operatorKey = useOperatorKey(service);
let target: Target;
let token: string;
beforeAll(async () => {
  target = await createTarget(service);
  token = (await service.join("growing")).token;
}, 60_000);

/** Characters of the largest input. What is linear takes a few milliseconds, what is quadratic seconds. */
const length = 32 * 1024;
const floorMs = 40;

/** Processor time of the whole process, the least of some tries. */
async function cost(work: () => unknown, tries: number): Promise<number> {
  const costs: number[] = [];
  for (let attempt = 0; attempt < tries; attempt++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    costs.push((user + system) / 1000);
  }
  return Math.min(...costs);
}

/** Null when four times the input costs about four times the time, or next to nothing: once in three comparisons, as a
 *  collection of garbage or a compilation can be in any of them, but what grows faster does so in each. */
async function growth(what: string, at: (length: number) => unknown): Promise<string | null> {
  if ((await cost(() => at(length), 1)) < floorMs) return null;
  let found: string | null = null;
  for (let comparison = 0; comparison < 3; comparison++) {
    const whole = await cost(() => at(length), 3);
    if (whole < floorMs) return null;
    const quarter = await cost(() => at(length / 4), 3);
    if (whole < 8 * quarter) return null;
    found = `${what}: ${quarter.toFixed(1)} ms, four times of it ${whole.toFixed(1)} ms`;
  }
  return found;
}

const credentials = ({ wants }: Route): Record<string, string> =>
  wants === "nobody" ? {} : { authorization: `Bearer ${wants === "operator" ? operatorKey() : token}` };

const send = (route: Route, sent: { path?: string; query?: string; body?: string; headers?: Record<string, string> }) =>
  target.attack(route, { what: "", ...sent, headers: { ...credentials(route), ...sent.headers } });

/** Not those that end the token. */
const routes = () => target.routes.filter(({ path }) => !/\/(delete|logout|logout-all|sessions.*)$/.test(path));
const routeOf = (name: string): Route => target.routes.find((route) => nameOf(route) === name)!;

async function expectLinear(all: { what: string; at: (length: number) => unknown }[]): Promise<void> {
  const found: string[] = [];
  for (const { what, at } of all) {
    const fault = await growth(what, at);
    if (fault) found.push(fault);
  }
  expect(found).toEqual([]);
}

const asRequests = (route: Route, growing: Growing[], around: (text: string) => string = (text) => text) =>
  growing.map(({ what, make }) => ({
    what: `${nameOf(route)} ${what}`,
    at: (size: number) => send(route, { body: around(make(size)) }),
  }));

test("the body of every route costs what its length says, whichever part of it is long", async () => {
  await expectLinear(
    routes().flatMap((route) => (route.body ? asRequests(route, inflations(route.body.example)) : [])),
  );
});

test("every parameter of a path or query costs what its length says", async () => {
  await expectLinear(
    routes().flatMap((route) => [
      ...route.query.flatMap((name) =>
        longTexts("").map((make, index) => ({
          what: `${nameOf(route)} ?${name} ${index}`,
          at: (size: number) => send(route, { query: `?${name}=${encodeURIComponent(make(size))}` }),
        })),
      ),
      ...(route.path.includes(":") ? longTexts("") : []).map((make, index) => ({
        what: `${nameOf(route)} ${index}`,
        at: (size: number) => send(route, { path: fill(route.path, encodeURIComponent(make(size))) }),
      })),
    ]),
  );
});

/** The names of all headers that the code reads. */
async function headersRead(): Promise<string[]> {
  const texts = [...new Glob("src/**/*.ts").scanSync(".")].map((file) => Bun.file(file).text());
  const found = (await Promise.all(texts)).flatMap((text) => [...text.matchAll(/\.header\("([a-z-]+)"\)/g)]);
  return [...new Set(found.map(([, name]) => name!))];
}

test("every header that is read costs what its length says", async () => {
  const names = await headersRead();
  expect(names).toContain("if-match");
  await service.send("POST", "/org/documents", { token, body: { _id: "0123456789abcdef01234567" } });
  const read = ["GET /org/documents/:id"].map(routeOf);
  const begun = (name: string) => (name === "authorization" ? "Bearer " : name.startsWith("if-") ? '"a",' : "");
  await expectLinear(
    read.flatMap((route) =>
      names.flatMap((name) =>
        longTexts(begun(name)).map((make, index) => ({
          what: `${nameOf(route)} ${name} ${index}`,
          // Only what can be in a header at all.
          at: (size: number) =>
            send(route, {
              headers: { [name]: make(size).replaceAll(/[^\x20-\xff]/g, "!") },
              ...(route.body && { body: JSON.stringify(route.body.example) }),
            }),
        })),
      ),
    ),
  );
});

const samples = <T>(arbitrary: fc.Arbitrary<T>, count: number): unknown[] =>
  fc.sample(arbitrary, { numRuns: count, seed: 11 }).map((value) => JSON.parse(printExtendedJson(value)));

/** What routes do with a body before anything is asked of the database, for many more of them. */
const asRead = (growing: Growing[], read: (value: any) => unknown) =>
  growing.map(({ what, make }) => ({
    what,
    at(size: number) {
      try {
        read(parseExtendedJson(make(size)));
      } catch (error) {
        if (!isFailure(error)) throw error;
      }
    },
  }));

test("values of every type cost what their length says, wherever they are in a document", async () => {
  const values = new Map(samples(anyScalar, 60).map((value) => [JSON.stringify(Object.keys(value ?? {})), value]));
  await expectLinear(
    asRead(
      [...values.values()].flatMap((value) => inflations({ _id: value, a: value })),
      (document) => {
        assertStorable(document);
        idKey(document._id);
        printExtendedJson(mergePatch(document, document));
      },
    ),
  );
});

test("a filter, a sort and a projection cost what their length says, whichever part of them is long", async () => {
  const operators = Object.keys(filterOperators).map((name) => ({ a: { [name]: ["x", { b: 1 }] } }));
  const filters = [...operators, ...samples(anyFilter, 6)].flatMap((filter) => inflations(filter));
  const projections = [
    { a: 1, "b.c": 1 },
    { a: 0, "b.c": 0, _id: 0 },
  ].flatMap((projection) => inflations(projection));
  await expectLinear([
    ...asRead(filters, (filter) => placeFilter(readFilter(filter), "_id.i", "ferretdb")),
    ...asRead(
      ["a,-b", { a: 1, b: -1 }].flatMap((sort) => inflations(sort)),
      (sort) => arraysOn(readSort(sort)),
    ),
    ...asRead(projections, (projection) => {
      placeProjection(readProjection(projection), readSort("a,b,c,d")).trim({ a: 1, b: { c: 1 } });
    }),
  ]);
});

test("a pipeline costs what its length says, whichever part of it is long", async () => {
  const inner = { $map: { input: "$a", as: "x", in: "$$x" } };
  const variables = { $let: { vars: { x: "$a", y: "$b" }, in: { $filter: { input: "$$x", cond: inner } } } };
  const stages = [
    { $set: { a: variables } },
    { $set: { a: { $map: { input: "$a", in: { $add: ["$$this", "$b.c"] } } } } },
    ...Object.keys(stageChecks).map((name) => ({ [name]: { a: "$b", b: 1 } })),
    { $facet: { a: [{ $match: { a: 1 } }], b: [{ $unset: ["a", "b"] }] } },
    ...(samples(anyPipeline("mongodb"), 3) as unknown[][]).flat(),
  ];
  const operators = [...expressionOperators, ...accumulators].flatMap((name) =>
    [["$a"], { a: 1 }].flatMap((operand) =>
      inflations([{ $set: { a: { [name]: operand } } }], [[0, "$set", "a", name]]),
    ),
  );
  const deep = deepExpressions.map(({ what, make }) => ({
    what,
    make: (size: number) => `[{"$replaceWith":{"a":${make(size)}}}]`,
  }));
  await expectLinear(
    asRead([...stages.flatMap((stage) => inflations([stage])), ...operators, ...deep], (pipeline) =>
      placePipeline(readPipeline(pipeline), {}, "_id.i", "ferretdb"),
    ),
  );
});

test("a text for the log costs what its length says", async () => {
  await expectLinear(
    longTexts("").map((make, index) => ({ what: `${index}`, at: (size: number) => scrub(make(size)) })),
  );
});
