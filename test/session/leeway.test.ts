import { describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createLogger } from "../../src/log.ts";
import { createRevocations, type RevocationStore } from "../../src/session/revocation/revocations.ts";
import { createTokenIssuer } from "../../src/session/token/token.ts";
import { isLetIn, sidOf, signInTo } from "../support/session.ts";
import { testConfig, useService } from "../support/service.ts";
import { makeToken, readClaims } from "../support/token.ts";

const seconds = 1_800_000_000;
let at = seconds;
const now = () => new Date(at * 1000);
const ids = { admin_id: new ObjectId().toHexString(), organization_id: new ObjectId().toHexString() };
const base = { ...ids, iat: seconds, exp: seconds + 600, iss: "croupier", aud: "croupier", jti: "j", gen: 0 };

describe.each([0, 30])("with a leeway of %d seconds", (leeway) => {
  const { jwt } = testConfig({ JWT_LEEWAY_SECONDS: String(leeway) });
  const reads = async (changes: object) => {
    const issuer = await createTokenIssuer(jwt, now);
    const read = await issuer.read(makeToken({ ...base, ...changes }, jwt.secrets[0]!, { alg: "HS256" }));
    return read === null || read === "expired" ? read : "holds";
  };

  test("exp, nbf and iat hold for so much longer or earlier, and not a second more", async () => {
    at = seconds;
    for (const [changes, read] of [
      [{ exp: seconds - leeway + 1 }, "holds"],
      [{ exp: seconds - leeway }, "expired"],
      [{ nbf: seconds + leeway }, "holds"],
      [{ nbf: seconds + leeway + 1 }, null],
      [{ iat: seconds + leeway }, "holds"],
      [{ iat: seconds + leeway + 1 }, null],
      [{ iat: seconds + leeway + 1, exp: seconds - leeway }, null],
    ] as const) {
      expect({ changes, read: await reads(changes) }).toEqual({ changes, read });
    }
  });

  test("a token that the process knows runs out just so", async () => {
    at = seconds;
    const issuer = await createTokenIssuer(jwt, now);
    const { token } = await issuer.issue({ ...ids, gen: 0 });
    at = seconds + 3600 + leeway - 1;
    expect(await issuer.read(token)).toMatchObject(ids);
    expect(issuer.knows(token)).toBe(true);
    at = seconds + 3600 + leeway;
    expect(await issuer.read(token)).toBe("expired");
  });

  test("what was ended is remembered for so much longer, and what has run out is not", async () => {
    at = seconds;
    const written: { expires_at: Date }[] = [];
    const store: RevocationStore = {
      write: async (revocation) => void written.push(revocation),
      async *readSince() {},
    };
    const log = createLogger("silent");
    const revocations = createRevocations({ store, leewaySeconds: jwt.leewaySeconds, staleMs: 5_000, now, log });
    await revocations.end(base);
    await revocations.endSession({ ...ids, sid: "s", until: new Date((seconds + 60) * 1000) });
    await revocations.endSession({ ...ids, sid: "other", until: new Date((seconds - leeway) * 1000) });
    const ends = [seconds + 600, seconds + 60].map((end) => new Date((end + leeway) * 1000));
    expect(written.map(({ expires_at }) => expires_at)).toEqual(ends);
    expect([revocations.isEnded({ ...base, jti: "other", sid: "s" }), revocations.isEnded(base)]).toEqual([true, true]);
    expect(revocations.isEnded({ ...base, jti: "other", sid: "other" })).toBe(false);
  });
});

describe("a token that holds only for the leeway", () => {
  const service = useService({ JWT_LEEWAY_SECONDS: "300", REFRESH_LEEWAY_SECONDS: "0" });
  /** A sign-in of a while ago: its access token says that it has run out. */
  const signedInBefore = async () => {
    const who = await service.join();
    const { access_token, refresh_token } = await signInTo(service, who);
    const over = Math.floor(Date.now() / 1000) - 10;
    const [secret = ""] = service.running.deps.config.jwt.secrets;
    const token = makeToken({ ...readClaims(access_token), exp: over }, secret, { alg: "HS256" });
    const sessions = service.db.collection<{ _id: string }>("sessions");
    await sessions.updateOne({ _id: sidOf(token) }, { $set: { access_until: new Date(over * 1000) } });
    expect(await isLetIn(service, token)).toBe(true);
    return { who, token, refresh_token };
  };

  test("is ended by a logout", async () => {
    const { token } = await signedInBefore();
    expect((await service.send("POST", "/admin/logout", { token })).status).toBe(204);
    expect(await isLetIn(service, token)).toBe(false);
  });

  test("is ended with its session", async () => {
    const { who, token } = await signedInBefore();
    const path = `/admin/sessions/${sidOf(token)}`;
    expect((await service.send("DELETE", path, { token: who.token })).status).toBe(204);
    expect([await isLetIn(service, token), await isLetIn(service, who.token)]).toEqual([false, true]);
  });

  test("is ended by a refresh token that comes twice", async () => {
    const { token, refresh_token } = await signedInBefore();
    const body = { refresh_token };
    expect((await service.send("POST", "/admin/refresh", { body })).status).toBe(200);
    expect((await service.send("POST", "/admin/refresh", { body })).status).toBe(401);
    expect(await isLetIn(service, token)).toBe(false);
  });
});

test.each(["exp", "iat", "iss", "aud", "jti", "admin_id", "organization_id"])(
  "a token without %s is none, whatever the leeway",
  async (claim) => {
    at = seconds;
    const { jwt } = testConfig({ JWT_LEEWAY_SECONDS: "300" });
    const issuer = await createTokenIssuer(jwt, now);
    const read = (claims: object) => issuer.read(makeToken(claims, jwt.secrets[0]!, { alg: "HS256" }));
    expect(await read(base)).not.toBeNull();
    for (const value of [undefined, null, "", {}]) expect(await read({ ...base, [claim]: value })).toBeNull();
  },
);
