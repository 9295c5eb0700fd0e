import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createAppender } from "../../src/audit/append.ts";
import { type Entry, entryOf, type NewEntry } from "../../src/audit/audit.ts";
import { auditEntries, auditHeads } from "../../src/audit/store.ts";
import { verify } from "../../src/audit/verify.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { createLogger } from "../../src/log.ts";
import { useFleet } from "../support/fleet.ts";

setDefaultTimeout(60_000);
const fleet = useFleet();

const made = (organizationId: ObjectId | null, more: Partial<NewEntry> = {}): Entry =>
  entryOf({ now: () => new Date() }, { act: "session.sign_in", organizationId, ...more }, "success");
const chainIn = (id: ObjectId) => auditEntries(fleet.db).find({ chain: id.toHexString() }).sort({ seq: 1 }).toArray();
const intact = async (id: ObjectId) => {
  const reports: unknown[] = [];
  const ok = await verify(fleet, id.toHexString(), (report) => reports.push(report));
  if (!ok) console.error(JSON.stringify(reports));
  return ok;
};
/** As a process of its own has it. */
const appenderOfItsOwn = async () => {
  const client = createClient(process.env.MONGODB_URL!);
  await client.connect();
  const db = client.db(fleet.db.databaseName);
  return { ...createAppender({ db, log: createLogger("silent") }), close: () => client.close() };
};

describe("entries that are appended", () => {
  test("are in their chain when that is said, in the order in which they came, each with a hash of what is before it", async () => {
    const id = new ObjectId();
    for (let n = 1; n <= 3; n++) {
      await fleet.deps.audit.append(made(id, { details: { n } }));
      expect((await chainIn(id)).map(({ seq, details }) => [seq, details])).toEqual(
        Array.from({ length: n }, (_, index) => [index + 1, { n: index + 1 }]),
      );
    }
    const entries = await chainIn(id);
    expect(entries[0]!.previous).toBe("0".repeat(64));
    expect(entries.slice(1).map(({ previous }) => previous)).toEqual(entries.slice(0, -1).map(({ hash }) => hash));
    expect(await intact(id)).toBe(true);
  });

  test("many at once by one process go in few statements, each once, and the head comes to the last", async () => {
    const id = new ObjectId();
    let statements = 0;
    const counted = new Proxy(fleet.db, {
      get(db, name) {
        if (name === "collection") {
          return (...asked: [string]) => {
            statements++;
            return db.collection(...asked);
          };
        }
        const value = Reflect.get(db, name);
        return typeof value === "function" ? value.bind(db) : value;
      },
    });
    const { append, settled } = createAppender({ db: counted, log: createLogger("silent") });
    await Promise.all(Array.from({ length: 300 }, (_, n) => append(made(id, { details: { n } }))));
    await settled();
    const entries = await chainIn(id);
    expect(entries.map(({ details }) => details.n)).toEqual(Array.from({ length: 300 }, (_, n) => n));
    expect(statements).toBeLessThan(12);
    expect(await auditHeads(fleet.db).findOne({ _id: id.toHexString() })).toMatchObject({
      seq: 300,
      hash: entries.at(-1)!.hash,
    });
    expect(await intact(id)).toBe(true);
  });

  test("by several processes to one chain leave no gap and no fork, and none is lost", async () => {
    const id = new ObjectId();
    const processes = await Promise.all(Array.from({ length: 5 }, appenderOfItsOwn));
    await Promise.all(
      processes.map(async ({ append }, process) => {
        for (let round = 0; round < 6; round++) {
          await Promise.all(Array.from({ length: 8 }, (_, n) => append(made(id, { details: { process, round, n } }))));
        }
      }),
    );
    await Promise.all(processes.map(({ settled }) => settled()));
    const entries = await chainIn(id);
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 240 }, (_, n) => n + 1));
    expect(new Set(entries.map(({ details }) => JSON.stringify(details))).size).toBe(240);
    expect(await intact(id)).toBe(true);
    await Promise.all(processes.map(({ close }) => close()));
  });

  test("again under the same id of their act are there once, also by several processes and in the middle of others", async () => {
    const id = new ObjectId();
    const processes = await Promise.all(Array.from({ length: 3 }, appenderOfItsOwn));
    const again = Array.from({ length: 20 }, (_, n) => `${id.toHexString()}:${n}`);
    await Promise.all(processes.map(({ append }) => Promise.all(again.map((actId) => append(made(id, { actId }))))));
    await Promise.all(again.map((actId) => fleet.deps.audit.append(made(id, { actId }))));
    expect((await chainIn(id)).map(({ act_id }) => act_id).sort()).toEqual([...again].sort());
    expect(await intact(id)).toBe(true);
    await Promise.all(processes.map(({ close }) => close()));
  });

  test("entries appended after the newest were taken away leave a gap that is found", async () => {
    const id = new ObjectId();
    for (let n = 0; n < 5; n++) await fleet.deps.audit.append(made(id));
    await fleet.deps.audit.flush();
    await auditEntries(fleet.db).deleteMany({ chain: id.toHexString(), seq: { $gt: 3 } });
    const other = await appenderOfItsOwn();
    await other.append(made(id));
    expect((await chainIn(id)).map(({ seq }) => seq)).toEqual([1, 2, 3, 6]);
    expect(await verify(fleet, id.toHexString(), () => {})).toBe(false);
    await other.close();
  });

  test("with the database away are refused, and nothing is said to be recorded", async () => {
    const id = new ObjectId();
    const client = createClient(process.env.MONGODB_URL!);
    await client.connect();
    const { append } = createAppender({ db: client.db(fleet.db.databaseName), log: createLogger("silent") });
    await client.close(true);
    const outcomes = await Promise.allSettled([append(made(id)), append(made(id))]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await chainIn(id)).toEqual([]);
  });
});

describe("an entry", () => {
  test("is one line of bounded text, without emails, whatever a stranger puts into it", async () => {
    const id = new ObjectId();
    const nasty = 'x\n{"act":"key.create","outcome":"success"}\r\u2028\u202e\u0000\ud800 ada@acme.example ';
    const origin = { who: { kind: "anonymous", id: null }, address: nasty, request_id: nasty } as const;
    const deps = { now: () => new Date(), origin };
    const details = {
      name: nasty,
      long: "y".repeat(10_000),
      ...Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`k${n}`, n])),
    };
    await fleet.deps.audit.append(entryOf(deps, { act: "index.create", organizationId: id, details }, "success"));
    const [entry] = await chainIn(id);
    const text = JSON.stringify(entry);
    expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]|\\[nru]/u);
    expect(text).not.toContain("ada@acme");
    expect(text.length).toBeLessThan(2_500);
    expect(entry!.act).toBe("index.create");
    expect(await intact(id)).toBe(true);
  });
});
