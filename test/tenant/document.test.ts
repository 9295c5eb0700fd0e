import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  Binary,
  BSONRegExp,
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
import {
  assertStorable,
  etagOf,
  fromStored,
  idKey,
  isScalarId,
  matchesTag,
  parseIfMatch,
  parseIfNoneMatch,
  parsePathId,
  printPathId,
  sameId,
} from "../../src/tenant/document.ts";
import { anyId } from "../support/bson-values.ts";
import { refusedAt } from "../support/refused.ts";

const nested = (depth: number): object => (depth === 1 ? {} : { a: nested(depth - 1) });

describe("what a tenant may store", () => {
  test.each([
    [{}],
    [{ _id: "a", a: { tenant_id: 1, _croupier: 2, _id: { t: 1 } } }],
    [{ constructor: 1, toString: 2, a: [{ b: [new ObjectId()] }] }],
    [nested(100)],
  ])("%#: is accepted", (document) => {
    expect(() => assertStorable(document)).not.toThrow();
  });

  test.each([
    [{ tenant_id: 1 }, "#/tenant_id"],
    [{ a: 1, _croupier: { v: 1 } }, "#/_croupier"],
    [{ $a: 1 }, "#/$a"],
    [{ a: [{ $b: 1 }] }, "#/a/0/$b"],
    [{ a: { "b.c": 1 } }, "#/a/b.c"],
    [{ "a\0": 1 }, "#/a\0"],
    [{ a: { "": 1 } }, "#/a/"],
    [JSON.parse('{"a":{"__proto__":1}}'), "#/a/__proto__"],
    [{ a: { _bsontype: "Int32" } }, "#/a/_bsontype"],
    [nested(101), `#${"/a".repeat(100)}`],
    [[], "#"],
    [null, "#"],
    [new ObjectId(), "#"],
    [{ _id: null }, "#/_id"],
    [{ _id: undefined }, "#/_id"],
    [{ _id: { t: 1, i: 2 } }, "#/_id"],
    [{ _id: [1] }, "#/_id"],
    [{ _id: new BSONRegExp("a") }, "#/_id"],
    [{ _id: new Timestamp({ t: 1, i: 1 }) }, "#/_id"],
    [{ _id: new MinKey() }, "#/_id"],
    [{ _id: new MaxKey() }, "#/_id"],
    [{ _id: "é".repeat(513) }, "#/_id"],
    [{ _id: new Binary(Buffer.alloc(1025)) }, "#/_id"],
  ])("%#: is refused", (document, pointer) => {
    expect(refusedAt(() => assertStorable(document))).toBe(pointer);
  });
});

