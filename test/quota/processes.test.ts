import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { prepare } from "../../src/prepare.ts";
import { createRecountChore } from "../../src/quota/count.ts";
import { claimCount, findDue, giveBack, type UsageRecord } from "../../src/quota/store.ts";
import { withTenant } from "../../src/tenant/door.ts";
import { startChild, until } from "../support/crash.ts";
import { send, testConfig, useService } from "../support/service.ts";
import { type Client, joinAs } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const documentsMax = 640;
const quotas = { QUOTA_PROFESSIONAL_DOCUMENTS: String(documentsMax) };
const service = useService(quotas);
/** It lets one request at a time to documents. */
let other: RunningService;
beforeAll(async () => {
  const few = { ...quotas, DOCUMENTS_POOL_SIZE: "2", MONGODB_DB_NAME: service.db.databaseName };
  other = await startService(testConfig(few), createLogger("silent"));
  await other.ready;
}, 60_000);
afterAll(() => other.stop());

const join = () => joinAs(service, "usage");
const insert = (url: string, { token }: Client, body: unknown) => send(url, "POST", "/org/documents", { token, body });
const records = () => service.db.collection<UsageRecord>("usage");
const recordOf = async ({ id }: Client) => (await records().findOne({ _id: new ObjectId(id) }))!;
const countOf = ({ id }: Client) =>
  withTenant(service.running.deps, new ObjectId(id), "read", async (scope) => (await scope.measure(10_000)).documents);
const settled = (me: Client, documents: number) =>
  until("what was set aside is given back", async () => (await recordOf(me)).documents === documents);
/** As if it were long ago that it was written to. */
const makeDue = ({ id }: Client) =>
  records().updateOne({ _id: new ObjectId(id) }, { $set: { due_at: new Date(0), changed_at: new Date(0) } });
async function recount(me: Client): Promise<void> {
  const { deps } = service.running;
  const before = (await recordOf(me)).counted_at;
  const chore = createRecountChore(deps, deps.usage!, 60_000, 1);
  await until("it is counted again", async () => {
    await chore();
    return (await recordOf(me)).counted_at?.getTime() !== before?.getTime();
  });
}

