import { describe, expect, test } from "bun:test";
import { useOperatorKey } from "../support/operator.ts";
import { newcomer, send, useService } from "../support/service.ts";

const service = useService({
  RATE_LIMIT_STORE: "mongodb",
  TRUSTED_PROXIES: "1",
  RATE_LIMIT_SIGN_IN: "100000",
  RATE_LIMIT_SIGN_IN_EMAIL: "3",
  RATE_LIMIT_CREATE: "4",
  RATE_LIMIT_SIGN_IN_ADDRESS: "8",
});

const operatorKey = useOperatorKey(service);
const from = (address: string) => ({ "x-forwarded-for": address });
const signIn = (email: string, address: string, password = "Wrong-Horse-7") =>
  service.send("POST", "/admin/login", { body: { email, password }, headers: from(address) });
const strangers = (network: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${network}.${index + 1}`);
/** Addresses of as many networks. */
const botnet = (count: number) => Array.from({ length: count }, (_, index) => `203.${index + 1}.113.7`);
const statusesOf = async (answers: Promise<{ status: number }>[]) =>
  (await Promise.all(answers)).map((one) => one.status);

async function join(address: string) {
  const who = newcomer("locked");
  const made = await service.send("POST", "/org/create", { body: who, headers: from(address) });
  expect(made.status).toBe(201);
  const { body, status } = await signIn(who.email, address, who.password);
  expect(status).toBe(200);
  return { ...who, id: made.body.id as string, refreshToken: body.refresh_token as string };
}

describe("an admin whose email others try wrong passwords with", () => {
  test("an admin signs in from other networks, while one network has only few tries however many addresses it has", async () => {
    const who = await join("192.0.2.1");
    const answers = await statusesOf(strangers("198.51.100", 20).map((address) => signIn(who.email, address)));
    expect(answers.filter((status) => status === 401)).toHaveLength(3);
    expect((await signIn(who.email, "198.51.100.77", who.password)).status).toBe(429);
    expect((await signIn(who.email, "192.0.77.5", who.password)).status).toBe(200);
  });

  test("wrong tries from everywhere don't lock an admin out where the email has signed in of late, nor keep a session from renewing", async () => {
    const who = await join("192.0.3.1");
    const answers = await statusesOf(botnet(60).map((address) => signIn(who.email, address)));
    expect(answers.filter((status) => status === 401)).toHaveLength(30);
    expect((await signIn(who.email, "203.200.113.7", who.password)).status).toBe(429);
    // Its neighbours are no help to them, either.
    await statusesOf(
      strangers("192.0.3", 20)
        .slice(1)
        .map((address) => signIn(who.email, address)),
    );
    for (let round = 0; round < 5; round++) {
      expect((await signIn(who.email, "192.0.3.1", who.password)).status).toBe(200);
    }
    const renewed = { body: { refresh_token: who.refreshToken }, headers: from("203.200.113.7") };
    expect((await service.send("POST", "/admin/refresh", renewed)).status).toBe(200);
  });

  test("has as few tries as anybody where the email has signed in", async () => {
    const who = await join("192.0.4.1");
    const wrong = await statusesOf(Array.from({ length: 7 }, () => signIn(who.email, "192.0.4.1")));
    expect(wrong.filter((status) => status === 401)).toHaveLength(3);
  });
});

describe("an admin who has lost the password", () => {
  const newPassword = "Recovered-Horse-8";
  const recover = async (id: string, address: string) => {
    const { body } = await service.send("POST", `/platform/organizations/${id}/recovery`, { token: operatorKey() });
    const given = { body: { token: body.token, password: newPassword }, headers: from(address) };
    expect((await service.send("POST", "/admin/recovery", given)).status).toBe(204);
  };

  test("signs in with the new one from where it was set, whatever others have tried with the email", async () => {
    const who = await join("192.0.5.1");
    await statusesOf(botnet(60).map((address) => signIn(who.email, address)));
    expect((await signIn(who.email, "198.19.5.1", who.password)).status).toBe(429);
    await recover(who.id, "198.19.5.1");
    expect((await signIn(who.email, "198.19.6.1", newPassword)).status).toBe(429);
    expect((await signIn(who.email, "198.19.5.1", newPassword)).status).toBe(200);
  });

  test.each([
    ["has signed in", "192.0.6.1"],
    ["hasn't signed in", "198.19.7.1"],
  ])(
    "signs in with the new one also after too many tries from there, where the email %s before",
    async (_, address) => {
      const who = await join("192.0.6.1");
      await statusesOf(Array.from({ length: 4 }, () => signIn(who.email, address)));
      expect((await signIn(who.email, address, who.password)).status).toBe(429);
      await recover(who.id, address);
      expect((await signIn(who.email, address, newPassword)).status).toBe(200);
    },
  );
});

describe("a request that isn't valid", () => {
  const invalid = [{}, { organization_name: 7 }, "not JSON"];

  test.each([
    ["/org/create", 4],
    ["/admin/login", 8],
    ["/admin/recovery", 8],
  ])("a request to POST %s that isn't valid counts like one that is", async (path, allowed) => {
    const headers = from(`192.0.9.${path.length}`);
    const answers = await statusesOf(
      Array.from({ length: 30 }, (_, index) => send(service.url, "POST", path, { body: invalid[index % 3], headers })),
    );
    expect(answers.filter((status) => status === 422)).toHaveLength(allowed);
    expect(answers.filter((status) => status === 429)).toHaveLength(30 - allowed);
  });
});
