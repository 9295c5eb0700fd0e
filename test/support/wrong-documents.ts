import { invalid, type Row } from "./wrong-input.ts";

const nested = (depth: number): string => (depth === 0 ? "1" : `{"a":${nested(depth - 1)}}`);
const named = (name: string, value: unknown = 1): string => `{${JSON.stringify(name)}:${JSON.stringify(value)}}`;

/** Documents that nobody may store, as text, and where they are wrong: for one that is inserted, set or merged. */
const wrong: [name: string, text: string, pointer: string][] = [
  ["null", "null", ""],
  ["a number", "42", ""],
  ["a text", '"{}"', ""],
  ["false", "false", ""],
  ["an ObjectId", '{"$oid":"0123456789abcdef01234567"}', ""],
  ["its tenant", named("tenant_id", "x"), "/tenant_id"],
  ["another tenant's key as null", named("tenant_id", null), "/tenant_id"],
  ["a version", named("_croupier", { v: 1, h: [] }), "/_croupier"],
  ["an operator", named("$set", { a: 1 }), "/$set"],
  ["an operator inside", '{"a":[{"$inc":1}]}', "/a/0/$inc"],
  ["a reference", '{"a":{"$ref":"admin_users","$id":1}}', "/a/$ref"],
  ["code", '{"a":{"$code":"sleep(1000)"}}', "/a"],
  ["code with a scope", '{"a":{"$code":"x","$scope":{}}}', "/a"],
  ["a name with a dot", named("a.b"), "/a.b"],
  ["an empty name", named(""), "/"],
  ["a name with NUL", named("a\0b"), "/a\0b"],
  ["__proto__", '{"a":{"__proto__":{"b":1}}}', "/a/__proto__"],
  ["_bsontype", '{"a":{"_bsontype":"ObjectId","id":1}}', "/a/_bsontype"],
  ["a name twice", '{"a":1,"b":2,"a":3}', "/a"],
  ["a name twice, once escaped", '{"a":1,"\\u0061":3}', "/a"],
  ["half a surrogate pair", '{"a":"\\ud800"}', "/a"],
  ["the other half", '{"a":["\\udc00"]}', "/a/0"],
  ["half a surrogate pair in a name", '{"a\\ud800":1}', ""],
  ["101 levels", nested(101), "/a".repeat(100)],
  ["a number larger than any double", '{"a":1e400}', "/a"],
  ["$oid that is none", '{"a":{"$oid":"0123"}}', "/a"],
  ["$oid as a number", '{"a":{"$oid":5}}', "/a"],
  ["$oid and more", '{"a":{"$oid":"0123456789abcdef01234567","b":1}}', "/a"],
  ["$date that is none", '{"a":{"$date":"yesterday"}}', "/a"],
  ["the 30th of February", '{"a":{"$date":"2024-02-30T00:00:00Z"}}', "/a"],
  ["a date beyond the last one", '{"a":{"$date":{"$numberLong":"8640000000000001"}}}', "/a"],
  ["$numberInt that is larger", '{"a":{"$numberInt":"2147483648"}}', "/a"],
  ["$numberLong that is larger", '{"a":{"$numberLong":"9223372036854775808"}}', "/a"],
  ["$numberDouble that is text", '{"a":{"$numberDouble":"five"}}', "/a"],
  ["$numberDecimal of 35 digits", '{"a":{"$numberDecimal":"12345678901234567890123456789012345"}}', "/a"],
  ["$binary without a type", '{"a":{"$binary":{"base64":""}}}', "/a"],
  ["$binary of no base64", '{"a":{"$binary":{"base64":"?","subType":"00"}}}', "/a"],
  ["$uuid that is none", '{"a":{"$uuid":"x"}}', "/a"],
  ["$regularExpression with NUL", '{"a":{"$regularExpression":{"pattern":"\\u0000","options":""}}}', "/a"],
  ["$undefined", '{"a":{"$undefined":true}}', "/a"],
  ["$symbol", '{"a":{"$symbol":"x"}}', "/a"],
  ["$dbPointer", '{"a":{"$dbPointer":{}}}', "/a"],
];

/** Ids that nobody may have. */
const wrongIds: [name: string, text: string][] = [
  ["null", "null"],
  ["an array", "[1]"],
  ["an empty array", "[]"],
  ["an object", '{"t":"x","i":1}'],
  ["an empty object", "{}"],
  ["a pattern", '{"$regularExpression":{"pattern":".*","options":""}}'],
  ["a timestamp", '{"$timestamp":{"t":1,"i":1}}'],
  ["the lowest key", '{"$minKey":1}'],
  ["1,025 bytes", JSON.stringify("x".repeat(1_025))],
  ["513 characters of 1,026 bytes", JSON.stringify("é".repeat(513))],
];

const rows = (list: [name: string, text: string, pointer: string][], at: string): Row[] =>
  list.map(([name, text, pointer]) => ({
    name: `document: ${name}`,
    ...invalid,
    // Depth is counted from the outside.
    ...(!["half a surrogate pair in a name", "101 levels"].includes(name) && { pointers: [at + pointer] }),
    body: at === "#" ? text : `[{"good":1},${text}]`,
  }));
const idRows = (at: string): Row[] =>
  wrongIds.map(([name, text]) => ({
    name: `_id: ${name}`,
    ...invalid,
    pointers: [`${at}/_id`],
    body: at === "#" ? `{"_id":${text}}` : `[{"good":1},{"_id":${text}}]`,
  }));

export const wrongDocuments = [...rows(wrong, "#"), ...idRows("#")];
/** The same as the second of two: the first isn't stored either. */
export const wrongSecondDocuments = [...rows(wrong, "#/1"), ...idRows("#/1")];

/** Lists of entity tags that are none. */
export const wrongTags = (header: string): Row[] =>
  [",", "abc", '"a', '"a" "b"', '*, "1-a"', 'w/"1-a"'].map((value) => ({
    name: `${header}: ${value}`,
    ...invalid,
    pointers: [header],
    headers: { [header]: value },
  }));
