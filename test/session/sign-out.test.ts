import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { expectProblem } from "../support/problem.ts";
import { newcomer, useService } from "../support/service.ts";
import { makeToken, readClaims } from "../support/token.ts";

setDefaultTimeout(30_000);
const service = useService();
const signIn = async ({ email, password }: { email: string; password: string }): Promise<string> =>
  (await service.send("POST", "/admin/login", { body: { email, password } })).body.access_token;
/** What each of the two ways of authentication says: of the rare requests, and of those to documents. */
const asks = async (token: string) =>
  (
    await Promise.all([service.send("GET", "/admin/me", { token }), service.send("GET", "/org/documents", { token })])
  ).map(({ status }) => status);
const lets = [200, 200];
const refuses = [401, 401];
const post = async (path: string, token: string) => (await service.send("POST", path, { token })).status;

describe("GET /admin/me", () => {
  test("says whose token it is, as things are now", async () => {
    const who = await service.join();
    const { admin_id, organization_id, exp } = readClaims(who.token);
    const expected = { admin_id, organization_id, email: who.email, expires_at: new Date(exp * 1000).toISOString() };
    const me = await service.send("GET", "/admin/me", { token: who.token });
    expect(me.body).toEqual({ ...expected, organization_name: who.organization_name });
    expect(me.headers.get("cache-control")).toBe("no-store");
    const { organization_name, email } = newcomer("renamed");
    await service.send("PUT", "/org/update", { token: who.token, body: { organization_name, email } });
    const renamed = await service.send("GET", "/admin/me", { token: who.token });
    expect(renamed.body).toEqual({ ...expected, organization_name, email });
  });
});

describe("POST /admin/logout", () => {
  test("ends this token's session at once and no other, and tells when it would have ended by itself", async () => {
    const who = await service.join();
    const other = await signIn(who);
    expect([await asks(who.token), await asks(other)]).toEqual([lets, lets]);
    expect(await post("/admin/logout", who.token)).toBe(204);
    expect([await asks(who.token), await asks(other)]).toEqual([refuses, lets]);
    expect(await post("/admin/logout", who.token)).toBe(401);
    const { sid, exp, admin_id, organization_id } = readClaims(who.token);
    const entry = await service.db.collection("revocations").findOne({ _id: sid as never });
    expect(entry).toEqual({
      _id: sid,
      kind: "session",
      admin_id,
      organization_id,
      revoked_at: expect.any(Date),
      expires_at: expect.any(Date),
    });
    // A token tells its time in whole seconds.
    expect(Math.floor(entry!.expires_at.getTime() / 1000)).toBe(exp);
    const indexes = await service.db.collection("revocations").indexes();
    expect(indexes).toContainEqual(expect.objectContaining({ key: { expires_at: 1 }, expireAfterSeconds: 0 }));
    expectProblem(await service.send("GET", "/admin/me", { token: who.token }), {
      status: 401,
      type: "token_invalid",
      path: "/admin/me",
    });
  });

  test("that is sent many times at once ends it once, and each is answered", async () => {
    const { token } = await service.join();
    const statuses = await Promise.all(Array.from({ length: 10 }, () => post("/admin/logout", token)));
    for (const status of statuses) expect([204, 401]).toContain(status);
    expect(statuses).toContain(204);
    expect(await asks(token)).toEqual(refuses);
  });
});

describe("POST /admin/logout-all", () => {
  test("ends every token of the admin, and a sign-in within the same second gives one that holds", async () => {
    const who = await service.join();
    const bystander = await service.join();
    for (let round = 0; round < 5; round++) {
      const [one, two] = [await signIn(who), await signIn(who)];
      expect([await asks(one), await asks(two)]).toEqual([lets, lets]);
      expect(await post("/admin/logout-all", one)).toBe(204);
      const next = await signIn(who);
      expect([await asks(one), await asks(two), await asks(next)]).toEqual([refuses, refuses, lets]);
      expect(readClaims(next).iat - readClaims(one).iat).toBeLessThanOrEqual(2);
    }
    expect(await asks(bystander.token)).toEqual(lets);
  });

  test("ends tokens of before there were generations too", async () => {
    const who = await service.join();
    const claims = { ...readClaims(who.token), jti: new ObjectId().toHexString(), gen: undefined };
    const old = makeToken(claims, service.running.deps.config.jwt.secrets[0]!, { alg: "HS256" });
    expect(await asks(old)).toEqual(lets);
    expect(await post("/admin/logout-all", old)).toBe(204);
    expect([await asks(old), await asks(who.token)]).toEqual([refuses, refuses]);
  });
});

describe("a change of the password", () => {
  const change = (token: string, body: object) => service.send("PUT", "/org/update", { token, body });

  test("ends every other token of the admin; the one that made it goes on until it is ended itself", async () => {
    const who = await service.join();
    const others = [await signIn(who), await signIn(who)];
    for (const token of others) expect(await asks(token)).toEqual(lets);
    expect((await change(who.token, { password: "Another-Horse-8" })).status).toBe(200);
    for (const token of others) expect(await asks(token)).toEqual(refuses);
    expect(await asks(who.token)).toEqual(lets);

    const next = await signIn({ ...who, password: "Another-Horse-8" });
    expect(await asks(next)).toEqual(lets);
    expect((await change(who.token, { password: "Another-Horse-9" })).status).toBe(200);
    expect([await asks(who.token), await asks(next)]).toEqual([lets, refuses]);

    const last = await signIn({ ...who, password: "Another-Horse-9" });
    expect((await change(last, { password: "Another-Horse-7" })).status).toBe(200);
    expect([await asks(who.token), await asks(last)]).toEqual([refuses, lets]);
    expect(await post("/admin/logout", last)).toBe(204);
    expect(await asks(last)).toEqual(refuses);
  });

  test("and logout-all ends the one that made it as well", async () => {
    const who = await service.join();
    expect((await change(who.token, { password: "Another-Horse-8" })).status).toBe(200);
    expect(await post("/admin/logout-all", who.token)).toBe(204);
    expect(await asks(who.token)).toEqual(refuses);
  });

  test("that is refused, and changes of name and email, end none", async () => {
    const who = await service.join();
    const taken = await service.join();
    const other = await signIn(who);
    const refused = { organization_name: taken.organization_name, password: "Another-Horse-8" };
    expect((await change(who.token, refused)).status).toBe(400);
    expect((await change(who.token, { email: newcomer().email })).status).toBe(200);
    expect((await change(who.token, { organization_name: newcomer().organization_name })).status).toBe(200);
    expect([await asks(who.token), await asks(other)]).toEqual([lets, lets]);
  });

  test("makes worthless what a sign-in with the old password gets that is still under way", async () => {
    const who = await service.join();
    const asked = Array.from({ length: 20 }, () => signIn(who));
    await change(who.token, { password: "Another-Horse-8" });
    for (const token of await Promise.all(asked)) if (token) expect(await asks(token)).toEqual(refuses);
    expect(await asks(who.token)).toEqual(lets);
  });
});

test("the deletion of an organization ends all its tokens", async () => {
  const who = await service.join();
  const other = await signIn(who);
  expect(await asks(other)).toEqual(lets);
  await service.send("DELETE", "/org/delete", { token: who.token });
  expect([await asks(who.token), await asks(other)]).toEqual([refuses, refuses]);
});
