import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { prepare } from "../../src/prepare.ts";
import type { Deps } from "../../src/deps.ts";
import { aggregateDocuments, countDocuments, listDocuments } from "../../src/document/query.ts";
import { asFailure, problemTypes } from "../../src/http/contract/problems.ts";
import { createLogger } from "../../src/log.ts";
import { createOrganization } from "../../src/organization/create.ts";
import { getById } from "../../src/organization/store.ts";
import { collectionOf, stored } from "../support/fleet.ts";
import { createMonitored } from "../support/monitored.ts";
import { startProxy } from "../support/proxy.ts";
import { dropAll, newcomer, testConfig } from "../support/service.ts";

const many = Array.from({ length: 1_000 }, (_, n) => n);
const unwound = [{ $unwind: "$a" }, { $unwind: "$b" }, { $unwind: "$c" }, { $group: { _id: "$c" } }];

let deps: Deps & { close(): Promise<void> };
let proxy: Awaited<ReturnType<typeof startProxy>>;
let id: ObjectId;
beforeAll(async () => {
  proxy = await startProxy(process.env.MONGODB_URL!);
  const config = testConfig({ MONGODB_URL: proxy.url });
  const client = createMonitored(config.mongodbUrl);
  deps = await createDeps(config, client, createLogger("silent"));
  await client.connect();
  await prepare(deps);
  id = new ObjectId((await createOrganization(deps, newcomer("slow"))).id);
  const { placement } = await getById(deps.db, id);
  await collectionOf(deps.db, placement!).insertMany(
    stored(placement!, [1]).map((each) => ({ ...each, a: many, b: many, c: many })),
  );
}, 60_000);
afterAll(async () => {
  await proxy.forward();
  await dropAll(deps.db);
  await deps.close();
  await proxy.close();
}, 60_000);

/** As a request with so much time left. */
const inTime = (afterMs: number) => ({ ...deps, late: { signal: new AbortController().signal, afterMs } });

describe("a tenant's query that runs out of time", () => {
  test("is told from a database that is away, which has nothing to do with it", async () => {
    const error = await aggregateDocuments(inTime(300), id, unwound).catch((error) => error);
    expect(error).toMatchObject({ failure: "query_too_slow" });
    expect(asFailure(error).retryAfterSeconds).toBeUndefined();
    expect(problemTypes.query_too_slow.status).toBe(422);
    expect(await countDocuments(deps, id, {})).toEqual({ count: 1 });
  });

  test("by our own clock is so only while the database answers", async () => {
    const gone = (deps: Deps, signal: AbortSignal) => ({ ...deps, late: { signal, afterMs: 10_000 } });
    const slow = aggregateDocuments(gone(deps, AbortSignal.timeout(300)), id, unwound);
    await expect(slow).rejects.toMatchObject({ failure: "query_too_slow" });
    await proxy.hang();
    const error = await listDocuments(gone(deps, AbortSignal.timeout(300)), id, {}).catch((error) => error);
    await proxy.forward();
    expect(asFailure(error).failure).toBe("database_unavailable");
  });
});
