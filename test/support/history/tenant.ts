import { type Db, type Document, type MongoClient, ObjectId } from "mongodb";
import { until } from "../crash.ts";
import { goodPassword, send } from "../service.ts";
import { readDocument } from "./document.ts";
import type { Page } from "./history.ts";

export type Tier = "starter" | "professional" | "enterprise";
const tiersByLetter: Record<string, Tier> = { s: "starter", p: "professional", e: "enterprise" };
export const allDirections = ["s>p", "p>e", "s>e", "e>p", "p>s", "e>s"];
export const tiersOf = (direction: string): { from: Tier; to: Tier } => {
  const [from, to] = direction.split(">").map((letter) => tiersByLetter[letter]);
  if (!from || !to || from === to)
    throw new Error(`Not a direction: ${direction}; there are ${allDirections.join(", ")}`);
  return { from, to };
};

export type Tenant = { id: string; name: string; token: string };

/** The service, as an operator asks for it: those of its processes that can be asked, and a key. */
export type Platform = { urls: () => string[]; operatorKey: string };

const must = async (what: string, answer: ReturnType<typeof send>, status: number) => {
  const { body, text, ...rest } = await answer;
  if (rest.status !== status) throw new Error(`${what}: ${rest.status} ${text}`);
  return body;
};

/** Makes a tenant and signs its admin in; where the machine is slow it takes more than one try, each under another name. */
export async function makeTenant(url: string, hint: string): Promise<Tenant> {
  let tries = 0;
  return await until(
    `${hint} to be made`,
    async () => {
      const name = `${hint}-${++tries}`;
      const who = { email: `${name}@example.com`, password: goodPassword };
      const made = await send(url, "POST", "/org/create", { body: { organization_name: name, ...who } });
      if (made.status !== 201) return null;
      const signedIn = await must(`sign in ${name}`, send(url, "POST", "/admin/login", { body: who }), 200);
      return { id: made.body.id as string, name, token: signedIn.access_token as string };
    },
    60_000,
  );
}

export type OperationSeen = {
  id: string;
  status: "running" | "stopped" | "succeeded" | "failed" | "cancelled";
  phase: string;
  error: unknown;
  history: unknown;
};

/** A process that is stopped takes a request and says nothing. */
const within = (ms: number, answer: ReturnType<typeof send>) =>
  Promise.race([answer.catch(() => null), Bun.sleep(ms).then(() => null)]);

/** Asks for a move, of any process that answers. @returns the operation's id */
export async function startMove({ urls, operatorKey: token }: Platform, { id }: Tenant, tier: Tier): Promise<string> {
  const path = `/platform/organizations/${id}/moves`;
  const asked = async () => {
    for (const url of urls()) {
      const answer = await within(6_000, send(url, "POST", path, { body: { tier }, token }));
      if (answer?.status === 202) return answer.body.id as string;
      // One that answered nothing has begun it.
      const open = `/platform/operations?organization_id=${id}&kind=move`;
      const found = answer?.status === 409 && (await within(6_000, send(url, "GET", open, { token })));
      if (found && found.status === 200 && found.body.operations[0]) return found.body.operations[0].id as string;
      if (answer && answer.status < 500) throw new Error(`move to ${tier}: ${answer.status} ${answer.text}`);
    }
    return null;
  };
  return await until(`the move to ${tier} to begin`, asked, 30_000);
}

/** The operation as any process that answers sees it; null when none does. */
async function findOperation({ urls, operatorKey: token }: Platform, id: string): Promise<OperationSeen | null> {
  for (const url of urls()) {
    const answer = await within(2_000, send(url, "GET", `/platform/operations/${id}`, { token }));
    if (answer?.status === 200) return answer.body;
  }
  return null;
}

const resumeOperation = ({ urls, operatorKey: token }: Platform, id: string) =>
  send(urls()[0]!, "POST", `/platform/operations/${id}/resume`, { token });

