import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { newcomer, send, testConfig } from "../support/service.ts";

const lines: string[] = [];
let running: RunningService;
beforeAll(async () => {
  const log = createLogger("trace", { write: (line) => void lines.push(line) });
  running = await startService(testConfig({ LOG_LEVEL: "trace" }), log);
  await running.ready;
}, 60_000);
afterAll(async () => {
  await running.deps.db.dropDatabase();
  await running.stop();
}, 60_000);

const parsed = () => lines.map((line) => JSON.parse(line));

test("the log is one JSON object a line and names each request by its id, its route and its outcome", async () => {
  const asked = [
    await send(running.url, "POST", "/org/create", { body: newcomer() }),
    await send(running.url, "GET", "/org/get?organization_name=nobody-has-this"),
    await send(running.url, "GET", "/nothing"),
    await send(running.url, "POST", "/org/get"),
    await send(running.url, "PUT", "/org/update", { body: {} }),
    await send(running.url, "POST", "/admin/login", { body: "{" }),
  ];
  for (const line of lines) expect(line).toMatch(/^\{.*\}\n$/s);
  for (const { status, headers } of asked) {
    const [line, ...more] = parsed().filter(({ request_id }) => request_id === headers.get("x-request-id"));
    expect(more).toEqual([]);
    expect(line).toMatchObject({
      level: 30,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      msg: "request",
      method: expect.stringMatching(/^[A-Z]+$/),
      route: expect.stringMatching(/^\//),
      status,
      ms: expect.any(Number),
    });
  }
});

test("the log holds no email, password, hash, token or secret, whatever goes well or wrong", async () => {
  const secrets: string[] = [running.deps.config.jwt.secrets[0]!, "$2b$"];
  const who = { ...newcomer("logged"), email: "o'brien{logged}`x@secret-mail.example", password: "Logged-Horse-7" };
  const other = { ...newcomer("logged"), email: "other.logged@secret-mail.example", password: "Logged-Horse-8" };
  secrets.push("secret-mail", "brien", "{logged}", "other.logged", who.password, other.password);
  const ask = (method: string, path: string, options?: Parameters<typeof send>[3]) =>
    send(running.url, method, path, options);

  for (const body of [who, other, who, { ...other, organization_name: newcomer().organization_name }]) {
    await ask("POST", "/org/create", { body });
  }
  const login = { email: who.email, password: who.password };
  const token = (await ask("POST", "/admin/login", { body: login })).body.access_token as string;
  secrets.push(token, token.split(".")[2]!);
  await ask("POST", "/admin/login", { body: { ...login, password: "Wrong-Logged-Horse" } });
  await ask("POST", "/admin/login", { body: { ...login, email: other.email } });
  await ask("POST", "/admin/login", { body: JSON.stringify(login).slice(0, -1) });
  await ask("GET", `/org/get?organization_name=${encodeURIComponent(who.email)}`);
  await ask("GET", `/${who.email}?password=${who.password}`);
  await ask("GET", `/org/get?token=${token}&organization_name=acme`);
  await ask("PUT", "/org/update", { token, body: { email: other.email } });
  await ask("PUT", "/org/update", {
    token,
    body: { email: "next.logged@secret-mail.example", password: "Logged-Horse-9" },
  });
  secrets.push("next.logged", "Logged-Horse-9", "Wrong-Logged-Horse");
  await ask("PUT", "/org/update", { token: `${token}x`, body: {} });
  await ask("DELETE", "/org/delete", { headers: { authorization: `Bearer ${token}, ${who.password}` } });
  await ask("GET", "/nothing", { headers: { "x-request-id": "ada@secret-mail.example" } });
  // A unique index that the service doesn't know makes the driver quote the value.
  await running.deps.db
    .collection("admin_users")
    .createIndex({ password: 1, email: 1 }, { unique: true, name: "strange" });
  await running.deps.db
    .collection("admin_users")
    .updateOne({ email: other.email }, { $set: { email: "held.logged@secret-mail.example" } });
  await ask("DELETE", "/org/delete", { token });

  const text = lines.join("");
  expect(parsed().length).toBeGreaterThan(15);
  for (const secret of [...secrets, "held.logged"]) expect(text).not.toContain(secret);
});

test("an error of the driver that quotes an email is logged without it", async () => {
  const email = "o'brien{quoted}@secret-mail.example";
  const admins = running.deps.db.collection<{ _id: string; email: string; email_keys: string[] }>("admin_users");
  await admins.insertOne({ _id: "a", email, email_keys: [email] });
  const error = await admins.insertOne({ _id: "b", email, email_keys: [] }).then(
    () => null,
    (error) => error,
  );
  expect(error).toBeInstanceOf(Error);
  running.deps.log.error({ err: error }, "quoted");
  const line = lines.findLast((line) => line.includes('"quoted"'))!;
  expect(JSON.parse(line).err.code).toBe(11000);
  expect(line).not.toContain("secret-mail");
  expect(line).not.toContain("brien");
});

test("no error of the driver is logged with anything of a document, wherever it stands in the error", async () => {
  const { db } = running.deps;
  const content = "planted-content";
  const documents = db.collection<any>("strange_documents");
  await documents.createIndex({ text: 1 }, { unique: true });
  await documents.insertOne({ _id: `${content} _id`, text: content });
  const asked = [
    () => documents.insertOne({ text: content }),
    () => documents.insertMany([{ text: content }, { text: content }], { ordered: false }),
    () => documents.updateMany({}, [{ $set: { text: { $toInt: "$text" } } }]),
    () => documents.find({ $expr: { $toInt: content } }).toArray(),
    () => documents.find({ [`$${content}`]: 1 }).toArray(),
    () => Promise.resolve().then(() => JSON.parse(content)),
  ];
  let quoting = 0;
  for (const ask of asked) {
    const error = await ask().then(
      () => null,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(Error);
    if (`${(error as Error).message} ${JSON.stringify(error)}`.includes("planted")) quoting++;
    running.deps.log.error({ err: error }, "planted");
    const line = lines.findLast((one) => one.includes('"planted"'))!;
    expect(JSON.parse(line).err).toMatchObject({
      name: (error as Error).name,
      stack: expect.stringMatching(/^\s+at /),
    });
    expect(line).not.toContain(content);
  }
  // FerretDB quotes less.
  expect(quoting).toBeGreaterThan(1);
});
