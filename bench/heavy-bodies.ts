/** The heaviest bodies that are permitted: documents that fill MongoDB's 16 MiB or the body limit, and whatever a route's example can be made. */
import { inflations } from "../test/support/inflate.ts";

const mebibyte = 1_048_576;
const times = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => make(i)).join();

/** Fields of one document as JSON, without `_id`; a document of each has some 15 MiB as BSON or as JSON, or is refused. */
export const heavyFields: Record<string, () => string> = {
  "one text": () => `"a":"${"x".repeat(15 * mebibyte)}"`,
  "a text of escapes": () => `"a":"${"\\u0001".repeat(2.7 * mebibyte)}"`,
  "1.2 million ints": () => `"a":[${times(1_200_000, (i) => String(i % 10))}]`,
  "1.1 million names": () => times(1_100_000, (i) => `"${i.toString(36)}_":1`),
  "700,000 objects": () => `"a":[${times(700_000, () => '{"b":1}')}]`,
  "480,000 dates": () => `"a":[${times(480_000, () => '{"$date":"2024-02-03T04:05:06Z"}')}]`,
  "500,000 decimals": () => `"a":[${times(500_000, () => '{"$numberDecimal":"1.5"}')}]`,
  binary: () => `"a":{"$binary":{"base64":"${"QUJD".repeat(4 * mebibyte)}","subType":"00"}}`,
  "8.5 million ints (refused)": () => `"a":[${"1,".repeat(8.5 * mebibyte)}1]`,
};

/** Arrays of documents. */
export const heavyArrays: Record<string, () => string> = {
  "100,000 documents": () => `[${times(100_000, (i) => `{"n":${i}}`)}]`,
  "96 documents of 80,000 ints": () => `[${times(96, () => `{"a":[${times(80_000, (i) => String(i % 10))}]}`)}]`,
  "16 documents of 1 MiB": () => `[${times(16, () => `{"a":"${"x".repeat(mebibyte)}"}`)}]`,
};

const ints = (count: number) => times(count, () => "1");

/** Queries with as many values as they may hold, with as long a text as the other body limit allows, and with too many values. */
export const heavyQueries: [path: string, what: string, body: () => string][] = [
  ...["find", "count"].flatMap((path): [string, string, () => string][] => [
    [path, "$in of 29,000 ints", () => `{"filter":{"a":{"$in":[${ints(29_000)}]}}}`],
    [
      path,
      "$in of 14,000 ids",
      () => `{"filter":{"_id":{"$in":[${times(14_000, () => '{"$oid":"0123456789abcdef01234567"}')}]}}}`,
    ],
    [
      path,
      "a value of 29,000 names",
      () => `{"filter":{"a":{"$eq":{${times(29_000, (i) => `"${i.toString(36)}_":1`)}}}}}`,
    ],
    [path, "one text", () => `{"filter":{"a":"${"x".repeat(mebibyte - 100)}"}}`],
    [path, "$in of 500,000 ints", () => `{"filter":{"a":{"$in":[${ints(500_000)}]}}}`],
  ]),
  ["aggregate", "$in of 7,900 ints", () => `{"pipeline":[{"$match":{"a":{"$in":[${ints(7_900)}]}}}]}`],
  ["aggregate", "a literal of 7,900 ints", () => `{"pipeline":[{"$set":{"a":{"$literal":[${ints(7_900)}]}}}]}`],
  ["aggregate", "an array of 7,900 ints", () => `{"pipeline":[{"$set":{"a":[${ints(7_900)}]}}]}`],
  [
    "aggregate",
    "$switch of 1,100",
    () =>
      `{"pipeline":[{"$set":{"a":{"$switch":{"branches":[${times(1_100, () => '{"case":{"$eq":["$a",1]},"then":"$b"}')}]}}}}]}`,
  ],
  [
    "aggregate",
    "arrays 90 deep, with 85 fields in each",
    () =>
      `{"pipeline":[{"$set":{"a":${Array.from({ length: 90 }).reduce<string>((inner, _, depth) => `[${times(85, (i) => `"$f${depth}_${i}"`)},${inner}]`, "1")}}}]}`,
  ],
  ["aggregate", "an array of 500,000 ints", () => `{"pipeline":[{"$set":{"a":[${ints(500_000)}]}}]}`],
];

export type HeavyRequest = {
  route: string;
  what: string;
  method: string;
  path: string;
  body: () => string;
  contentType: string;
  wants: "admin" | "operator" | "nobody";
};

/** Of those who send no token or key. */
const strangersBytesMax = 65_536;

/** Every route that takes a body, as /openapi.json has them, with each part of its example made as large as the limit allows. */
export function inflatedRequests(openApi: any, bytesOf: (method: string, path: string) => number): HeavyRequest[] {
  return Object.entries<any>(openApi.paths).flatMap(([path, operations]) =>
    Object.entries<any>(operations).flatMap(([method, operation]): HeavyRequest[] => {
      const [content] = Object.entries<any>(operation.requestBody?.content ?? {});
      if (!content) return [];
      const [contentType, media] = content;
      const example = media.example ?? Object.values<any>(media.examples ?? {})[0]?.value ?? {};
      const [scheme] = Object.keys(operation.security?.[0] ?? {});
      const wants = scheme === "operatorKey" ? "operator" : scheme ? "admin" : "nobody";
      const upper = method.toUpperCase();
      return inflations(example).map(({ what, make }) => ({
        route: `${upper} ${path}`,
        what: what.slice(what.lastIndexOf(" /") + 1),
        method: upper,
        path: path.replace(/\{\w+\}/g, path.startsWith("/platform/") ? "0123456789abcdef01234567" : "no-id"),
        body: () => make((wants === "nobody" ? strangersBytesMax : bytesOf(upper, path)) * 0.99),
        contentType,
        wants,
      }));
    }),
  );
}
