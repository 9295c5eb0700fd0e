import { beforeAll } from "bun:test";
import { goodPassword, useService } from "../support/service.ts";
import { invalid, refuses, type Row, strangersReader, wrongBodies, wrongTexts } from "../support/wrong-input.ts";

const service = useService();
const good = { email: "ada@example.com", password: goodPassword };
beforeAll(async () => {
  await service.send("POST", "/org/create", { body: { organization_name: "own", ...good } });
});

const incorrect = (name: string, changes: Partial<typeof good>): Row => ({
  name: `incorrect: ${name}`,
  status: 401,
  type: "credentials_incorrect",
  body: { ...good, ...changes },
});
const wrong = (field: keyof typeof good, name: string, value: unknown): Row => ({
  name: `${field}: ${name}`,
  ...invalid,
  pointers: [`#/${field}`],
  body: { ...good, [field]: value },
});

refuses(service, "POST /admin/login", { method: "POST", path: "/admin/login" }, [
  { name: "email: missing", ...invalid, pointers: ["#/email"], body: { password: good.password } },
  { name: "password: missing", ...invalid, pointers: ["#/password"], body: { email: good.email } },
  { name: "both missing", ...invalid, pointers: ["#/email", "#/password"], body: {} },
  wrong("email", "null", null),
  wrong("password", "null", null),
  ...wrongTexts(good, "email"),
  ...wrongTexts(good, "password"),
  wrong("email", "no @", "ada"),
  wrong("email", "a newline at its end", "ada@example.com\n"),
  wrong("email", "a space at its start", " ada@example.com"),
  wrong("email", "321 characters", `${"a".repeat(309)}@example.com`),
  wrong("password", "1,001 characters", "x".repeat(1_001)),
  ...wrongBodies(good, strangersReader),
  incorrect("unknown email", { email: "nobody@example.com" }),
  incorrect("wrong password", { password: "Wrong-Horse-7" }),
  incorrect("the password in another case", { password: goodPassword.toUpperCase() }),
  incorrect("the password and a newline", { password: `${goodPassword}\n` }),
  incorrect("the password and a space", { password: ` ${goodPassword}` }),
  incorrect("the start of the password", { password: goodPassword.slice(0, -1) }),
  incorrect("a pattern for the email", { email: ".*@example.com" }),
  incorrect("an operator as text", { email: '{"$gt":""}@example.com' }),
  incorrect("a full-width look-alike of the email", { email: "\uFF41da@example.com" }),
  incorrect("a password of 1,000 characters", { password: "x".repeat(1_000) }),
]);
