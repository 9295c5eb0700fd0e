// SCALE sets how many organizations there are: 100,000 take some minutes to be planted.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { prepare } from "../../src/prepare.ts";
import type { Deps } from "../../src/deps.ts";
import { createLogger } from "../../src/log.ts";
import { plantMany } from "../support/many.ts";
import { dropAll, testConfig } from "../support/service.ts";
import { canWatch, runWatched, startWatched } from "../support/watched.ts";

const count = Number(process.env.SCALE ?? 15_000);
const isLarge = count >= 100_000;
setDefaultTimeout(isLarge ? 20 * 60_000 : 120_000);

/** What was read and isn't gathered yet. With all organizations held, 15,000 took 130 MiB and more. */
const noiseMiB = 90;
const forMs = isLarge ? 10_000 : 2_000;

type Figures = Record<"serve" | "inspect" | "doctor", number>;
type Opened = Deps & { close(): Promise<void> };

async function prepared(): Promise<Opened> {
  const config = testConfig();
  const deps = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
  await deps.db.client.connect();
  await prepare(deps);
  return deps;
}

const envOf = ({ db }: Opened) => ({
  MONGODB_DB_NAME: db.databaseName,
  JWT_SECRET_KEY: "a-secret-of-the-tests-and-of-nothing-else",
  RATE_LIMIT_READ: "1000000",
});

async function figuresOf(deps: Opened): Promise<Figures> {
  const env = envOf(deps);
  const serve = await startWatched(env, { name: "nobody", forMs });
  const inspect = await runWatched(["inspect"], env);
  const doctor = await runWatched(["doctor"], env);
  for (const { lines, code } of [inspect, doctor]) expect({ lines, code }).toEqual({ lines: [], code: 0 });
  const said = `ready after ${serve.readyMs.toFixed(0)} ms, p99 ${serve.p99Ms.toFixed(1)} ms of ${serve.asked}`;
  console.log(
    `${await deps.db.collection("organizations").countDocuments()} organizations: ${said}; at the most `,
    `serve ${serve.peakMiB.toFixed(0)} MiB, inspect ${inspect.peakMiB.toFixed(0)} MiB in ${inspect.tookMs.toFixed(0)} ms, `,
    `doctor ${doctor.peakMiB.toFixed(0)} MiB in ${doctor.tookMs.toFixed(0)} ms`,
  );
  if (isLarge) expect(serve.p99Ms).toBeLessThan(100);
  return { serve: serve.peakMiB, inspect: inspect.peakMiB, doctor: doctor.peakMiB };
}

describe.skipIf(!canWatch)(`with ${count} organizations`, () => {
  let empty: Opened;
  let full: Opened;
  beforeAll(async () => {
    empty = await prepared();
    full = await prepared();
    await plantMany(full.db, { count, withMonth: false });
  });
  afterAll(async () => {
    for (const deps of [empty, full]) {
      await dropAll(deps.db);
      await deps.close();
    }
  });

  test("a start, inspect and doctor find nothing and don't hold what they read", async () => {
    const none = await figuresOf(empty);
    const all = await figuresOf(full);
    for (const name of isLarge ? [] : (Object.keys(none) as (keyof Figures)[])) {
      expect({ name, grew: all[name] - none[name] < noiseMiB }).toEqual({ name, grew: true });
    }
    expect(all.serve).toBeLessThan(200);
    expect(all.inspect).toBeLessThan(250);
    expect(all.doctor).toBeLessThan(250);
  });
});
