import { type Collection, type Document, MongoServerError } from "mongodb";
import { executeOperation } from "mongodb/lib/operations/execute_operation.js";
import { InsertOperation } from "mongodb/lib/operations/insert.js";
import { UpdateOperation } from "mongodb/lib/operations/update.js";
import { MongoDBNamespace } from "mongodb/lib/utils.js";
import { durable, type within } from "../mongo/mongo.ts";

// What the driver does for `insertMany` and `updateOne`, sending it once more where a change of the primary came between
// included, with statements that are bytes already.

type InTime = ReturnType<typeof within>;

async function execute<D extends Document>({ db }: { db: Collection<D>["db"] }, operation: object) {
  // To make so many bytes has taken a while, and to send them takes another: who came between goes first.
  await new Promise(setImmediate);
  const answer = await executeOperation(db.client, operation);
  if (answer.writeConcernError) throw new MongoServerError(answer.writeConcernError);
  return answer;
}

const namespaceOf = ({ dbName, collectionName }: Collection) => new MongoDBNamespace(dbName, collectionName);
const optionsFor = (inTime: InTime) => ({ ordered: false, ...durable, ...inTime });

/** Which document was refused, by its place, and the server's code; `errmsg` may quote the document. */
export type RawRefusal = { index: number; code: number; errmsg: string };

/**
 * Inserts documents, each by itself, for the majority.
 *
 * @returns those that the server refused; the others are there
 * @throws what leaves open which are there
 */
export async function insertBytes(
  collection: Collection,
  documents: readonly Uint8Array[],
  inTime: InTime,
): Promise<RawRefusal[]> {
  const operation = new InsertOperation(
    namespaceOf(collection),
    documents.map(() => ({})),
    optionsFor(inTime),
    documents,
  );
  const { writeErrors = [] } = await execute(collection, operation);
  return writeErrors;
}

/** Changes one document. @param statement `{q, u}` @returns how many it found. @throws MongoServerError when it is refused */
export async function updateBytes(collection: Collection, statement: Uint8Array, inTime: InTime): Promise<number> {
  const operation = new UpdateOperation(namespaceOf(collection), [{}], optionsFor(inTime), [statement]);
  const { n, writeErrors } = await execute(collection, operation);
  if (writeErrors?.[0]) throw new MongoServerError(writeErrors[0]);
  return n;
}
