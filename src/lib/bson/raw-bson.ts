import { BSON } from "mongodb";

// BSON as bytes (bsonspec.org), for documents that have to stay what they are: JavaScript's objects don't hold all that other
// clients may have stored.

export const bsonType = { string: 2, object: 3, timestamp: 17 } as const;

/** One field of a document: `name` in Latin-1, so that names that aren't UTF-8 differ too; `bytes` is all of it, type and name too. */
export type Element = { type: number; name: string; bytes: Uint8Array; value: Uint8Array };

/** The fields of a document, in order, in its own memory. */
export function elementsOf(document: Uint8Array): Element[] {
  const elements: Element[] = [];
  for (const [type, nameOffset, nameLength, offset, length] of BSON.onDemand.parseToElements(document)) {
    const name = latin1(document.subarray(nameOffset, nameOffset + nameLength));
    const end = offset + length;
    elements.push({
      type,
      name,
      bytes: document.subarray(nameOffset - 1, end),
      value: document.subarray(offset, end),
    });
  }
  return elements;
}

/** How many bytes a value of this type has that begins at `at`. */
function lengthOf(type: number, bytes: Buffer, at: number): number {
  switch (type) {
    case 1:
    case 9:
    case 17:
    case 18:
      return 8;
    case 2:
    case 13:
    case 14:
      return 4 + bytes.readInt32LE(at);
    case 3:
    case 4:
    case 15:
      return bytes.readInt32LE(at);
    case 5:
      return 5 + bytes.readInt32LE(at);
    case 7:
      return 12;
    case 8:
      return 1;
    case 11:
      return bytes.indexOf(0, bytes.indexOf(0, at) + 1) + 1 - at;
    case 12:
      return 16 + bytes.readInt32LE(at);
    case 16:
      return 4;
    case 19:
      return 16;
    default:
      return 0;
  }
}

/**
 * Those fields of a document that have these names, as a document. It may have millions of others, which are passed over
 * without a look at them. Of a name that stands twice the first counts. @param names in ASCII
 */
export function pickFields(document: Uint8Array, names: readonly string[]): Buffer {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  const missing = new Set(names.map((name) => Buffer.from(name)));
  const found: Buffer[] = [];
  for (let at = 4; bytes[at] !== 0 && missing.size > 0;) {
    const start = at + 1;
    let end = start;
    while (bytes[end] !== 0) end++;
    const next = end + 1 + lengthOf(bytes[at]!, bytes, end + 1);
    for (const name of missing) {
      if (name.length !== end - start || name[0] !== bytes[start] || name.compare(bytes, start, end) !== 0) continue;
      missing.delete(name);
      found.push(bytes.subarray(at, next));
    }
    at = next;
  }
  return documentOf(found);
}

/** The documents of which some bytes are made up, one after the other, in their memory. */
export function* documentsIn(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0, end = 0; at < bytes.byteLength; at = end) {
    end = at + view.getInt32(at, true);
    yield bytes.subarray(at, end);
  }
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

/** A field. @param name in Latin-1, as above */
export const element = (type: number, name: string, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`, "latin1"), value]);

/** A document of these fields. */
export const documentOf = (fields: readonly Uint8Array[]): Buffer => Buffer.concat(documentParts(fields));

/** The same in parts, for one that is put into another before all is copied together: each time some megabytes take 10 ms. */
function documentParts(fields: readonly Uint8Array[]): Uint8Array[] {
  const length = fields.reduce((sum, { byteLength }) => sum + byteLength, 5);
  const head = Buffer.alloc(4);
  head.writeInt32LE(length);
  return [head, ...fields, Buffer.alloc(1)];
}

/** A field that is a document, in parts. @param name in Latin-1, as above */
export const objectParts = (name: string, fields: readonly Uint8Array[]): Uint8Array[] => [
  element(bsonType.object, name, Buffer.alloc(0)),
  ...documentParts(fields),
];

/** The bytes of a text as a value. */
export function textValue(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(4);
  head.writeInt32LE(bytes.length);
  return Buffer.concat([head, bytes]);
}
