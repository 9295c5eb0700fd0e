// The service as a process of its own that kills itself at a chosen moment between an act and its entry in the audit log.
// CRASH_CONFIG holds settings of the service and the moment, AUDIT_KILL_AT; on standard output it says where it listens.
import { writeSync } from "node:fs";
import { startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { testConfig } from "./service.ts";

const { MONGODB_DB_NAME = "", OPERATION_LEASE_MS = "300", CRASH_CONFIG = "{}" } = process.env;
const { AUDIT_KILL_AT: killAt, ...settings } = JSON.parse(CRASH_CONFIG);
const running = await startService(
  testConfig({ MONGODB_DB_NAME, OPERATION_LEASE_MS, PASSWORD_WORKERS: "1", ...settings }),
  createLogger("silent"),
);
await running.ready;

const at = (moment: string) => {
  if (moment === killAt) process.kill(process.pid, "SIGKILL");
};
const { deps } = running;
const { revocations, audit, onEnd } = deps;
const { endSession } = revocations;
revocations.endSession = async (session) => {
  at("before the act");
  await endSession(session);
  at("after the act");
};
const { append } = audit;
audit.append = async (entry) => {
  at(`before ${entry.act}`);
  await append(entry);
  at(`after ${entry.act}`);
};
deps.onEnd = async (operation, ending) => {
  at(`before ${operation.kind} is recorded`);
  await onEnd?.(operation, ending);
  at(`after ${operation.kind} is recorded`);
};
deps.onStep = ({ kind, step }, moment) => {
  if (moment === "after") at(`after ${kind}/${step}`);
};

writeSync(1, `${JSON.stringify({ url: running.url })}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