/** Waits for a move to end; one that stops is resumed. @returns how it ended and how often it had to be resumed */
export async function awaitMove(
  platform: Platform,
  id: string,
  timeoutMs: number,
): Promise<{ operation: OperationSeen; resumed: number }> {
  let resumed = 0;
  let last: OperationSeen | null = null;
  const operation = await until(
    "the move to end",
    async () => {
      const seen = await findOperation(platform, id);
      last = seen ?? last;
      if (seen && ["succeeded", "failed", "cancelled"].includes(seen.status)) return seen;
      if (seen?.status === "stopped" && resumed++ < 5) await resumeOperation(platform, id).catch(() => {});
      await Bun.sleep(50);
      return null;
    },
    timeoutMs,
  ).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`);
  });
  return { operation, resumed };
}

/** @returns the indexes as they are listed, once they are */
export async function makeIndexes(url: string, tenant: Tenant): Promise<string[]> {
  for (const body of [
    { key: { size: 1 }, name: "by_size" },
    // The last value of each document is its alone, so no write ever meets another here; the copying has to live with it.
    { key: { base: 1 }, name: "one_base", unique: true },
  ]) {
    await must("make an index", send(url, "POST", "/org/indexes", { token: tenant.token, body }), 201);
  }
  // A process may go on for a lease with the indexes that it knows.
  return await until("the indexes to be told", async () => {
    const told = await listIndexes(url, tenant);
    return told.length === 2 && told;
  });
}

/** The tenant's indexes, each as one text. */
export async function listIndexes(url: string, { token }: Tenant): Promise<string[]> {
  const { indexes } = await must("list the indexes", send(url, "GET", "/org/indexes", { token }), 200);
  return indexes.map(({ name, key, unique }: Document) => `${name} ${JSON.stringify(key)} ${unique ? "unique" : ""}`);
}

type Placement = { tier: Tier; database: string; collection: string; key: string };

export async function placementOf(db: Db, { id }: Tenant): Promise<Placement> {
  const organization = await db.collection("organizations").findOne({ _id: new ObjectId(id) });
  return organization!.placement;
}

/** What lies at the tenant's placement, whoever it says it is of, with the logical ids. */
export async function readStored(
  client: MongoClient,
  placement: Placement,
  now: () => number,
  only: Document = {},
): Promise<Page> {
  const collection = client.db(placement.database).collection(placement.collection);
  const shared = placement.tier === "starter";
  const startMs = now();
  const documents = await collection.find({ ...only, ...(shared && { tenant_id: placement.key }) }).toArray();
  const endMs = now();
  return {
    startMs,
    endMs,
    documents: documents.map(({ _id, tenant_id, _croupier: _, ...fields }) => {
      const id = shared ? (_id as unknown as { i: unknown }).i : _id;
      return readDocument({ _id: id, ...fields, ...(tenant_id !== placement.key && { tenant_id }) });
    }),
  };
}

/** Whatever is of a tenant and doesn't lie at its placement. */
export async function findLeftBehind(client: MongoClient, db: Db, tenant: Tenant, at: Placement): Promise<string[]> {
  const found: string[] = [];
  const mine = new RegExp(`^${tenant.id}`);
  const shared = { $and: [{ tenant_id: mine }, ...(at.tier === "starter" ? [{ tenant_id: { $ne: at.key } }] : [])] };
  const count = await db.collection("tenant_documents").countDocuments(shared);
  if (count > 0) found.push(`${count} documents in the shared collection`);
  const { databases } = await client.db("admin").command({ listDatabases: 1, nameOnly: true });
  for (const { name } of databases) {
    if (name !== db.databaseName && !name.includes(tenant.id)) continue;
    for (const collection of await client.db(name).listCollections({}, { nameOnly: true }).toArray()) {
      const isTenants = name !== db.databaseName || collection.name.startsWith(`org_${tenant.name}`);
      if (!isTenants || (name === at.database && collection.name === at.collection)) continue;
      const inside = await client.db(name).collection(collection.name).countDocuments();
      found.push(`the collection ${name}.${collection.name} with ${inside} documents`);
    }
  }
  return found;
}

/** Removes everything that a run has made. */
export async function dropAll(client: MongoClient, db: Db, tenants: Tenant[]): Promise<void> {
  const { databases } = await client.db("admin").command({ listDatabases: 1, nameOnly: true });
  for (const { name } of databases) {
    if (tenants.some(({ id }) => name.includes(id))) await client.db(name).dropDatabase();
  }
  await db.dropDatabase();
}
