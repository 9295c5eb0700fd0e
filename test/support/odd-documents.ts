import { Binary, BSON, Code, type Db, Decimal128, Double, Int32, Long, MaxKey, MinKey, Timestamp } from "mongodb";
import { insertBytes } from "../../src/lib/bson/write-raw.ts";
import { within } from "../../src/lib/mongo/mongo.ts";
import { documentOf, element, textValue } from "../../src/lib/bson/raw-bson.ts";

// What other clients may have stored and JavaScript can't hold, or writes in another way. Each is the value of a field, or
// several fields, as bytes.

const int = (name: string, value: number) => element(16, name, Buffer.from(Int32Array.of(value).buffer));
const long = (value: bigint) => Buffer.from(BigInt64Array.of(value).buffer);
const text = (bytes: number[]) =>
  Buffer.concat([Buffer.from(Int32Array.of(bytes.length + 1).buffer), Buffer.from([...bytes, 0])]);
const object = (name: string, ...fields: Buffer[]) => element(3, name, documentOf(fields));
const array = (name: string, ...fields: Buffer[]) => element(4, name, documentOf(fields));
/** As the driver writes it. */
const driven = (value: unknown, name = "a") => Buffer.from(BSON.serialize({ [name]: value }).subarray(4, -1));
const emptyTimestamp = (name: string) => element(17, name, Buffer.alloc(8));
const nested = (depth: number): Buffer => (depth === 0 ? int("a", 1) : object("a", nested(depth - 1)));
const binary = (type: number, bytes: number[]) =>
  element(5, "a", Buffer.from([...Buffer.from(Int32Array.of(bytes.length).buffer), type, ...bytes]));

export const oddFields: Record<string, Buffer[]> = {
  "a date beyond JavaScript's": [element(9, "a", long(9_000_000_000_000_000_000n))],
  "a date long before": [element(9, "a", long(-9_000_000_000_000_000_000n))],
  "a date before the year 0": [driven(new Date(-70_000_000_000_000))],
  "nothing (undefined)": [element(6, "a", Buffer.alloc(0))],
  "undefined in an array": [array("a", element(6, "0", Buffer.alloc(0)), int("1", 1))],
  "a DBPointer": [element(12, "a", Buffer.concat([textValue("some.where"), Buffer.alloc(12, 7)]))],
  "a reference": [object("a", element(2, "$ref", textValue("x")), int("$id", 1), int("9", 1), int("1", 2))],
  "a symbol": [element(14, "a", textValue("x"))],
  code: [driven(new Code("x"))],
  "code with a scope": [driven(new Code("x", { b: 1, c: { d: 2 } }))],
  "an empty Timestamp": [emptyTimestamp("a"), int("b", 1)],
  "two empty Timestamps": [emptyTimestamp("b"), emptyTimestamp("a")],
  "an empty Timestamp beneath": [object("a", emptyTimestamp("b"))],
  "a Timestamp": [driven(new Timestamp({ t: 4_294_967_295, i: 1 }))],
  "text that isn't UTF-8": [element(2, "a", text([0x61, 0xff, 0xfe]))],
  "text that isn't UTF-8 beneath": [array("a", object("0", element(2, "b", text([0xc0, 0x80]))))],
  "a name that isn't UTF-8": [int("a\xff", 1)],
  "NUL in a text": [driven("a\0b")],
  "a name twice": [int("b", 1), int("c", 2), int("b", 3)],
  "a name twice beneath": [object("a", int("b", 1), int("b", 2))],
  _bsontype: [element(2, "_bsontype", textValue("Int32"))],
  "_bsontype beneath": [object("a", element(2, "_bsontype", textValue("ObjectId")))],
  "_bsontype that is a number": [object("a", int("_bsontype", 5))],
  "names that are numbers": [int("b", 1), int("2", 2), int("1", 3)],
  "names that are numbers beneath": [object("a", int("2024", 1), int("2023", 2))],
  "an array with odd names": [array("a", int("5", 1), int("1", 2))],
  "names of prototypes": [int("__proto__", 1), int("constructor", 2), int("toString", 3)],
  "names of prototypes beneath": [object("a", object("__proto__", int("b", 1)))],
  "an empty name": [int("", 1), object("b", int("", 2))],
  "names with dots": [int("a.b", 1), object("c", int("d.e", 2))],
  "names with dollars": [object("a", int("$b", 1)), int("c$d", 2)],
  "binary of type 2": [element(5, "a", Buffer.from([7, 0, 0, 0, 2, 3, 0, 0, 0, 1, 2, 3]))],
  "a legacy UUID": [
    binary(
      3,
      Array.from({ length: 16 }, (_, n) => n),
    ),
  ],
  "a UUID that is too short": [binary(4, [1, 2, 3])],
  "a vector that is none": [binary(9, [9, 9, 9])],
  "an encrypted value": [binary(6, [1, 2, 3])],
  "a type of binary of one's own": [driven(new Binary(Buffer.from([1]), 0x80))],
  decimals: [
    driven(Decimal128.fromString("NaN")),
    driven(Decimal128.fromString("-0"), "b"),
    driven(Decimal128.fromString("1.500"), "c"),
    element(19, "d", Buffer.alloc(16, 0xff)),
  ],
  doubles: [driven(new Double(1)), driven(new Double(-0), "b"), element(1, "c", long(0x7ff8_0000_0000_0001n))],
  "whole numbers": [
    driven(Long.fromString("9007199254740993")),
    driven(Long.fromNumber(1), "b"),
    driven(new Int32(1), "c"),
  ],
  extremes: [driven(new MinKey()), driven(new MaxKey(), "b")],
  "a hundred levels": [nested(100)],
};

/** Inserts documents with these fields, each by its name for `_id`, at the top of a collection, with a tenant if there is one. */
export async function storeOdd(db: Db, collection: string, tenant: string | null): Promise<Map<string, Buffer>> {
  const stored = new Map<string, Buffer>();
  for (const [name, fields] of Object.entries(oddFields)) {
    const own = [element(2, "_id", textValue(name)), ...(tenant ? [element(2, "tenant_id", textValue(tenant))] : [])];
    stored.set(name, documentOf([...own, ...fields]));
  }
  await insertAsIs(db, collection, [...stored.values()]);
  return stored;
}

/** Inserts documents as no driver would, an empty Timestamp at their top too. */
export async function insertAsIs(db: Db, collection: string, documents: Buffer[]): Promise<void> {
  const refused = await insertBytes(db.collection(collection), documents, within(30_000));
  if (refused.length > 0) throw new Error(JSON.stringify(refused));
  const empty = new Timestamp({ t: 0, i: 0 });
  for (const name of ["a", "b"]) {
    // The server has put its time there.
    const ids = Object.keys(oddFields).filter((key) =>
      oddFields[key]!.some((field) => field.equals(emptyTimestamp(name))),
    );
    await db.collection(collection).updateMany({ _id: { $in: ids as never[] } }, { $set: { [name]: empty } });
  }
}
