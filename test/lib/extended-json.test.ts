import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  Binary,
  BSON,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { exactBson } from "../../src/lib/bson/bson.ts";
import { parseExtendedJson, parseInSlices, printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { anyDocument } from "../support/bson-values.ts";
import { refusedAt } from "../support/refused.ts";

/** Types and values, told apart: 5 and 5.0 are not the same. */
const bytes = (value: unknown) => Buffer.from(BSON.serialize({ value })).toString("hex");
const id = "0123456789abcdef01234567";

describe("Extended JSON is read into the types that it says", () => {
  const read: [text: string, value: unknown][] = [
    ["5", new Int32(5)],
    ["-2147483648", new Int32(-2147483648)],
    ["2147483648", Long.fromString("2147483648")],
    ["9007199254740993", Long.fromString("9007199254740993")],
    ["-9223372036854775808", Long.fromString("-9223372036854775808")],
    ["9223372036854775808", new Double(9223372036854775808)],
    ["5.0", new Double(5)],
    ["5e0", new Double(5)],
    ["-0", new Double(-0)],
    ["0.1", new Double(0.1)],
    ['{"$numberInt":"-7"}', new Int32(-7)],
    ['{"$numberLong":"7"}', Long.fromString("7")],
    ['{"$numberDouble":"5.0"}', new Double(5)],
    ['{"$numberDouble":"-0.0"}', new Double(-0)],
    ['{"$numberDouble":"NaN"}', new Double(Number.NaN)],
    ['{"$numberDouble":"-Infinity"}', new Double(Number.NEGATIVE_INFINITY)],
    ['{"$numberDecimal":"1.10"}', Decimal128.fromString("1.10")],
    [`{"$oid":"${id}"}`, new ObjectId(id)],
    ['{"$date":"2020-02-29T12:00:00Z"}', new Date("2020-02-29T12:00:00Z")],
    ['{"$date":"2020-02-29T12:00:00.123+01:30"}', new Date("2020-02-29T10:30:00.123Z")],
    ['{"$date":{"$numberLong":"-1"}}', new Date(-1)],
    ['{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}', new UUID("00112233-4455-6677-8899-aabbccddeeff")],
    ['{"$binary":{"base64":"AQID","subType":"00"}}', new Binary(Buffer.from([1, 2, 3]))],
    [
      '{"$binary":{"base64":"ABEiM0RVZneImaq7zN3u/w==","subType":"4"}}',
      new UUID("00112233-4455-6677-8899-aabbccddeeff"),
    ],
    ['{"$timestamp":{"t":4294967295,"i":1}}', new Timestamp({ t: 4294967295, i: 1 })],
    ['{"$regularExpression":{"pattern":"^a","options":"mi"}}', new BSONRegExp("^a", "im")],
    ['{"$minKey":1}', new MinKey()],
    ['{"$maxKey":1}', new MaxKey()],
    ['["\\u00e9\\n", true, false, null]', ["é\n", true, false, null]],
    ['{"$gt":{"$numberInt":"1"},"a":{}}', { $gt: new Int32(1), a: {} }],
    ['{"$regex":"a","$options":"i"}', { $regex: "a", $options: "i" }],
    ['{"$type":"object"}', { $type: "object" }],
    [
      '{"constructor":1,"prototype":2,"toBSON":3}',
      { constructor: new Int32(1), prototype: new Int32(2), toBSON: new Int32(3) },
    ],
  ];
  test.each(read)("%s", (text, value) => {
    expect(bytes(parseExtendedJson(text))).toBe(bytes(value));
  });
});

describe("what is no Extended JSON is refused, with a pointer to it", () => {
  const refused: [text: string, pointer: string][] = [
    ["", "#"],
    ["{", "#"],
    ["{} {}", "#"],
    ["[1,]", "#"],
    ['{"a":1,}', "#"],
    ["01", "#"],
    ["+1", "#"],
    ["1.", "#"],
    [".5", "#"],
    ["NaN", "#"],
    ["truee", "#"],
    ["'a'", "#"],
    ['"\n"', "#"],
    ['"\\x"', "#"],
    ['"\\u12"', "#"],
    ['"a', "#"],
    ['"a\\', "#"],
    ['{"a":1e999}', "#/a"],
    ['{"a":1,"b":{"c":1,"c":2}}', "#/b/c"],
    ['{"__proto__":{"polluted":1}}', "#/__proto__"],
    ['{"\\u005f_proto__":{"polluted":1}}', "#/__proto__"],
    ['{"a":[{"_bsontype":"ObjectId"}]}', "#/a/0/_bsontype"],
    ['{"a\\u0000b":1}', "#/a\0b"],
    ['{"a/b":{"~":"\\ud800"}}', "#/a~1b/~0"],
    ['"\ud800"', "#"],
    [`${"[".repeat(101)}${"]".repeat(101)}`, `#${"/0".repeat(100)}`],
    [`${'{"a":'.repeat(101)}1${"}".repeat(101)}`, `#${"/a".repeat(100)}`],
    ["[".repeat(100_000), `#${"/0".repeat(100)}`],
    ...[
      '{"$oid":"zz"}',
      `{"$oid":"${id}","a":1}`,
      '{"$oid":5}',
      '{"$numberInt":"2147483648"}',
      '{"$numberInt":5}',
      '{"$numberInt":"5.0"}',
      '{"$numberLong":"9223372036854775808"}',
      '{"$numberLong":"99999999999999999999999999"}',
      '{"$numberLong":""}',
      '{"$numberDouble":"1e999"}',
      '{"$numberDouble":"x"}',
      '{"$numberDecimal":"1e"}',
      '{"$numberDecimal":"12345678901234567890123456789012345"}',
      '{"$date":"2021-02-30T00:00:00Z"}',
      '{"$date":"yesterday"}',
      '{"$date":"2021-02-01T24:00:00Z"}',
      '{"$date":"2020-01-01"}',
      '{"$date":1.5}',
      '{"$date":null}',
      '{"$date":{"$numberLong":"9223372036854775807"}}',
      '{"$uuid":"zz"}',
      '{"$binary":{"base64":"A","subType":"00"}}',
      '{"$binary":{"base64":"AQID","subType":"04"}}',
      '{"$binary":{"base64":"AQID","subType":"09"}}',
      '{"$binary":{"base64":"AQID"}}',
      '{"$binary":"AQID","$type":"00"}',
      '{"$timestamp":{"t":-1,"i":0}}',
      '{"$timestamp":{"t":4294967296,"i":0}}',
      '{"$timestamp":{"t":1}}',
      '{"$regularExpression":{"pattern":"a"}}',
      '{"$regularExpression":{"pattern":"a","options":"g"}}',
      '{"$regularExpression":{"pattern":"a\\u0000","options":""}}',
      '{"$minKey":2}',
      '{"$maxKey":true}',
      '{"$code":"while(1);"}',
      '{"$code":"f()","$scope":{}}',
      '{"$symbol":"a"}',
      '{"$undefined":true}',
      '{"$dbPointer":{"$ref":"a","$id":1}}',
    ].map((text): [string, string] => [`{"a":[${text}]}`, "#/a/0"]),
  ];
  test.each(refused)("%#: %.60s", (text, pointer) => {
    expect(refusedAt(() => parseExtendedJson(text))).toBe(pointer);
  });

  test("the pointer begins where the caller says", () => {
    expect(refusedAt(() => parseExtendedJson('{"a":1e999}', "?filter"))).toBe("?filter/a");
  });

  test("nothing but objects of the text's own fields comes of any text", () => {
    parseExtendedJson('{"constructor":{"prototype":{"polluted":1}}}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("Extended JSON is printed relaxed, and loses nothing", () => {
  const printed: [value: unknown, text: string][] = [
    [new Int32(5), "5"],
    [5, "5"],
    [new Double(5), "5.0"],
    [new Double(-0), "-0.0"],
    [new Double(1e21), "1e+21"],
    [new Double(0.1), "0.1"],
    [0.5, "0.5"],
    [Long.fromString("9007199254740991"), "9007199254740991"],
    [Long.fromString("-9007199254740991"), "-9007199254740991"],
    [Long.fromString("9007199254740992"), '{"$numberLong":"9007199254740992"}'],
    [9007199254740993n, '{"$numberLong":"9007199254740993"}'],
    [new Double(Number.NaN), '{"$numberDouble":"NaN"}'],
    [Number.NEGATIVE_INFINITY, '{"$numberDouble":"-Infinity"}'],
    [Decimal128.fromString("1.10"), '{"$numberDecimal":"1.10"}'],
    [new ObjectId(id), `{"$oid":"${id}"}`],
    [new Date(0), '{"$date":"1970-01-01T00:00:00Z"}'],
    [new Date(1), '{"$date":"1970-01-01T00:00:00.001Z"}'],
    [new Date(-1), '{"$date":{"$numberLong":"-1"}}'],
    [new Date(253402300799999), '{"$date":"9999-12-31T23:59:59.999Z"}'],
    [new Date(253402300800000), '{"$date":{"$numberLong":"253402300800000"}}'],
    [new Date(Number.NaN), '{"$date":null}'],
    [new UUID("00112233-4455-6677-8899-aabbccddeeff"), '{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}'],
    [new Binary(Buffer.from([1, 2, 3]), 4), '{"$binary":{"base64":"AQID","subType":"04"}}'],
    [new Binary(Buffer.from([1]), 0x80), '{"$binary":{"base64":"AQ==","subType":"80"}}'],
    [Buffer.from([1, 2, 3]), '{"$binary":{"base64":"AQID","subType":"00"}}'],
    [new Timestamp({ t: 4294967295, i: 2 }), '{"$timestamp":{"t":4294967295,"i":2}}'],
    [new BSONRegExp('"', "im"), '{"$regularExpression":{"pattern":"\\"","options":"im"}}'],
    [[new MinKey(), new MaxKey()], '[{"$minKey":1},{"$maxKey":1}]'],
    [{ é: null, b: [true, "\u2028"] }, '{"é":null,"b":[true,"\u2028"]}'],
    // Only in documents that the first Croupier brings along.
    [new Code("f()", { a: 1 }), '{"$code":"f()","$scope":{"a":1}}'],
    [new Code("f()"), '{"$code":"f()"}'],
    [new BSONSymbol("a"), '{"$symbol":"a"}'],
    [undefined, '{"$undefined":true}'],
    [{ $ref: "c", $id: new ObjectId(id), $db: "d", a: 1 }, `{"$ref":"c","$id":{"$oid":"${id}"},"$db":"d","a":1}`],
    [JSON.parse('{"_bsontype":"ObjectId","__proto__":1}'), '{"_bsontype":"ObjectId","__proto__":1}'],
  ];
  test.each(printed)("%#: %p", (value, text) => {
    expect(printExtendedJson(value)).toBe(text);
  });

  test("any document that was stored comes back from its text; only a small long is an int then", () => {
    const ints = (value: unknown) =>
      BSON.EJSON.stringify(value, { relaxed: false }).replaceAll("$numberLong", "$numberInt");
    fc.assert(
      fc.property(anyDocument, (document) => {
        const stored = BSON.deserialize(BSON.serialize(document), exactBson);
        const read = parseExtendedJson(printExtendedJson(stored));
        expect(ints(read)).toBe(ints(stored));
        expect(BSON.EJSON.stringify(BSON.EJSON.parse(printExtendedJson(stored)))).toBe(
          BSON.EJSON.stringify(BSON.EJSON.parse(BSON.EJSON.stringify(stored, { relaxed: false }))),
        );
      }),
      { numRuns: 500 },
    );
  });
});

test("a binary is read however large it is, and base64 that is none isn't", () => {
  const large = Buffer.alloc(12_000_000, 7);
  const read = (base64: string) => parseExtendedJson(JSON.stringify({ $binary: { base64, subType: "00" } }));
  expect(Buffer.compare((read(large.toString("base64")) as Binary).value(), large)).toBe(0);
  const good = large.toString("base64").slice(0, 8_000_000);
  for (const wrong of [
    `${good}=`,
    `${good}a===`,
    `=${good.slice(1)}`,
    `${good.slice(1)}-`,
    `${good.slice(2)}=a`,
    "====",
    "a",
  ]) {
    expect(() => read(wrong)).toThrow("$binary");
  }
  for (const short of ["", "AA==", "AAA=", "AAAA"]) expect(read(short)).toBeInstanceOf(Binary);
});

test("a text that is read in slices may hold so many values and not one more", async () => {
  for (const most of [10, 500, 1_200]) {
    const read = (count: number) => parseInSlices(`[${Array(count).fill("1").join()}]`, () => null, most);
    expect(await read(most - 1)).toHaveLength(most - 1);
    await expect(read(most)).rejects.toMatchObject({ errors: [{ pointer: "#", code: "too_many" }] });
  }
});
