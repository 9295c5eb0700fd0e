import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { expectProblem } from "../support/problem.ts";
import { newcomer, send, testConfig, useService } from "../support/service.ts";

setDefaultTimeout(60_000);
const settings = { QUOTA_ORGANIZATIONS: "4" };
const service = useService(settings);
let other: RunningService;
beforeAll(async () => {
  const more = { ...settings, VALIDATION_ERRORS: "v1", MONGODB_DB_NAME: service.db.databaseName };
  other = await startService(testConfig(more), createLogger("silent"));
  await other.ready;
}, 60_000);
afterAll(() => other.stop());

const path = "/org/create";
const create = (url = service.url, who = newcomer("one")) => send(url, "POST", path, { body: who });
const entering = () => service.db.collection<Document>("admissions");
const theOne = { _id: "organizations" as never };

test("however many are made at once in two processes, as many come to be as the quota says", async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => create(n % 2 ? other.url : service.url)));
  expect(answers.map(({ status }) => status).sort()).toEqual([...Array(4).fill(201), ...Array(8).fill(422)]);
  expect(await service.db.collection("organizations").countDocuments()).toBe(4);
  expect((await entering().findOne(theOne))!.entering).toEqual([]);
});

test("who is refused is told so, and not how many there are; clients of the first Croupier in its words", async () => {
  const refused = await create();
  expectProblem(refused, { status: 422, type: "quota_exceeded", path });
  expect(refused.body.quota).toEqual({ name: "organizations" });
  const first = await create(other.url);
  expect(first.body).toEqual({
    detail: [{ loc: ["body"], msg: expect.stringContaining("quota of organizations"), type: "value_error" }],
  });
});

test("one that was removed makes room, and one that could not be made takes none", async () => {
  const organizations = service.db.collection("organizations");
  const { email } = (await organizations.findOne({}))!;
  const { password } = newcomer();
  const signedIn = await service.send("POST", "/admin/login", { body: { email, password } });
  const token = signedIn.body.access_token;
  expect((await service.send("DELETE", "/org/delete", { token })).status).toBe(204);
  const taken = { ...newcomer("one"), organization_name: (await organizations.findOne({}))!.organization_name };
  expect((await create(service.url, taken)).status).toBe(400);
  // A process that was killed while it made one, long ago and just now.
  const killed = (at: Date) =>
    entering().updateOne(theOne, { $push: { entering: { id: new ObjectId(), at } } } as never);
  await killed(new Date());
  expect((await create()).status).toBe(422);
  await entering().updateOne(theOne, { $set: { entering: [] } });
  await killed(new Date(0));
  expect((await create()).status).toBe(201);
  expect((await entering().findOne(theOne))!.entering).toEqual([]);
  expect((await create()).status).toBe(422);
});
