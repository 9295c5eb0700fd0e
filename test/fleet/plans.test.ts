// SCALE sets how many organizations there are; what an index doesn't answer shows at a few thousand already.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createDeps } from "../../src/boot.ts";
import { prepare } from "../../src/prepare.ts";
import type { Deps } from "../../src/deps.ts";
import { engineOf } from "../../src/lib/mongo/engine.ts";
import { createLogger } from "../../src/log.ts";
import { isTenantCollection, sharedCollection } from "../../src/tenant/placement.ts";
import { plantMany } from "../support/many.ts";
import { createMonitored } from "../support/monitored.ts";
import { type CallSite, findCallSites, noteCalls } from "../support/plans/call-sites.ts";
import { collectStatements, explain, type Statement } from "../support/plans/sent.ts";
import { tour } from "../support/plans/tour.ts";
import { dropAll, testConfig } from "../support/service.ts";

const count = Number(process.env.SCALE ?? 3_000);
setDefaultTimeout(10 * 60_000);

/** Statements that look at everything because that is what they are for. */
const walks: [RegExp, string][] = [
  [/"organization_name":\{"\$lt"[^]*\$sum/, "the quota of organizations counts them"],
  [/"\$not":\{"\$type"/, "audit verify looks for entries that are in no chain, wherever they are"],
];

const quotas = { QUOTA_ORGANIZATIONS: "1000000000", QUOTA_STARTER_DOCUMENTS: "1000000000" };

let deps: Deps & { close(): Promise<void> };
let calls: ReturnType<typeof noteCalls>;
let statements: Map<string, Statement>;
let toured: Awaited<ReturnType<typeof tour>>;
let isFerret: boolean;
beforeAll(async () => {
  const config = testConfig({
    AUDIT_RETENTION_DAYS: "60",
    RATE_LIMIT_STORE: "mongodb",
    PLACEMENT_LEASE_MS: "20",
    ...quotas,
  });
  const client = createMonitored(config.mongodbUrl);
  deps = await createDeps(config, client, createLogger("silent"), undefined, client);
  await client.connect();
  isFerret = (await engineOf(client)) === "ferretdb";
  await prepare(deps);
  // What FerretDB explains are plans of PostgreSQL, which don't say how much they looked at.
  await plantMany(deps.db, { count: isFerret ? 200 : count, withMonth: true });
  statements = collectStatements(client, deps.db, (name) => name !== sharedCollection && !isTenantCollection(name));
  calls = noteCalls();
  toured = await tour(deps);
  calls.stop();
});
afterAll(async () => {
  await dropAll(deps.db);
  await deps.close();
});

describe("a tour through all that the service does", () => {
  test("visits every route", () => {
    expect(toured.routes.filter((route) => !toured.visited.has(route))).toEqual([]);
  });

  test("passes every place in the code that asks one of the service's own collections", async () => {
    const said = ({ file, from, text }: CallSite) => `${file}:${from} ${text.replace(/\s+/g, "")}`;
    const sites = await findCallSites();
    expect(sites.length).toBeGreaterThan(90);
    expect(sites.filter((site) => !calls.isCalled(site)).map(said)).toEqual([]);
  });

  test(`asks nothing that looks at more than it finds, of ${count} organizations and what a month leaves`, async () => {
    if (isFerret) return;
    const wrong: string[] = [];
    for (const [shape, statement] of statements) {
      if (walks.some(([pattern]) => pattern.test(shape))) continue;
      const { examined, returned, stages } = await explain(deps.db, statement);
      if (examined > 10 * returned + 100) wrong.push(`${shape} looks at ${examined} for ${returned}: ${stages}`);
    }
    expect(statements.size).toBeGreaterThan(100);
    expect(wrong).toEqual([]);
  });
});
