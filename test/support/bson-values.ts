import fc from "fast-check";
import {
  Binary,
  BSONRegExp,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { isDocument } from "../../src/lib/bson/bson.ts";

// Small ranges: values that meet each other are the interesting ones.
const int = fc.integer({ min: -3, max: 3 }).map((n) => new Int32(n));
const long = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map((n) => Long.fromNumber(n)),
  fc
    .constantFrom("9007199254740992", "9007199254740993", "-9223372036854775808", "9223372036854775807")
    .map(Long.fromString),
);
const double = fc
  .constantFrom(-3, -0.5, -0, 0, 0.1, 1, 2.5, 3, Number.NaN, Infinity, -Infinity, 9007199254740992, 1e300)
  .map((n) => new Double(n));
const decimal = fc
  .constantFrom("0.1", "1", "1.00", "-0", "2.5", "9007199254740993", "NaN", "Infinity", "-Infinity", "1E+6000")
  .map(Decimal128.fromString);
const text = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("", "a", "A", "ab", "é", "z", "😀", "a.b", "$a", "$$ROOT", "tenant_id", "a\0b", "5"),
  },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 6 }).filter((value) => value.isWellFormed()) },
);
const objectId = fc
  .constantFrom("000000000000000000000000", "65f000000000000000000001", "ffffffffffffffffffffffff")
  .map((hex) => new ObjectId(hex));
const date = fc.constantFrom(-62135596800000, -1, 0, 1, 1700000000000, 253402300800000).map((ms) => new Date(ms));
const binary = fc.oneof(
  fc
    .constantFrom("00112233-4455-4677-8899-aabbccddeeff", "ffffffff-ffff-4fff-bfff-ffffffffffff")
    .map((hex) => new UUID(hex)),
  fc
    .tuple(fc.constantFrom([], [1], [2], [1, 2]), fc.constantFrom(0, 5, 128))
    .map(([bytes, type]) => new Binary(Buffer.from(bytes), type)),
);

/** What can be the `_id` of a tenant's document. */
export const anyId = fc.oneof(
  { weight: 3, arbitrary: fc.oneof(int, long, double, decimal) },
  { weight: 3, arbitrary: text },
  { weight: 1, arbitrary: fc.boolean() },
  { weight: 2, arbitrary: objectId },
  { weight: 1, arbitrary: date },
  { weight: 1, arbitrary: binary },
);

export const anyScalar = fc.oneof(
  { weight: 12, arbitrary: anyId },
  { weight: 3, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.constantFrom([1, 0], [1, 1], [4294967295, 2]).map(([t, i]) => new Timestamp({ t: t!, i: i! })),
      fc.constantFrom(["a", ""], ["a", "i"], ["b", ""]).map(([pattern, options]) => new BSONRegExp(pattern!, options!)),
      fc.constantFrom(new MinKey(), new MaxKey()),
    ),
  },
);

export const fieldNames = ["a", "b", "c"] as const;
/** `tenant_id` and `_id` are ordinary names beneath the top. */
const nestedNames = ["a", "b", "tenant_id", "_croupier", "_id", "t", "i"] as const;

const objectOf = (names: readonly string[], value: fc.Arbitrary<unknown>) =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...names), value), { maxLength: 3, selector: ([name]) => name })
    .map((entries): Document => Object.fromEntries(entries));

const nest = (value: fc.Arbitrary<unknown>, arrays: boolean): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 5, arbitrary: anyScalar },
    { weight: 1, arbitrary: objectOf(nestedNames, value) },
    ...(arrays ? [{ weight: 1, arbitrary: fc.array(value, { maxLength: 3 }) }] : []),
  );
export const anyValue = nest(nest(nest(anyScalar, true), true), true);
/** No array in it. */
const flatValue = nest(nest(anyScalar, false), false);

/** A document without an `_id`. */
export const anyDocument = objectOf(fieldNames, anyValue);
export const flatDocument = objectOf(fieldNames, flatValue);

/** The same without MinKey and MaxKey. */
export const withoutExtremes = (value: unknown): unknown => {
  if (value instanceof MinKey || value instanceof MaxKey) return null;
  if (Array.isArray(value)) return value.map(withoutExtremes);
  if (!isDocument(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withoutExtremes(part)]));
};
