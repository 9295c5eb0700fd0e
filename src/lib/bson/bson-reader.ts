import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from "mongodb";
import { type Fields, keep } from "./bson.ts";

/** What is read, and how far it is read. */
type Reader = { bytes: Buffer; at: number };

/**
 * Reads a document as the driver does with `exactBson`, and what the driver loses too: an object within it whose names
 * JavaScript would put in another order, or of which two are the same, is a Map; what JavaScript has no value for is kept as
 * bytes. Of a name that stands twice the first counts, as for the database.
 */
export function readBson(document: Uint8Array): Document {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  const fields = readFields({ bytes, at: 0 });
  return fields instanceof Map ? Object.fromEntries(fields) : fields;
}

function readFields(reader: Reader): Fields {
  const { bytes } = reader;
  const fields: Document = {};
  let ordered: Map<string, unknown> | null = null;
  let last = -1;
  reader.at += 4;
  for (let type = bytes[reader.at]!; type !== 0; type = bytes[reader.at]!) {
    reader.at++;
    const name = readName(reader);
    const value = readValue(reader, type);
    const number = numberOf(name);
    if (ordered === null && (number < last || name === "__proto__" || Object.hasOwn(fields, name)))
      ordered = new Map(Object.entries(fields));
    last = number;
    if (ordered === null) fields[name] = value;
    else if (!ordered.has(name)) ordered.set(name, value);
  }
  reader.at++;
  return ordered ?? fields;
}

/** Where JavaScript puts a name: numbers come first, in their order. */
const numberOf = (name: string): number => {
  const first = name.charCodeAt(0);
  const isNumber = first >= 48 && first <= 57 && /^(?:0|[1-9]\d{0,9})$/.test(name) && Number(name) < 0xffff_ffff;
  return isNumber ? Number(name) : Number.POSITIVE_INFINITY;
};

function readArray(reader: Reader): unknown[] {
  const values: unknown[] = [];
  reader.at += 4;
  for (let type = reader.bytes[reader.at]!; type !== 0; type = reader.bytes[reader.at]!) {
    reader.at = endOfName(reader.bytes, reader.at + 1) + 1;
    values.push(readValue(reader, type));
  }
  reader.at++;
  return values;
}

function endOfName(bytes: Buffer, at: number): number {
  let end = at;
  while (bytes[end]) end++;
  if (end >= bytes.length - 1) throw cutOff();
  return end;
}

const cutOff = () => new RangeError("The BSON is cut off");

function readName(reader: Reader): string {
  const end = endOfName(reader.bytes, reader.at);
  const name = reader.bytes.toString("utf8", reader.at, end);
  reader.at = end + 1;
  return name;
}

/** The place of the next bytes, which are read then. */
function take(reader: Reader, length: number): number {
  const { at } = reader;
  reader.at += length;
  if (length < 0 || reader.at >= reader.bytes.length) throw cutOff();
  return at;
}

function readText(reader: Reader): string {
  const length = reader.bytes.readInt32LE(take(reader, 4));
  const at = take(reader, length);
  return reader.bytes.toString("utf8", at, at + length - 1);
}

/** Text that isn't UTF-8 is kept: as another text it would be compared with what isn't there. */
function readString(reader: Reader): unknown {
  const at = reader.at + 4;
  const text = readText(reader);
  if (!text.includes("\ufffd")) return text;
  const bytes = reader.bytes.subarray(at, reader.at - 1);
  return Buffer.from(text).equals(bytes) ? text : keep(2, Buffer.from(bytes));
}

/** The next bytes in memory of their own: what they came in is much larger, mostly. */
const copyOf = (reader: Reader, length: number): Buffer => {
  const at = take(reader, length);
  return Buffer.from(reader.bytes.subarray(at, at + length));
};

function readBinary(reader: Reader): Binary {
  let length = reader.bytes.readInt32LE(take(reader, 4));
  const type = reader.bytes[take(reader, 1)]!;
  // Its bytes have their length before them once more (bsonspec.org).
  if (type === Binary.SUBTYPE_BYTE_ARRAY) length = reader.bytes.readInt32LE(take(reader, 4));
  const binary = new Binary(copyOf(reader, length), type);
  return type === Binary.SUBTYPE_UUID && length === 16 ? binary.toUUID() : binary;
}

function readDate(reader: Reader): unknown {
  const at = take(reader, 8);
  const date = new Date(reader.bytes.readInt32LE(at + 4) * 2 ** 32 + reader.bytes.readUInt32LE(at));
  return Number.isNaN(date.valueOf()) ? keep(9, Buffer.from(reader.bytes.subarray(at, at + 8))) : date;
}

function readRegExp(reader: Reader): unknown {
  const { at } = reader;
  const [pattern, options] = [readName(reader), readName(reader)];
  try {
    return new BSONRegExp(pattern, options);
  } catch {
    // Options that there aren't.
    return keep(11, Buffer.from(reader.bytes.subarray(at, reader.at)));
  }
}

function readValue(reader: Reader, type: number): unknown {
  const { bytes } = reader;
  switch (type) {
    case 1:
      return new Double(bytes.readDoubleLE(take(reader, 8)));
    case 2:
      return readString(reader);
    case 3:
      return readFields(reader);
    case 4:
      return readArray(reader);
    case 5:
      return readBinary(reader);
    case 6:
      return undefined;
    case 7:
      return new ObjectId(copyOf(reader, 12));
    case 8:
      return bytes[take(reader, 1)] === 1;
    case 9:
      return readDate(reader);
    case 10:
      return null;
    case 11:
      return readRegExp(reader);
    case 12: {
      const length = bytes.readInt32LE(reader.at);
      return keep(12, copyOf(reader, 4 + length + 12));
    }
    case 13:
      return new Code(readText(reader));
    case 14:
      return new BSONSymbol(readText(reader));
    case 15: {
      take(reader, 4);
      return new Code(readText(reader), readFields(reader));
    }
    case 16:
      return new Int32(bytes.readInt32LE(take(reader, 4)));
    case 17: {
      const at = take(reader, 8);
      return new Timestamp({ t: bytes.readUInt32LE(at + 4), i: bytes.readUInt32LE(at) });
    }
    case 18: {
      const at = take(reader, 8);
      return new Long(bytes.readInt32LE(at), bytes.readInt32LE(at + 4));
    }
    case 19:
      return new Decimal128(copyOf(reader, 16));
    case 127:
      return new MaxKey();
    case 255:
      return new MinKey();
    default:
      throw new TypeError("Not a type of BSON");
  }
}