describe("two processes on one database", () => {
  test("together let in no more than the quota, and but for what both have set aside as much, and know of what was removed", async () => {
    const me = await join();
    const all = Array.from({ length: 7 }, () => ({}));
    const write = async (url: string) => {
      for (;;) {
        const { status } = await insert(url, me, all);
        // A process that lets one at a time to documents may be busy.
        if (status !== 201 && status !== 503) return expect(status).toBe(422);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, n) => write(n % 2 ? service.url : other.url)));
    const there = await countOf(me);
    expect(there).toBeLessThanOrEqual(documentsMax);
    expect(there).toBeGreaterThan(documentsMax - 2 * Math.floor(documentsMax / 64) - 7);
    await settled(me, there);
    const rest = Array.from({ length: documentsMax - there }, () => ({}));
    if (rest.length > 0) expect((await insert(other.url, me, rest)).status).toBe(201);
    expect((await insert(service.url, me, {})).status).toBe(422);
    const { documents } = (await send(service.url, "GET", "/org/documents?limit=1", me)).body;
    expect((await send(service.url, "DELETE", `/org/documents/${documents[0]._id.$oid}`, me)).status).toBe(204);
    await until("the other one knows of it", async () => (await insert(other.url, me, {})).status === 201);
    expect(await countOf(me)).toBe(documentsMax);
  });

  test("refuse what is too much from the first write on, also where there is one connection for a request", async () => {
    const me = await join();
    const tooMany = Array.from({ length: documentsMax + 1 }, () => ({}));
    expect((await insert(other.url, me, tooMany)).status).toBe(422);
    expect((await insert(other.url, me, tooMany.slice(1))).status).toBe(201);
  });

  test("count documents of before there were quotas when they are needed first, and go on from there", async () => {
    const me = await join();
    await insert(
      service.url,
      me,
      Array.from({ length: documentsMax - 3 }, () => ({})),
    );
    await settled(me, documentsMax - 3);
    await records().deleteOne({ _id: new ObjectId(me.id) });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const write = () => insert(n % 2 ? service.url : other.url, me, {});
        return await until("it isn't busy", async () => {
          const answer = await write();
          return answer.status !== 503 && answer;
        });
      }),
    );
    expect(answers.filter(({ status }) => status === 201).length).toBe(3);
    expect(await countOf(me)).toBe(documentsMax);
  });

  test("count once for those who need it first, also for one who heard late that it is done", async () => {
    const me = await join();
    await insert(service.url, me, {});
    const counting = { by: "late", until: new Date(Date.now() + 30_000) };
    expect(await claimCount(service.db, new ObjectId(me.id), counting, new Date(), true)).toBeNull();
  });

  test("let others have the only place for documents while a write waits for the first count", async () => {
    const [me, someone] = [await join(), await join()];
    await insert(other.url, someone, { _id: 1 });
    const counting = { by: "another process", until: new Date(Date.now() + 30_000) };
    const unknown = { _id: new ObjectId(me.id), documents: 0, bytes: 0, due_at: counting.until, counting };
    await records().replaceOne({ _id: unknown._id }, unknown, { upsert: true });
    let isWaiting = true;
    const waits = insert(other.url, me, {}).finally(() => (isWaiting = false));
    const answers: number[] = [];
    while (isWaiting) {
      answers.push((await send(other.url, "GET", "/org/documents/1", { token: someone.token })).status);
      await Bun.sleep(50);
    }
    expect((await waits).status).toBe(201);
    expect(answers.length).toBeGreaterThan(5);
    expect([...new Set(answers)]).toEqual([200]);
  });

  test("let writes go on while nobody knows how much there is, and it is right when it was counted", async () => {
    const me = await join();
    const counting = { by: "another process", until: new Date(Date.now() + 30_000) };
    const unknown = { _id: new ObjectId(me.id), documents: 0, bytes: 0, due_at: counting.until, counting };
    await records().insertOne(unknown);
    expect((await insert(service.url, me, [{}, {}])).status).toBe(201);
    const startedMs = performance.now();
    for (let n = 0; n < 5; n++) expect((await insert(service.url, me, {})).status).toBe(201);
    // Nobody waits a second time.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect((await recordOf(me)).counted_at).toBeUndefined();
    await settled(me, 7);
    await records().updateOne({ _id: unknown._id }, { $unset: { counting: true } });
    await makeDue(me);
    await recount(me);
    expect(await recordOf(me)).toMatchObject({ documents: 7, counted_at: expect.any(Date) });
  });
});

