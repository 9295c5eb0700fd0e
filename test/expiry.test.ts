import { expect, setDefaultTimeout, test } from "bun:test";
import { createExpiryChore, expiringIn } from "../src/expiry.ts";
import { useService } from "./support/service.ts";

setDefaultTimeout(60_000);
const service = useService({ RATE_LIMIT_STORE: "mongodb" });
/** Whole documents: of the others, a part is shown to end where its noun is tested (session/recovery.test.ts). */
const expiring = () => expiringIn(service.running.deps.config).filter(({ part }) => part === undefined);

test("every collection of the service whose documents end by themselves is swept, and no other", async () => {
  const names = (await service.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  const found: object[] = [];
  for (const name of names) {
    for (const { key, expireAfterSeconds } of await service.db.collection(name).indexes()) {
      if (expireAfterSeconds !== undefined) found.push({ name, key, seconds: Number(expireAfterSeconds) });
    }
  }
  const swept = expiring().map(({ of, field, afterSeconds }) => ({
    name: of(service.db).collectionName,
    key: { [field]: 1 },
    seconds: afterSeconds,
  }));
  expect(swept.length).toBeGreaterThan(5);
  const inOrder = (all: object[]) => all.map((each) => JSON.stringify(each)).sort();
  expect(inOrder(found)).toEqual(inOrder(swept));
});

test("what has ended is removed also where the database doesn't, and what has not stays", async () => {
  const marked = { of: "the test" };
  for (const { of, field, afterSeconds } of expiring()) {
    const collection = of(service.db);
    await collection.dropIndex(`${field}_1`);
    const at = (seconds: number) => new Date(Date.now() + (seconds - afterSeconds) * 1000);
    // Fields that have unique indexes hold something of their own.
    const document = (value: Date | undefined, index: number) => ({
      ...marked,
      key: `planted ${index}`,
      family_hash: `planted ${index}`,
      ...(value && { [field]: value }),
    });
    await collection.insertMany([
      ...Array.from({ length: 1_100 }, (_, index) => document(at(-3_600), index)),
      document(at(3_600), -1),
      document(undefined, -2),
    ]);
  }
  await createExpiryChore(service.running.deps)();
  for (const { of, field } of expiring()) {
    const collection = of(service.db);
    const left = await collection.find(marked).toArray();
    expect({ collection: collection.collectionName, left: left.map(({ key }) => key).sort() }).toEqual({
      collection: collection.collectionName,
      left: ["planted -1", "planted -2"],
    });
    expect(left.filter((one) => field in one)).toHaveLength(1);
  }
});
