/** Many ended sessions, and what they cost a process that has to know them all. */
import { randomUUID } from "node:crypto";
import { heapStats } from "bun:jsc";
import { type Db, ObjectId } from "mongodb";
import { createRevocations } from "../src/session/revocation/revocations.ts";
import { type Revocation, readSince, revocations, write } from "../src/session/revocation/revocation-store.ts";

/** As if they had been ended over the last hour, and their tokens lived another one. */
export async function endMany(db: Db, count: number): Promise<void> {
  const [nowMs, hourMs] = [Date.now(), 3_600_000];
  for (let start = 0; start < count; start += 5_000) {
    const batch = Array.from({ length: Math.min(5_000, count - start) }, (_, index): Revocation => ({
      _id: randomUUID(),
      kind: "session",
      admin_id: new ObjectId().toHexString(),
      organization_id: new ObjectId().toHexString(),
      revoked_at: new Date(nowMs - hourMs + Math.floor(((start + index) * hourMs) / count)),
      expires_at: new Date(nowMs + 2 * hourMs),
    }));
    await revocations(db).insertMany(batch);
  }
}

const mib = (bytes: number) => bytes / 1_048_576;
function settledMemory() {
  for (let time = 0; time < 3; time++) Bun.gc(true);
  return { heap: heapStats().heapSize, resident: process.memoryUsage.rss() };
}

/** What a process that starts holds more once it has read them all: on its heap, and of the machine's memory, in MiB. */
export async function measureKnowing(db: Db): Promise<{ heap: number; resident: number }> {
  const before = settledMemory();
  const known = createRevocations({
    store: {
      write: (revocation) => write(db, revocation),
      readSince: (newest, seenMs) => readSince(db, newest, seenMs),
    },
    staleMs: 5_000,
    now: () => new Date(),
    log: { info: () => {}, warn: () => {} },
  });
  await known.start();
  const after = settledMemory();
  known.stop();
  return { heap: mib(after.heap - before.heap), resident: mib(after.resident - before.resident) };
}

if (import.meta.main) {
  // A process of its own, so that nothing else is in its memory. The address of the database, and its name.
  const { createClient } = await import("../src/lib/mongo/client.ts");
  const [url = "", name = ""] = process.argv.slice(2);
  const client = await createClient(url).connect();
  for await (const _none of readSince(client.db(name), new Date())) break;
  console.log(JSON.stringify(await measureKnowing(client.db(name))));
  await client.close();
}
