import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Db, type MongoClient, ObjectId } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { organizations } from "../../src/organization/store.ts";
import { letLeasesRunOut } from "../support/chain.ts";
import { type Child, startChild, until } from "../support/crash.ts";
import { countOpenOperations } from "../support/invariants.ts";
import { type Hold, type LateProxy, startLateProxy } from "../support/late-proxy.ts";
import { type Answer, accepted, dropAll, freshDatabaseName, newcomer, send, testConfig } from "../support/service.ts";
import { findLeftovers } from "../support/tenant-scan.ts";

setDefaultTimeout(90_000);

/** Two processes on one database, by way of a proxy that can hold up what they send. */
type Site = {
  db: Db;
  proxy: LateProxy;
  first: Child;
  second: RunningService;
};
type Credentials = { organization_name: string; email: string; password: string };
/** `collection`: where its documents were at first. */
type Tenant = Credentials & { id: string; token: string; collection: string };

let client: MongoClient;
beforeAll(() => void (client = createClient(process.env.MONGODB_URL!)));
afterAll(() => client.close());

async function onSite(run: (site: Site) => Promise<void>): Promise<void> {
  const db = client.db(freshDatabaseName());
  const proxy = await startLateProxy(process.env.MONGODB_URL!);
  const config = { MONGODB_URL: proxy.url, MONGODB_DB_NAME: db.databaseName };
  const second = await startService(testConfig(config), createLogger("silent"));
  await second.ready;
  const first = await startChild({ databaseName: db.databaseName, leaseMs: 5_000, config });
  try {
    await run({ db, proxy, first, second });
  } finally {
    await first.end();
    await proxy.close();
    await second.stop();
    await dropAll(db);
  }
}

async function settle({ db, second: { url } }: Site, who: Credentials = newcomer()): Promise<Tenant> {
  const { id } = await accepted(send(url, "POST", "/org/create", { body: who }));
  const { email, password } = who;
  const { access_token } = await accepted(send(url, "POST", "/admin/login", { body: { email, password } }));
  const organization = await organizations(db).findOne({ _id: new ObjectId(String(id)) });
  return { ...who, id, token: access_token, collection: organization!.placement!.collection };
}
const ask = (url: string, { token }: Tenant, method: string, path: string, body?: unknown): Promise<Answer> =>
  send(url, method, `/org${path}`, { token, ...(body !== undefined && { body }) });

/** The first process dies right after it has sent the statement; nobody has to wait for its lease. */
async function dieAt({ db, proxy, first }: Site, which: Hold["which"], request: Promise<unknown>) {
  const held = proxy.hold({ which });
  void request.catch(() => {});
  await held.caught;
  first.signal("SIGKILL");
  await first.died;
  await letLeasesRunOut(db);
  return held;
}

/** A statement of this kind about the tenant's collection. */
const about =
  (kind: string, tenant: Tenant): Hold["which"] =>
  ({ name, collection, command: { renameCollection } }) =>
    name === kind && (collection === tenant.collection || String(renameCollection).endsWith(`.${tenant.collection}`));

/** Takes a name and writes two documents there. */
async function take(site: Site, organization_name: string): Promise<Tenant> {
  const tenant = await settle(site, { ...newcomer(), organization_name });
  for (const n of [1, 2]) {
    expect((await ask(site.second.url, tenant, "POST", "/documents", { _id: n, n: 7 })).status).toBe(201);
  }
  return tenant;
}

async function assertHasBoth({ second: { url } }: Site, tenant: Tenant): Promise<void> {
  const { body } = await ask(url, tenant, "GET", "/documents");
  expect(body.documents.map(({ _id }: { _id: number }) => _id)).toEqual([1, 2]);
  expect((await ask(url, tenant, "GET", "/indexes")).body.indexes).toEqual([]);
  expect((await ask(url, tenant, "POST", "/documents", { _id: 3 })).status).toBe(201);
}

describe("a statement that arrives when its process is long dead", () => {
  test("a drop: the next organization of the name keeps its documents", () =>
    onSite(async (site) => {
      const old = await settle(site);
      await ask(site.second.url, old, "POST", "/documents", { n: 1 });
      const request = ask(site.first.url, old, "DELETE", "/delete");
      const held = await dieAt(site, about("drop", old), request);
      await until("another to remove it", async () => (await countOpenOperations(site.db)) === 0);
      const next = await take(site, old.organization_name);
      await held.release();
      await assertHasBoth(site, next);
    }));

  test("a renameCollection: the next organization of the old name keeps its documents", () =>
    onSite(async (site) => {
      const { url } = site.second;
      const old = await settle(site);
      await ask(url, old, "POST", "/documents", { n: 1 });
      const [b, c] = [newcomer("b").organization_name, newcomer("c").organization_name];
      const request = ask(site.first.url, old, "PUT", "/update", { organization_name: b });
      const held = await dieAt(site, about("renameCollection", old), request);
      // The name that it was to have is free again when the statement arrives.
      expect((await ask(url, old, "PUT", "/update", { organization_name: c })).status).toBe(200);
      const next = await take(site, old.organization_name);
      await held.release();
      await assertHasBoth(site, next);
      expect((await ask(url, old, "GET", "/documents")).body.documents).toHaveLength(1);
    }));

  for (const when of ["before", "after"]) {
    test(`a createIndexes, ${when} the next organization of the name is made: it has no index of another's`, () =>
      onSite(async (site) => {
        const { url } = site.second;
        const old = await settle(site);
        const request = ask(site.first.url, old, "POST", "/indexes", { key: { n: 1 }, unique: true });
        const held = await dieAt(site, about("createIndexes", old), request);
        expect((await ask(url, old, "DELETE", "/delete")).status).toBe(204);
        if (when === "before") await held.release();
        const next = await settle(site, { ...newcomer(), organization_name: old.organization_name });
        if (when === "after") await held.release();
        for (const n of [1, 2]) expect((await ask(url, next, "POST", "/documents", { _id: n, n: 7 })).status).toBe(201);
        await assertHasBoth(site, next);
      }));
  }

  test("an insert: nothing of the organization that was removed meanwhile is left anywhere", () =>
    onSite(async (site) => {
      const old = await settle(site);
      const request = ask(site.first.url, old, "POST", "/documents", [{ n: 1 }, { n: 2 }]);
      const held = await dieAt(site, about("insert", old), request);
      expect((await ask(site.second.url, old, "DELETE", "/delete")).status).toBe(204);
      await held.release();
      await assertSweptUp(site, old);
    }));

  test("an insert: nothing is left where the organization was before it was renamed", () =>
    onSite(async (site) => {
      const tenant = await settle(site);
      const request = ask(site.first.url, tenant, "POST", "/documents", [{ n: 1 }, { n: 2 }]);
      const held = await dieAt(site, about("insert", tenant), request);
      await rename(site, tenant);
      await held.release();
      await assertSweptUp(site, tenant);
    }));
});

