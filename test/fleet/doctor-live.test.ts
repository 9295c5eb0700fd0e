import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { doctor, type Report } from "../../src/fleet/doctor.ts";
import { createLogger } from "../../src/log.ts";
import { tiers } from "../../src/tenant/placement.ts";
import { until } from "../support/crash.ts";
import { countOpenOperations } from "../support/invariants.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { createRandom, type Random } from "../support/random.ts";
import { newcomer, send, stopAndDrop, testConfig } from "../support/service.ts";

setDefaultTimeout(180_000);

const config = testConfig({ PLACEMENT_LEASE_MS: "50" });
let running: RunningService;
let operatorKey: string;
beforeAll(async () => {
  running = await startService(config, createLogger("silent"));
  await running.ready;
  operatorKey = await makeOperatorKey(running.deps.db);
}, 60_000);
afterAll(async () => {
  await stopAndDrop(running);
}, 60_000);

type Kept = { token: string; ids: Set<string> };

const foreign = new Set<string>();
const isForeign = (one: Report) => one.finding === "collection_without_organization" && foreign.has(one.collection);

/** An organization is made, written to, moved, renamed, written to all the while, and perhaps removed. */
async function live(random: Random, isOver: () => boolean): Promise<Kept | null> {
  const who = newcomer("live");
  const ask = (method: string, path: string, body?: unknown, token?: string) =>
    send(running.url, method, path, { ...(body !== undefined && { body }), ...(token && { token }) });
  // Somebody's, of its name: no record names it, so neither the newcomer nor the doctor touches it.
  if (random.next() < 0.3) {
    await running.deps.db.createCollection(`org_${who.organization_name}`);
    foreign.add(`org_${who.organization_name}`);
  }
  const made = await ask("POST", "/org/create", who);
  if (made.status !== 201) throw new Error(`not made: ${made.status} ${made.text}`);
  const token: string = (await ask("POST", "/admin/login", { email: who.email, password: who.password })).body
    .access_token;
  const ids = new Set<string>();
  let next = 0;
  let lives = true;
  const writing = (async () => {
    while (lives) {
      const _id = `d${next++}`;
      const written = await ask("POST", "/org/documents", { _id, n: next }, token);
      // Refused in the gate: it says so, and isn't there.
      if (written.status === 201) ids.add(_id);
      else if (written.status !== 503) throw new Error(`not written: ${written.status} ${written.text}`);
      if (random.next() < 0.2 && ids.has(_id)) {
        const gone = await ask("DELETE", `/org/documents/${_id}`, undefined, token);
        if (gone.status === 204) ids.delete(_id);
        else if (gone.status !== 503) throw new Error(`not removed: ${gone.status} ${gone.text}`);
      }
      await Bun.sleep(10);
    }
  })();
  do {
    const tier = random.pick(tiers);
    await ask("POST", `/platform/organizations/${made.body.id}/moves`, { tier }, operatorKey);
    if (random.next() < 0.3) {
      await ask("POST", "/org/indexes", { key: { [random.pick(["n", "m"])]: 1 } }, token);
    }
    await until("the move to end", async () => (await openOf(made.body.id)) === 0, 60_000);
    if (random.next() < 0.4) {
      await ask("PUT", "/org/update", { organization_name: newcomer("renamed").organization_name }, token);
    }
  } while (!isOver() && random.next() < 0.7);
  lives = false;
  await writing;
  if (random.next() < 0.4) {
    const gone = await ask("DELETE", "/org/delete", undefined, token);
    if (gone.status !== 204) throw new Error(`not removed: ${gone.status} ${gone.text}`);
    return null;
  }
  return { token, ids };
}

const openOf = async (id: string) =>
  (await running.deps.db.collection("operations").find({ open: true }).toArray()).filter(
    ({ organization_id }) => organization_id.toHexString() === id,
  ).length;

test("a doctor that repairs again and again beside creates, moves, renames, deletes and writes harms nothing", async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const forMs = Number(process.env.DOCTOR_LIVE_MS ?? 8_000);
  const random = createRandom(seed);
  const deps = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
  const endMs = performance.now() + forMs;
  const isOver = () => performance.now() > endMs;
  const kept: Kept[] = [];
  let ended = false;
  const reports: Report[] = [];
  let visits = 0;
  try {
    const visiting = (async () => {
      while (!ended) {
        await doctor(deps, { repair: true }, (one) => reports.push(one));
        visits++;
      }
    })();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver()) {
          const one = await live(random, isOver);
          if (one) kept.push(one);
        }
      }),
    ).finally(() => (ended = true));
    await visiting;
    await until("the operations to end", async () => (await countOpenOperations(running.deps.db)) === 0);

    for (const { token, ids } of kept) {
      const found: string[] = [];
      for (let cursor: string | null = ""; cursor !== null;) {
        const query = `?limit=1000&projection={"_id":1}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
        const page = await send(running.url, "GET", `/org/documents${query}`, { token });
        if (page.status !== 200) throw new Error(`not listed: ${page.status} ${page.text}`);
        found.push(...page.body.documents.map(({ _id }: { _id: string }) => _id));
        cursor = page.body.next_cursor;
      }
      // What was answered with 503 may be there all the same.
      expect([...ids].filter((id) => !found.includes(id))).toEqual([]);
    }
    const left: Report[] = [];
    await doctor(deps, { repair: true }, (one) => left.push(one));
    const second: Report[] = [];
    await doctor(deps, { repair: false }, (one) => second.push(one));
    expect(second.filter((one) => !isForeign(one))).toEqual([]);
    expect(second.filter(isForeign)).toHaveLength(foreign.size);
    const kinds = Object.entries(Object.groupBy(reports, ({ finding }) => finding)).map(
      ([finding, all]) => `${finding} ${all?.length}`,
    );
    console.log(`seed ${seed}: ${kept.length} kept, ${visits} visits, found ${kinds.join(", ") || "nothing"}`);
  } finally {
    await deps.close();
  }
});
