import { type Db, MongoServerError } from "mongodb";
import { DocumentSequence } from "mongodb/lib/cmap/commands.js";
import { durable, within } from "../mongo/mongo.ts";

/** Which document was refused, by its place, and the server's code; `errmsg` may quote the document. */
export type RawRefusal = { index: number; code: number; errmsg: string };

/**
 * Inserts documents as the bytes that they are, for the majority.
 *
 * @returns those that the server refused; the others are there
 * @throws what leaves open which are there
 */
export async function insertRaw(
  db: Db,
  collection: string,
  documents: readonly Uint8Array[],
  timeoutMs: number,
): Promise<RawRefusal[]> {
  const sequence = new DocumentSequence("documents");
  for (const bytes of documents) sequence.push({}, bytes);
  const command = { insert: collection, documents: sequence, ordered: false, ...durable };
  const { writeErrors = [], writeConcernError } = await db.command(command, within(timeoutMs));
  if (writeConcernError) throw new MongoServerError(writeConcernError);
  return writeErrors;
}
