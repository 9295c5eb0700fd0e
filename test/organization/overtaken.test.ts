import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned } from "../../src/operation/drive.ts";
import { operations } from "../../src/operation/store.ts";
import { expectProblem } from "../support/problem.ts";
import { goodPassword, newcomer, send, testConfig } from "../support/service.ts";

// A request that was too slow for its lease: another driver has taken its operation over and finished it, and only then
// the request goes on.
const defects: string[] = [];
let running: RunningService;
let stopAt: string | null = null;
beforeAll(async () => {
  const log = createLogger("error", { write: (line) => void defects.push(line) });
  running = await startService(testConfig(), log, async ({ _id, kind, step }, moment) => {
    if (stopAt !== `${kind}/${step}/${moment}`) return;
    stopAt = null;
    const { deps } = running;
    await operations(deps.db).updateOne({ _id }, { $set: { "lease.until": new Date(0) } });
    // This one or the service's own worker, whichever is first.
    while (await operations(deps.db).findOne({ _id, open: true })) await driveAbandoned(deps, 10_000);
  });
  await running.ready;
}, 60_000);
afterAll(async () => {
  await running.deps.db.dropDatabase();
  await running.stop();
}, 60_000);

const ask = (method: string, path: string, options?: Parameters<typeof send>[3]) =>
  send(running.url, method, path, options);

const places = {
  provision: ["organization", "admin", "storage", "activate"],
  update: ["email", "organization", "admin", "place", "close", "seal", "rename", "placement"],
  remove: ["hide", "locate", "storage", "admins", "organization"],
};
const rows = Object.entries(places).flatMap(([kind, steps]) =>
  steps.flatMap((step) => ["before", "after"].map((moment) => [kind, step, moment] as const)),
);

describe("a request that is overtaken is answered truthfully, or that it should come again:", () => {
  test.each(rows)(
    "%s at %s, %s its effect",
    async (kind, step, moment) => {
      const who = newcomer("slow");
      await ask("POST", "/org/create", { body: who });
      const signedIn = await ask("POST", "/admin/login", { body: { email: who.email, password: who.password } });
      const token = signedIn.body.access_token;
      const next = newcomer("next");
      const call = () =>
        kind === "provision"
          ? ask("POST", "/org/create", { body: next })
          : kind === "update"
            ? ask("PUT", "/org/update", { token, body: next })
            : ask("DELETE", "/org/delete", { token });
      stopAt = `${kind}/${step}/${moment}`;
      const answer = await call();
      expect(stopAt).toBeNull();
      if (answer.status >= 400) {
        expectProblem(answer, { status: 503, type: "operation_pending", path: answer.body.instance });
      }
      const again = await call();
      const done = answer.status < 400;
      expect(again.status).toBe({ provision: done ? 400 : 201, update: 200, remove: 401 }[kind]!);
      const found = await ask("GET", `/org/get?organization_name=${next.organization_name}`);
      expect(found.status).toBe(kind === "remove" ? 404 : 200);
      if (kind === "remove") return;
      // Where a place was begun, another is taken.
      const isBegun = kind === "provision" && !done && ["storage", "activate"].includes(step);
      const collection = `org_${next.organization_name}${isBegun ? "~2" : ""}`;
      expect(found.body.connection_details).toBe(`Collection: ${collection}`);
      const admin = await ask("POST", "/admin/login", { body: { email: next.email, password: goodPassword } });
      expect(admin.body.organization_id).toBe(found.body.id);
    },
    20_000,
  );

  test("and no defect was logged", () => {
    expect(defects).toEqual([]);
  });
});
