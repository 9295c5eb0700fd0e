import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON, type Document } from "mongodb";
import { exactBson, isKept } from "../../src/lib/bson/bson.ts";
import { readBson } from "../../src/lib/bson/bson-reader.ts";
import { printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { documentOf, element } from "../../src/lib/bson/raw-bson.ts";
import { anyDocument } from "../support/bson-values.ts";
import { oddFields } from "../support/odd-documents.ts";

describe("a document is read", () => {
  test("as the driver reads it, where that loses nothing", () => {
    fc.assert(
      fc.property(anyDocument, (document: Document) => {
        const bytes = BSON.serialize(document);
        const read = readBson(bytes);
        expect(read).toEqual(BSON.deserialize(bytes, exactBson));
        expect(Buffer.compare(BSON.serialize(read), bytes)).toBe(0);
      }),
    );
  });

  test("in memory of its own", () => {
    const bytes = documentOf(Object.entries(oddFields).map(([name, fields]) => element(3, name, documentOf(fields))));
    const before = printExtendedJson(readBson(bytes));
    const read = readBson(bytes);
    bytes.fill(0xff);
    expect(printExtendedJson(read)).toBe(before);
  });

  test("with names in their order, and of two that are the same the first", () => {
    const printed = (...names: string[]) =>
      printExtendedJson(
        readBson(documentOf([element(3, "a", documentOf(names.map((name) => element(10, name, Buffer.alloc(0)))))])),
      );
    expect(printed("2", "1")).toBe('{"a":{"2":null,"1":null}}');
    expect(printed("b", "1")).toBe('{"a":{"b":null,"1":null}}');
    expect(printed("1", "2", "01", "4294967295", "b", "__proto__")).toBe(
      '{"a":{"1":null,"2":null,"01":null,"4294967295":null,"b":null,"__proto__":null}}',
    );
    expect(printed("b", "a", "b")).toBe('{"a":{"b":null,"a":null}}');
  });

  test("or refused, when it is cut off anywhere", () => {
    const bytes = documentOf(Object.values(oddFields).flat());
    for (let length = 5; length < bytes.length; length += 7) {
      expect(() => readBson(Buffer.concat([bytes.subarray(0, length)]))).toThrow();
    }
  });

  test("with what is no text kept as it is, and the sign for that as a text", () => {
    const text = (...bytes: number[]) => {
      const head = Buffer.alloc(4);
      head.writeInt32LE(bytes.length + 1);
      return readBson(documentOf([element(2, "a", Buffer.from([...head, ...bytes, 0]))])).a;
    };
    expect(isKept(text(0xff))).toBe(true);
    expect(isKept(text(0xed, 0xa0, 0x80))).toBe(true);
    expect(text(0xef, 0xbf, 0xbd)).toBe("\ufffd");
    expect(text(0xef, 0xbb, 0xbf, 0x61)).toBe("\ufeffa");
  });
});
