// The service as a process of its own that kills or stops itself at a chosen moment of an operation.
// On standard output, one JSON value a line: where it listens, and each moment that it passes.
// On standard input, one JSON value a line: a plan. The environment may hold the first, CRASH_PLAN, and more settings of the
// service, CRASH_CONFIG.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { ObjectId } from "mongodb";
import { startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import type { StepObserver } from "../../src/operation/operation.ts";
import type { Moment, Plan } from "./crash.ts";
import { testConfig } from "./service.ts";

// At once and whole: what is written must be out when the process dies.
const say = (value: unknown) => writeSync(1, `${JSON.stringify(value)}\n`);

let plan: Plan | null = process.env.CRASH_PLAN ? JSON.parse(process.env.CRASH_PLAN) : null;
let passed = 0;
const lastStep = new Map<string, string>();

const onStep: StepObserver = async ({ _id, organization_id, kind, step }, moment) => {
  // Places that were left are swept whenever they are due: that is on no request's way.
  if (kind === "sweep") return;
  // When it is recorded, the operation names the next step already.
  if (moment !== "recorded") lastStep.set(_id.toHexString(), step);
  const at: Moment = { kind, step: lastStep.get(_id.toHexString()) ?? step, moment };
  if (plan?.loseBefore === `${kind}/${step}` && moment === "before") {
    const { db } = running.deps;
    await db.collection("organizations").deleteOne({ _id: new ObjectId(organization_id) });
    await db.collection("admin_users").deleteMany({ organization_id: organization_id.toHexString() });
  }
  say({ at });
  if (!plan) return;
  const { signal } = plan;
  if ("after" in plan) {
    if (passed++ === plan.after) process.kill(process.pid, signal);
  } else if (plan.at === `${kind}/${at.step}` && plan.moment === moment) {
    const { delayMs } = plan;
    plan = null;
    if (delayMs === undefined) process.kill(process.pid, signal);
    else setTimeout(() => process.kill(process.pid, signal), delayMs);
  }
};

const { MONGODB_DB_NAME = "", OPERATION_LEASE_MS = "300", LOG_LEVEL = "silent", CRASH_CONFIG = "{}" } = process.env;
const running = await startService(
  testConfig({ MONGODB_DB_NAME, OPERATION_LEASE_MS, LOG_LEVEL, PASSWORD_WORKERS: "1", ...JSON.parse(CRASH_CONFIG) }),
  createLogger(LOG_LEVEL),
  onStep,
);
await running.ready;
say({ url: running.url });

createInterface(process.stdin)
  .on("line", (line) => {
    plan = JSON.parse(line);
    passed = 0;
    say({ armed: true });
  })
  // Whoever started this process is gone.
  .on("close", () => process.exit(0));
