import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Decimal128, type Document, Double, Int32, Long, ObjectId, UUID } from "mongodb";
import { createApp } from "../../src/app.ts";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { prepare } from "../../src/prepare.ts";
import { createChores } from "../../src/chores.ts";
import type { Deps } from "../../src/deps.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned } from "../../src/operation/drive.ts";
import { moveOrganization } from "../../src/organization/move.ts";
import { getById } from "../../src/organization/store.ts";
import { stampBatch } from "../../src/tenant/place/stamp.ts";
import { startChild, until } from "../support/crash.ts";
import { collectionOf } from "../support/fleet.ts";
import { countOpenOperations } from "../support/invariants.ts";
import { createLegacyIndexes, legacyPasswords, plantLegacy } from "../support/legacy.ts";
import { type Answer, dropAll, freshDatabaseName, readAnswer, testConfig } from "../support/service.ts";

// The machine may be busy with other things.
setDefaultTimeout(120_000);

type Legacy = {
  deps: Deps;
  id: ObjectId;
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** All documents as they are stored, wherever the tenant is. */
  stored(): Promise<Document[]>;
};

const cleanUps: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
}, 60_000);

/** An organization of the first Croupier, taken over; nothing is stamped unless the test has it done. */
async function takeOver(documents: Document[]): Promise<Legacy> {
  const config = testConfig({ PLACEMENT_LEASE_MS: "50", PASSWORD_WORKERS: "1" });
  const deps = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
  const { db } = deps;
  await db.client.connect();
  cleanUps.push(async () => {
    await dropAll(db);
    await deps.close();
  });
  await createLegacyIndexes(db);
  const { organizationId: id } = await plantLegacy(db, "acme", "ada@acme.example", { documents });
  await prepare(deps);
  await deps.revocations.start();
  const app = createApp(deps, () => true);
  const ask: Legacy["ask"] = async (method, path, body, headers = {}) =>
    readAnswer(
      await app.request(path, {
        method,
        headers: { "content-type": "application/json", ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    );
  const { password } = legacyPasswords.quick;
  const signedIn = await ask("POST", "/admin/login", { email: "ada@acme.example", password });
  expect(signedIn.status).toBe(200);
  const authorization = `Bearer ${signedIn.body.access_token}`;
  return {
    deps,
    id,
    ask: (method, path, body, headers) => ask(method, path, body, { authorization, ...headers }),
    stored: async () =>
      collectionOf(db, (await getById(db, id)).placement!)
        .find()
        .sort({ _id: 1 })
        .toArray(),
  };
}

const isUnstamped = async ({ deps, id }: Legacy) => (await getById(deps.db, id)).placement?.unstamped === true;
async function stampAll(legacy: Legacy): Promise<void> {
  await createChores(legacy.deps)();
  await until("all to be stamped", async () => {
    await driveAbandoned(legacy.deps, Number.POSITIVE_INFINITY);
    return !(await isUnstamped(legacy)) && (await countOpenOperations(legacy.deps.db)) === 0;
  });
}
const plain = (count: number) => Array.from({ length: count }, (_, n) => ({ _id: n, n, text: `text ${n}` }));
const isStamped = (id: ObjectId) => (document: Document) =>
  document.tenant_id === id.toHexString() && Number.isInteger(document._croupier?.v);

/** Every call on documents that nobody has touched yet, numbered from `first`. */
async function useDocuments({ ask }: Legacy, first: number): Promise<void> {
  const [got, replaced, patched, gone] = [first, first + 1, first + 2, first + 3];
  const listed = await ask("GET", `/org/documents?filter=${encodeURIComponent(`{"n":${got}}`)}`);
  expect(listed.body).toMatchObject({ documents: [{ _id: got, n: got, text: `text ${got}` }], next_cursor: null });
  expect(listed.text).not.toContain("tenant_id");
  const read = await ask("GET", `/org/documents/${got}`);
  expect([read.status, read.headers.get("etag")]).toEqual([200, '"0"']);
  expect(read.body).toEqual({ _id: got, n: got, text: `text ${got}` });

  const ifZero = { "if-match": '"0"' };
  const put = await ask("PUT", `/org/documents/${replaced}`, { n: replaced, replaced: true }, ifZero);
  expect([put.status, put.body]).toEqual([200, { _id: replaced, n: replaced, replaced: true }]);
  expect(put.headers.get("etag")).toMatch(/^"1-/);
  expect((await ask("PUT", `/org/documents/${replaced}`, { n: 0 }, ifZero)).status).toBe(412);

  const patch = await ask("PATCH", `/org/documents/${patched}`, { text: null, patched: 1 }, ifZero);
  expect([patch.status, patch.body]).toEqual([200, { _id: patched, n: patched, patched: 1 }]);

  expect((await ask("DELETE", `/org/documents/${gone}`, undefined, { "if-match": '"1-x"' })).status).toBe(412);
  expect((await ask("DELETE", `/org/documents/${gone}`, undefined, ifZero)).status).toBe(204);
  expect((await ask("GET", `/org/documents/${gone}`)).status).toBe(404);
  expect((await ask("POST", "/org/documents", { _id: got, n: 1 })).status).toBe(409);
}

describe("documents of the first Croupier", () => {
  test("are listed, read, replaced, patched and deleted at once, before, during and after they are stamped", async () => {
    const legacy = await takeOver(plain(2_500));
    const { ask, id } = legacy;
    const count = async () => (await ask("POST", "/org/documents/count", { filter: {} })).body.count;
    expect(await isUnstamped(legacy)).toBe(true);
    expect(await count()).toBe(2_500);
    await useDocuments(legacy, 0);
    await useDocuments(legacy, 2_400);

    await stampBatch(legacy.deps.deployments, (await getById(legacy.deps.db, id)).placement!, null);
    const partly = (await legacy.stored()).filter(isStamped(id)).length;
    expect(partly).toBeGreaterThan(900);
    expect(partly).toBeLessThan(2_400);
    expect(await count()).toBe(2_498);
    await useDocuments(legacy, 10);
    await useDocuments(legacy, 2_410);

    await stampAll(legacy);
    expect(await count()).toBe(2_496);
    await useDocuments(legacy, 20);
    await useDocuments(legacy, 2_420);
    const stored = await legacy.stored();
    expect(stored.filter((document) => !isStamped(id)(document))).toEqual([]);
    expect(stored.map(({ _id }) => _id)).toEqual(
      plain(2_500)
        .map(({ _id }) => _id)
        .filter((n) => ![3, 2_403, 13, 2_413, 23, 2_423].includes(n)),
    );
  });

  test("are all stamped whatever their ids are, and keep every field, its type and its order", async () => {
    const ids = [
      ...[
        null,
        -1,
        0.5,
        Long.fromString("9007199254740993"),
        new Int32(7),
        new Double(8),
        Decimal128.fromString("9.5"),
      ],
      ...["", "text", { object: 1 }, { object: { deeper: [1] } }, new UUID(), ObjectId.createFromTime(1), true, false],
      ...[new Date(0), new Date(-1)],
    ];
    const fields = () => ({ z: new Int32(1), a: [new Double(1), null], "": { b: Long.fromNumber(3) } });
    // So that each of them ends a batch in some order of types.
    const many = Array.from({ length: 1_990 }, (_, n) => ({ _id: `m${n}` as unknown, ...fields() }));
    const legacy = await takeOver([...ids.map((_id) => ({ _id, ...fields() })), ...many] as Document[]);
    const raw = async () => {
      const options = { promoteValues: false, promoteLongs: false } as const;
      const { db } = legacy.deps;
      const all = await db.collection("org_acme").find({}, options).sort({ _id: 1 }).toArray();
      return all.map(({ tenant_id: _, _croupier: __, ...rest }) => JSON.stringify(Object.entries(rest)));
    };
    const before = await raw();
    expect(before.length).toBe(ids.length + many.length);
    await stampAll(legacy);
    expect(await raw()).toEqual(before);
    expect((await legacy.stored()).filter((document) => !isStamped(legacy.id)(document))).toEqual([]);
  });

  test("lose nothing that clients write while they are stamped", async () => {
    const legacy = await takeOver(plain(3_000));
    const { ask } = legacy;
    const expected = new Map<number, number>();
    let isOver = false;
    const writers = [0, 1, 2].map(async (writer) => {
      for (let turn = 0; !isOver || turn < 30; turn++) {
        const n = (turn * 97 + writer) % 3_000;
        // Each writer has documents of its own.
        const own = n - (n % 3) + writer;
        const value = writer * 100_000 + turn;
        const written = await ask("PATCH", `/org/documents/${own}`, { value });
        expect(written.status).toBe(200);
        expected.set(own, value);
      }
    });
    await stampAll(legacy);
    isOver = true;
    await Promise.all(writers);
    const stored = await legacy.stored();
    expect(stored.length).toBe(3_000);
    expect(stored.filter((document) => !isStamped(legacy.id)(document))).toEqual([]);
    const values = new Map(stored.filter(({ value }) => value !== undefined).map(({ _id, value }) => [_id, value]));
    expect(values).toEqual(expected as Map<unknown, unknown>);
  });

  test.each(["starter", "enterprise"] as const)("come along stamped when they are moved first: %s", async (tier) => {
    const legacy = await takeOver(plain(1_500));
    const { ask, deps, id } = legacy;
    await useDocuments(legacy, 0);
    await moveOrganization(deps, id, tier);
    await driveAbandoned(deps, Number.POSITIVE_INFINITY);
    const { placement, tier: now } = await getById(deps.db, id);
    expect([now, placement?.unstamped]).toEqual([tier, undefined]);
    const stored = await legacy.stored();
    expect(stored.length).toBe(1_499);
    expect(stored.filter(({ tenant_id, _croupier }) => tenant_id !== placement?.key || !_croupier)).toEqual([]);
    await useDocuments(legacy, 10);
    expect((await ask("GET", "/org/documents/1400")).body).toEqual({ _id: 1_400, n: 1_400, text: "text 1400" });
    expect((await deps.db.listCollections({ name: "org_acme" }).toArray()).length).toBe(0);
    await createChores(deps)();
    expect(await countOpenOperations(deps.db)).toBe(0);
  });
});

describe("a process that is killed while it stamps", () => {
  let client: ReturnType<typeof createClient>;
  beforeAll(() => {
    client = createClient(process.env.MONGODB_URL!);
  });

  test("at every moment: the next one goes on until all documents carry their tenant", async () => {
    const db = client.db(freshDatabaseName());
    cleanUps.push(async () => {
      await db.dropDatabase();
      await client.close();
    });
    await createLegacyIndexes(db);
    const { organizationId } = await plantLegacy(db, "acme", "ada@acme.example", { documents: plain(1_200) });
    const passed: string[] = [];
    let isOver = false;
    for (let round = 0; !isOver; round++) {
      expect(round).toBeLessThan(30);
      // One moment further each time, from where the last one was.
      const child = await startChild({
        databaseName: db.databaseName,
        leaseMs: 100,
        plan: { after: round % 3, signal: "SIGKILL" },
      });
      isOver = await until("the process to die, or all to be done", async () => {
        const organization = await db.collection("organizations").findOne({ _id: organizationId });
        if (organization?.placement && !organization.placement.unstamped && (await countOpenOperations(db)) === 0)
          return "done";
        const died = await Promise.race([child.died, Bun.sleep(20).then(() => null)]);
        return died && "died";
      }).then((what) => what === "done");
      passed.push(...child.moments.map(({ kind, step, moment }) => `${kind}/${step} ${moment}`));
      await child.end();
    }
    expect(passed).toEqual(expect.arrayContaining(["stamp/mark before", "stamp/mark after", "stamp/record after"]));
    const stored = await db.collection("org_acme").find().toArray();
    expect(stored.length).toBe(1_200);
    expect(stored.filter((document) => !isStamped(organizationId)(document))).toEqual([]);
    expect(stored.every(({ _id, n }) => Number(_id) === n)).toBe(true);
  });
});