describe("what organizations have is counted again", () => {
  test("and right when a process was killed that had set room aside", async () => {
    const me = await join();
    const child = await startChild({ databaseName: service.db.databaseName, config: quotas });
    for (let _id = 0; _id < 3; _id++) expect((await insert(child.url, me, { _id })).status).toBe(201);
    child.signal("SIGKILL");
    await child.died;
    expect((await recordOf(me)).documents).toBeGreaterThan(3);
    await makeDue(me);
    await recount(me);
    expect((await recordOf(me)).documents).toBe(3);
  });

  test("and right after a write of which nobody knows what became of it, which counts until then", async () => {
    const me = await join();
    const whose = { organizationId: new ObjectId(me.id), tier: "professional" as const };
    await service.running.deps.usage!.view(whose.organizationId, whose.tier);
    const lost = service.running.deps.usage!.growing(whose, { documents: 3, bytes: 30 }, async () => {
      throw new Error("no answer");
    });
    await expect(lost).rejects.toThrow("no answer");
    await settled(me, 3);
    await makeDue(me);
    await recount(me);
    expect(await recordOf(me)).toMatchObject({ documents: 0, bytes: 0 });
  });

  test("only when nothing was written for a while", async () => {
    const me = await join();
    await insert(service.url, me, {});
    await settled(me, 1);
    await records().updateOne({ _id: new ObjectId(me.id) }, { $set: { due_at: new Date(Date.now() - 60_000) } });
    const other = await join();
    await insert(service.url, other, {});
    await settled(other, 1);
    await makeDue(other);
    const { counted_at } = await recordOf(me);
    await recount(other);
    expect((await recordOf(me)).counted_at).toEqual(counted_at!);
  });

  test("and it is right in the end though it is written to meanwhile", async () => {
    const me = await join();
    let written = 0;
    const writing = Array.from({ length: 4 }, async () => {
      for (let n = 0; n < 40; n++) if ((await insert(service.url, me, [{}, {}])).status === 201) written += 2;
    });
    const counting = { ended: false };
    const counter = (async () => {
      while (!counting.ended) await other.deps.usage!.count(new ObjectId(me.id));
    })();
    await Promise.all(writing);
    counting.ended = true;
    await counter;
    expect(written).toBe(320);
    await until("all is given back", async () => {
      await makeDue(me);
      await recount(me);
      return (await recordOf(me)).documents === written;
    });
  });

  test("and one that can't be is tried again after ever longer pauses, though it is written to meanwhile", async () => {
    const me = await join();
    const { deps } = service.running;
    const organization = service.db.collection("organizations");
    const which = { _id: new ObjectId(me.id) };
    const { placement } = (await organization.findOne(which))!;
    await organization.updateOne(which, { $set: { placement: null } });
    const startedMs = Date.now();
    const minutes: number[] = [];
    for (const failures of [1, 2, 3, 12]) {
      await records().updateOne(
        which,
        { $set: { due_at: new Date(0), postponed_until: new Date(0), failures: failures - 1 } },
        { upsert: true },
      );
      await createRecountChore(deps, deps.usage!, 60_000, 1)();
      await until("it has failed", async () => (await recordOf(me)).failures === failures);
      minutes.push(Math.floor(((await recordOf(me)).postponed_until!.getTime() - startedMs) / 60_000));
    }
    expect(minutes).toEqual([10, 20, 40, 24 * 60]);
    await giveBack(service.db, [{ id: which._id, less: { documents: -1, bytes: -1 } }], new Date());
    await makeDue(me);
    const due = await findDue(service.db, { now: new Date(), quietSince: new Date(), overdueSince: new Date() }, 1_000);
    expect(due.filter(({ _id }) => _id.equals(which._id))).toEqual([]);
    await organization.updateOne(which, { $set: { placement } });
    await records().updateOne(which, { $set: { postponed_until: new Date(0) } });
    await recount(me);
    const { failures, postponed_until } = await recordOf(me);
    expect([failures, postponed_until]).toEqual([undefined, undefined]);
  });

  test("an organization that is gone is forgotten", async () => {
    const _id = new ObjectId();
    await records().insertOne({ _id, documents: 1, bytes: 1, due_at: new Date(0) });
    const { deps } = service.running;
    const chore = createRecountChore(deps, deps.usage!, 60_000, 1);
    await until("its record is gone", async () => {
      await chore();
      return (await records().countDocuments({ _id })) === 0;
    });
  });
});

test("what can't be given back of one organization is given back once of the others", async () => {
  const [one, other] = [new ObjectId(), new ObjectId()];
  await records().insertOne({ _id: one, documents: 10, bytes: 10 });
  await records().insertOne({ _id: other, documents: "many" as never, bytes: 10 });
  const all = [one, other].map((id) => ({ id, less: { documents: 1, bytes: 1 } }));
  const { left } = await giveBack(service.db, all, new Date());
  expect(left.map(({ id }) => id)).toEqual([other]);
  expect(await records().findOne({ _id: one })).toMatchObject({ documents: 9, bytes: 9 });
  await records().deleteMany({ _id: { $in: [one, other] } });
});

test("a command with other settings removes no records", async () => {
  const me = await join();
  await insert(service.url, me, {});
  await prepare({ ...service.running.deps, config: testConfig({ MONGODB_DB_NAME: service.db.databaseName }) });
  expect((await recordOf(me)).counted_at).toBeInstanceOf(Date);
});

test("a process without quotas leaves nothing of what was counted, so that it is counted anew with quotas", async () => {
  const me = await join();
  await insert(service.url, me, {});
  const without = await startService(testConfig({ MONGODB_DB_NAME: service.db.databaseName }), createLogger("silent"));
  await without.ready;
  await insert(without.url, me, [{}, {}, {}]);
  await without.stop();
  expect(
    (
      await insert(
        service.url,
        me,
        Array.from({ length: documentsMax - 3 }, () => ({})),
      )
    ).status,
  ).toBe(422);
  expect(
    (
      await insert(
        service.url,
        me,
        Array.from({ length: documentsMax - 4 }, () => ({})),
      )
    ).status,
  ).toBe(201);
});
