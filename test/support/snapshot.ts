import { BSON, type Db } from "mongodb";
import { until } from "./crash.ts";

const saidAllTheTime = ["processes", "chores", "primaries"];
/** What is refused is on record, and in no other place; which processes there are, and whose turn it was, is said all the time. */
const isRecord = ({ name }: { name: string }) => name.startsWith("audit_") || saidAllTheTime.includes(name);

/** Places that were given up would be swept half a minute later, whatever is asked meanwhile: an hour later does as well. */
async function holdSweeps(db: Db): Promise<void> {
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000);
  const soon = { due_at: { $lt: inMinutes(30) } };
  await db.collection("retired_places").updateMany(soon, { $set: { due_at: inMinutes(60) } });
  const sweeps = () => db.collection("operations").countDocuments({ kind: "sweep", open: true });
  await until("the sweeps to end", async () => (await sweeps()) === 0);
}

/**
 * All that a database holds but its records of who did what, who is there and whose turn it was, as text that can be compared: its collections with their
 * indexes and documents.
 *
 * @param but more collections that are left out
 */
export async function snapshot(db: Db, but: readonly string[] = []): Promise<string> {
  await holdSweeps(db);
  const collections = await db.listCollections({}, { nameOnly: true }).toArray();
  const names = collections
    .filter(
      (collection) => !isRecord(collection) && collection.name !== "retired_places" && !but.includes(collection.name),
    )
    .map(({ name }) => name)
    .sort();
  const contents = await Promise.all(
    names.map(async (name) => ({
      name,
      indexes: (await db.collection(name).indexes()).map(({ name }) => name).sort(),
      documents: await db.collection(name).find().sort({ _id: 1 }).toArray(),
    })),
  );
  return BSON.EJSON.stringify(contents, undefined, 1);
}

/** How many documents each collection of a database holds but these records, and how many operations are open. */
export async function counts(db: Db): Promise<Record<string, number>> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  const collections = all.filter((collection) => !isRecord(collection));
  const entries = await Promise.all(
    collections.map(async ({ name }) => [name, await db.collection(name).countDocuments()] as const),
  );
  const open = await db.collection("operations").countDocuments({ open: true });
  return { ...Object.fromEntries(entries.filter(([name]) => name !== "operations")), open };
}