describe("a bulk insert of seconds", () => {
  const many = Array.from({ length: 90_000 }, (_, n) => ({ n }));
  const begun = async (site: Site, tenant: Tenant) => {
    const stored = site.db.collection(tenant.collection);
    const request = ask(site.first.url, tenant, "POST", "/documents", many);
    await until("the first documents to be there", async () => (await stored.countDocuments()) > 0);
    return { request };
  };

  test("leaves nothing behind when the organization is removed meanwhile", () =>
    onSite(async (site) => {
      const old = await settle(site);
      const { request } = await begun(site, old);
      expect((await ask(site.second.url, old, "DELETE", "/delete")).status).toBe(204);
      expect((await request).status).not.toBe(500);
      await site.proxy.quiet();
      await assertSweptUp(site, old);
    }));

  test("leaves nothing behind when the organization is renamed meanwhile, and all of it is there when it was acknowledged", () =>
    onSite(async (site) => {
      const tenant = await settle(site);
      const { request } = await begun(site, tenant);
      await rename(site, tenant);
      const { status } = await request;
      expect(status).not.toBe(500);
      await site.proxy.quiet();
      await assertSweptUp(site, tenant);
      const { body } = await ask(site.second.url, tenant, "POST", "/documents/count", {});
      if (status === 201) expect(body.count).toBe(many.length);
    }));
});

describe("a rename while somebody else holds the collection", () => {
  /** As long as the door waits before it refuses, and as one statement waits for its answer, with the leases in between. */
  const refusedMsMax = 12_000;

  test("lets readers and writers in again, its caller gets the new name, and nothing is lost", () =>
    onSite(async (site) => {
      const [{ url }, other] = [site.first, site.second.url];
      const tenant = await settle(site);
      const { organization_name } = newcomer("b");
      const which = about("renameCollection", tenant);
      const held = site.proxy.hold({ which, what: "lock", timesMax: Number.POSITIVE_INFINITY });
      let isRenamed = false;
      const renamed = ask(url, tenant, "PUT", "/update", { organization_name }).finally(() => (isRenamed = true));
      await held.caught;
      let [written, letInMs, refusedMs] = [0, performance.now(), 0];
      for (let _id = 1; !isRenamed; _id++) {
        const [read, write] = await Promise.all([
          ask(other, tenant, "GET", "/documents"),
          ask(other, tenant, "POST", "/documents", { _id }),
        ]);
        for (const { status } of [read, write]) expect([200, 201, 503]).toContain(status);
        if (write.status === 201) written++;
        if (read.status === 200 && write.status === 201) letInMs = performance.now();
        refusedMs = Math.max(refusedMs, performance.now() - letInMs);
        await Bun.sleep(20);
      }
      const { status, body } = await renamed;
      expect({ status, name: body.organization_name }).toEqual({ status: 200, name: organization_name });
      expect(refusedMs).toBeLessThan(refusedMsMax);
      await held.release();
      await until("it to let writers in", async () => {
        return (await ask(other, tenant, "POST", "/documents", { _id: "last" })).status === 201;
      });
      const { body: count } = await ask(other, tenant, "POST", "/documents/count", {});
      expect(count.count).toBeGreaterThanOrEqual(written + 1);
    }));
});

async function rename({ second: { url } }: Site, tenant: Tenant): Promise<void> {
  const { organization_name } = newcomer("renamed");
  expect((await ask(url, tenant, "PUT", "/update", { organization_name })).status).toBe(200);
}

/** As if the half minute were over in which something may still be on its way: nothing is by then. */
const dueNow = ({ db }: Site) => db.collection("retired_places").updateMany({}, { $set: { due_at: new Date(0) } });
const sweptMs = 40_000;

/** Nothing of the tenant is anywhere but where it lives, if it does, nor a collection that nobody lives in. */
async function assertSweptUp(site: Site, { id }: Tenant): Promise<void> {
  let left: string[] = [];
  const isClean = async () => {
    await dueNow(site);
    left = await findLeftovers(site.db, id);
    return left.length === 0;
  };
  await until("it to be swept up", isClean, sweptMs).catch((error) => {
    throw new Error(`${error.message}: ${left.join("; ")}`);
  });
}
