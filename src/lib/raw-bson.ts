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

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

/** A field. @param name in Latin-1, as above */
export const element = (type: number, name: string, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`, "latin1"), value]);

/** A document of these fields. */
export function documentOf(fields: readonly Uint8Array[]): Buffer {
  const length = fields.reduce((sum, { byteLength }) => sum + byteLength, 5);
  const head = Buffer.alloc(4);
  head.writeInt32LE(length);
  return Buffer.concat([head, ...fields, Buffer.alloc(1)], length);
}

/** The bytes of a text as a value. */
export function textValue(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(4);
  head.writeInt32LE(bytes.length);
  return Buffer.concat([head, bytes]);
}
