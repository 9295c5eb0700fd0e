import { expect, test } from "bun:test";
import { createClient } from "../../src/lib/mongo/client.ts";
import { startChild, until } from "../support/crash.ts";
import { countOpenOperations, describeOpenOperations, findViolations } from "../support/invariants.ts";
import { createRandom, type Random } from "../support/random.ts";
import {
  assertReusable,
  create,
  type Credentials,
  furnish,
  signIn,
  type Target,
  type Tenant,
} from "../support/scenarios.ts";
import { freshDatabaseName, goodPassword, send } from "../support/service.ts";

const rounds = Number(process.env.CRASH_ROUNDS || 6);
const clients = 8;
/** Fewer than there are clients and wishes: so names collide, are given up and are taken by others. */
const names = Array.from({ length: 12 }, (_, n) => `name-${n}`);

type Call = { seed: number; client: number; what: string; status: number | null };
/** What a client knows: its tenant, or none; and what it asked for when it got no answer that says whether it is done. */
type Known = {
  tenant: Tenant | null;
  asked: { create: Credentials } | { change: Partial<Credentials> } | "delete" | null;
};

let serial = 0;
const freshEmail = () => `load-${++serial}@example.com`;
const freshPassword = () => `${goodPassword}-${++serial}`;

/** Sends creates, updates and deletes at random until there is no answer, and notes each. */
async function act(
  at: Target,
  random: Random,
  known: Known,
  note: (what: string, status: number | null) => void,
): Promise<void> {
  while (!known.asked) {
    const { tenant } = known;
    if (!tenant) {
      const wanted = { organization_name: random.pick(names), email: freshEmail(), password: freshPassword() };
      known.asked = { create: wanted };
      const answer = await create(at, wanted).catch(() => null);
      note(`create ${wanted.organization_name} ${wanted.email}`, answer?.status ?? null);
      if (answer?.status === 201) {
        const signedIn = await signIn(at, wanted).catch(() => null);
        const token = signedIn?.body?.access_token ?? "";
        known.tenant = { ...wanted, id: answer.body.id, token, belongings: await furnish(at.db, answer.body.id) };
        known.asked = null;
        if (!token) return;
      } else if (answer?.status === 400) known.asked = null;
    } else if (random.next() < 0.25) {
      known.asked = "delete";
      const answer = await send(at.url, "DELETE", "/org/delete", { token: tenant.token }).catch(() => null);
      note(`delete ${tenant.organization_name} ${tenant.id}`, answer?.status ?? null);
      if (answer?.status === 204) Object.assign(known, { tenant: null, asked: null });
    } else {
      const change = {
        ...(random.next() < 0.8 && { organization_name: random.pick(names) }),
        ...(random.next() < 0.3 && { email: freshEmail() }),
        ...(random.next() < 0.3 && { password: freshPassword() }),
      };
      if (Object.keys(change).length === 0) continue;
      known.asked = { change };
      const answer = await send(at.url, "PUT", "/org/update", { body: change, token: tenant.token }).catch(() => null);
      note(`update ${tenant.id} ${tenant.organization_name} to ${JSON.stringify(change)}`, answer?.status ?? null);
      if (answer?.status === 200) Object.assign(known, { tenant: { ...tenant, ...change }, asked: null });
      else if (answer?.status === 400) known.asked = null;
    }
  }
}

/** Whether this tenant is there, exactly so. */
async function isThere(at: Target, { organization_name, email, password, id }: Credentials & { id?: string }) {
  const signedIn = await signIn(at, { email, password });
  const found = await send(at.url, "GET", `/org/get?organization_name=${organization_name}`);
  const { organization_id } = signedIn.body;
  return signedIn.status === 200 &&
    found.body.id === organization_id &&
    found.body.email === email &&
    (!id || id === organization_id)
    ? { id: organization_id as string, token: signedIn.body.access_token as string }
    : null;
}

