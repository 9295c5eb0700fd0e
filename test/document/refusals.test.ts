import { expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { refusalOf } from "../../src/document/insert.ts";
import { printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { printInSlices } from "../../src/lib/json/print-in-slices.ts";

const documents = Array.from({ length: 100_000 }, (_, n) => ({ id: n % 2 === 0 ? n : new ObjectId(), fields: {} }));
const refusedOf = (places: number[]) => places.map((index) => ({ index, because: "id_taken" as const }));

test("an answer names the first thousand documents that were refused, says how many there are, and has the ids of all others", () => {
  const { errors, message, members } = refusalOf(documents, refusedOf([...documents.keys()]), true);
  expect(errors).toHaveLength(1_000);
  expect(errors!.at(-1)).toMatchObject({ pointer: "#/999/_id", code: "document_exists" });
  expect(message).toBe(
    "100000 of 100000 documents were rejected; the others are stored. The first 1000 that were rejected are listed.",
  );
  expect(members).toEqual({ inserted_ids: [] });
  const some = refusalOf(documents, refusedOf([0, 1]), true);
  expect(some.message).toBe("2 of 100000 documents were rejected; the others are stored.");
  expect((some.members!.inserted_ids as unknown[]).length).toBe(99_998);
});

test("the ids of a hundred thousand documents are printed in slices, and as they are printed in one go", async () => {
  const answer = { inserted_count: documents.length, inserted_ids: documents.map(({ id }) => id), errors: [] };
  let asked = 0;
  const printed = await printInSlices(answer, () => (++asked % 10 === 0 ? Promise.resolve() : null));
  expect(printed).toBe(printExtendedJson(answer));
  expect(asked).toBe(1_000);
});