describe("ids in paths", () => {
  const hex = "0123456789abcdef01234567";
  test.each([
    [hex, new ObjectId(hex)],
    [`"${hex}"`, hex],
    ["42", new Int32(42)],
    ['"42"', "42"],
    ["4.5", new Double(4.5)],
    ["9007199254740993", Long.fromString("9007199254740993")],
    ["true", true],
    ['{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}', new UUID("00112233-4455-6677-8899-aabbccddeeff")],
    ['{"$date":"2020-01-01T00:00:00Z"}', new Date("2020-01-01T00:00:00Z")],
    ['{"$numberDecimal":"1.5"}', Decimal128.fromString("1.5")],
    // Anything else is the very string.
    ["null", "null"],
    ["[1]", "[1]"],
    ['{"t":"a","i":1}', '{"t":"a","i":1}'],
    ['{"$minKey":1}', '{"$minKey":1}'],
    ['{"$oid":"zz"}', '{"$oid":"zz"}'],
    ["a/b c", "a/b c"],
    ["", ""],
  ])("%s", (segment, id) => {
    expect(parsePathId(segment)).toEqual(id);
  });

  test("what is printed is read as the same id, through a URL as well", () => {
    const tricky = fc.constantFrom("", ".", "..", " 5", "null", "true", hex, '"a"', "{}", "%2e", "a/b", "1e5", "-0");
    fc.assert(
      fc.property(
        fc.oneof(anyId, tricky, fc.string({ unit: fc.constantFrom(..."az09AF\"'{}[]$%/.:+-# \0\n\u2028é😀") })),
        (id) => {
          expect(sameId(parsePathId(printPathId(id)), id)).toBe(true);
          const url = new URL(`/documents/${encodeURIComponent(printPathId(id))}`, "http://localhost");
          expect(decodeURIComponent(url.pathname.slice("/documents/".length))).toBe(printPathId(id));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("one id", () => {
  test.each([
    [new Int32(5), Long.fromNumber(5), true],
    [new Int32(5), new Double(5), true],
    [new Int32(50), Decimal128.fromString("5.00E+1"), true],
    [new Double(0), new Double(-0), true],
    [new Double(0.5), Decimal128.fromString("0.5"), true],
    [new Double(0.1), Decimal128.fromString("0.1"), false],
    [new Double(2 ** 53), Long.fromString("9007199254740993"), false],
    [new Double(Number.NaN), Decimal128.fromString("NaN"), true],
    [new Double(Infinity), Decimal128.fromString("Infinity"), true],
    [new Double(1e300), Decimal128.fromString("1E+300"), false],
    [new Double(1e-300), Decimal128.fromString("1E-300"), false],
    [new Double(2 ** -48), Decimal128.fromString("3.552713678800500929355621337890625E-15"), true],
    [new Double(5 ** 22), Decimal128.fromString("2384185791015625"), true],
    [new Double(5 ** 22 * 2 ** 22), Decimal128.fromString("1E+22"), true],
    [new Double(-0), new Int32(0), true],
    [new Int32(5), "5", false],
    [true, "true", false],
    [5, new Int32(5), true],
    [new Date(5), new Int32(5), false],
    [
      new UUID("00112233-4455-6677-8899-aabbccddeeff"),
      new Binary(Buffer.from("00112233445566778899aabbccddeeff", "hex"), 4),
      true,
    ],
    [new Binary(Buffer.from("a")), new Binary(Buffer.from("a"), 5), false],
    [new ObjectId("0123456789abcdef01234567"), "0123456789abcdef01234567", false],
  ])("%p and %p: %p", (one, other, same) => {
    expect(sameId(one, other)).toBe(same);
    expect(idKey(one) === idKey(other)).toBe(same);
    expect(isScalarId(one)).toBe(true);
  });
});

test("the key of an id that is the smallest double has no hundreds of digits", () => {
  expect(idKey(new Double(5e-324)).length).toBeLessThan(40);
  expect(idKey(new Double(Number.MAX_VALUE)).length).toBeLessThan(40);
});

describe("a stored document as its tenant knows it", () => {
  const own = { tenant_id: "t", _croupier: { v: 1, h: ["w"] } };
  test.each([
    [{ _id: { t: "t", i: 5 }, ...own, b: 1, a: { tenant_id: 2 } }, true, { _id: 5, b: 1, a: { tenant_id: 2 } }],
    [{ b: 1, ...own, _id: 5, a: 2 }, false, { _id: 5, b: 1, a: 2 }],
    [{ b: 1 }, true, { b: 1 }],
    [{ _id: 5 }, false, { _id: 5 }],
  ])("%#", (stored, shared, document) => {
    expect(JSON.stringify(fromStored(stored, shared))).toBe(JSON.stringify(document));
  });
});

describe("entity tags", () => {
  test("name the version and the newest write", () => {
    expect(etagOf({ v: new Int32(3), h: ["new", "old"] })).toBe('"3-new"');
    expect(etagOf({ v: 0, h: [] })).toBe('"0"');
    expect(etagOf(undefined)).toBe('"0"');
  });

  test.each([
    ["*", "any"],
    [' "3-new" ', [{ v: 3, writeId: "new" }]],
    ['"0"', [{ v: 0, writeId: null }]],
    [
      '"1-a", "2-b-c" ,,"3-d,e"',
      [
        { v: 1, writeId: "a" },
        { v: 2, writeId: "b-c" },
        { v: 3, writeId: "d,e" },
      ],
    ],
    // Never matches: weak, or made by somebody else.
    ['W/"3-new"', []],
    ['"abc", "01-a", ""', []],
  ])("If-Match: %s", (header, tags) => {
    expect(parseIfMatch(header)).toEqual(tags as ReturnType<typeof parseIfMatch>);
  });

  test.each(["", ",", "abc", '"a', '"a" "b"', '*, "1-a"', 'w/"1-a"', '"a\u0100"'])(
    "If-Match: %s is refused",
    (header) => {
      expect(refusedAt(() => parseIfMatch(header))).toBe("If-Match");
    },
  );

  test("a tag that was made matches its document, and no other write's", () => {
    const stamp = { v: 3, h: ["new", "old"] };
    expect(matchesTag(parseIfMatch(etagOf(stamp)), stamp)).toBe(true);
    expect(matchesTag(parseIfNoneMatch(`W/${etagOf(stamp)}`), stamp)).toBe(true);
    expect(matchesTag(parseIfMatch('"3-old", "3", "0"'), stamp)).toBe(false);
    expect(matchesTag(parseIfMatch("*"), stamp)).toBe(true);
    expect(matchesTag(parseIfMatch('"0"'), null)).toBe(true);
  });
});