/** What was asked for without an answer is done or not; what was acknowledged holds. @returns what doesn't */
async function learn(at: Target, known: Known): Promise<string | null> {
  const { tenant, asked } = known;
  known.asked = null;
  if (asked !== null && typeof asked === "object" && "create" in asked) {
    const made = await isThere(at, asked.create);
    known.tenant = made && { ...asked.create, ...made, belongings: await furnish(at.db, made.id) };
    return null;
  }
  if (!tenant) return null;
  const possible = asked !== null && typeof asked === "object" ? [tenant, { ...tenant, ...asked.change }] : [tenant];
  for (const one of possible) {
    const there = await isThere(at, one);
    if (there) {
      known.tenant = { ...one, token: there.token };
      return null;
    }
  }
  known.tenant = null;
  if (asked === "delete") return null;
  return `${tenant.id} is not there as ${possible.map(({ organization_name, email }) => `${organization_name} ${email}`).join(" or ")}`;
}

test(`${rounds} kills at random moments under load: what was acknowledged holds, the rest is whole or not there`, async () => {
  const client = createClient(process.env.MONGODB_URL!);
  const db = client.db(freshDatabaseName());
  const firstSeed = Number(process.env.CRASH_SEED || Math.floor(Math.random() * 1_000_000_000));
  const history: Call[] = [];
  const all = Array.from({ length: clients }, (): Known => ({ tenant: null, asked: null }));
  let child = await startChild({ databaseName: db.databaseName, leaseMs: 1_500 });
  const wrong: string[] = [];
  let unanswered = 0;
  try {
    for (let round = 0; round < rounds && wrong.length === 0; round++) {
      const seed = firstSeed + round;
      const random = createRandom(seed);
      const acting = all.map((known, index) =>
        act({ url: child.url, db }, createRandom(seed * 31 + index), known, (what, status) => {
          history.push({ seed, client: index, what, status });
        }),
      );
      await Bun.sleep(random.between(200, 2_000));
      child.signal("SIGKILL");
      expect(await child.died).toBe("SIGKILL");
      await Promise.all(acting);
      unanswered += all.filter(({ asked }) => asked).length;

      child = await startChild({ databaseName: db.databaseName, leaseMs: 1_500 });
      await until("the operations to end", async () => (await countOpenOperations(db)) === 0).catch(async (error) => {
        throw new Error(`${error.message}, seed ${seed}: ${await describeOpenOperations(db)}`);
      });
      const at = { url: child.url, db };
      for (const known of all) {
        const lost = await learn(at, known);
        if (lost) wrong.push(lost);
      }
      const tenants = all.flatMap(({ tenant }) => (tenant ? [tenant] : []));
      wrong.push(
        ...(await findViolations(
          db,
          tenants.map(({ belongings }) => belongings),
        )),
      );
      const there = await db.collection("organizations").countDocuments();
      if (there !== tenants.length) wrong.push(`${there} organizations, ${tenants.length} of them known`);
      // No name that nobody has is burned.
      for (const organization_name of names.filter((name) => tenants.every((one) => one.organization_name !== name))) {
        await assertReusable(at, { organization_name, email: freshEmail(), password: goodPassword }).catch((error) =>
          wrong.push(String(error)),
        );
      }
      if (wrong.length > 0) {
        wrong.push(`seed ${seed}`, ...history.filter((call) => call.seed === seed).map((call) => JSON.stringify(call)));
      }
    }
    const acknowledged = history.filter(({ status }) => status !== null && status < 300).length;
    console.log(
      `seeds ${firstSeed} and on: ${rounds} kills, ${history.length} requests, ${acknowledged} acknowledged, ${unanswered} in doubt`,
    );
    expect(wrong).toEqual([]);
    expect(unanswered).toBeGreaterThan(0);
    expect(acknowledged).toBeGreaterThan(0);
  } finally {
    await child.end();
    await db.dropDatabase();
    await client.close();
  }
}, 300_000);
