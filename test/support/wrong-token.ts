import { beforeAll } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { sign } from "hono/jwt";
import { ObjectId } from "mongodb";
import type { Service } from "./service.ts";
import { makeToken, readClaims } from "./token.ts";
import type { Row } from "./wrong-input.ts";

/**
 * Every way of not being signed in that the service has to see through, with claims of an organization that exists.
 * `with` is what the request would do if it were let through.
 */
export function wrongAuthorizations(service: Service, request: Pick<Row, "body">): Row[] {
  let own: string;
  let other: string;
  let gone: string;
  let foreign: string;
  let ended: string;
  let endedWithAll: string;
  let endedByPassword: string;
  const claims = () => readClaims(own);
  const secret = () => service.running.deps.config.jwt.secrets[0]!;

  const makeEnded = async (path: string) => {
    const { token } = await service.join("ended");
    await service.send("POST", path, { token });
    return token;
  };
  const makeGone = async () => {
    const { token } = await service.join("gone");
    await service.send("DELETE", "/org/delete", { token });
    return token;
  };
  const makeOutdated = async () => {
    const { token, email, password } = await service.join("ended");
    const signedIn = await service.send("POST", "/admin/login", { body: { email, password } });
    await service.send("PUT", "/org/update", { token, body: { password: "Another-Horse-8" } });
    return signedIn.body.access_token;
  };
  beforeAll(async () => {
    [own, other, gone, ended, endedWithAll, endedByPassword] = await Promise.all([
      service.join("claims").then(({ token }) => token),
      service.join("other").then(({ token }) => token),
      makeGone(),
      makeEnded("/admin/logout"),
      makeEnded("/admin/logout-all"),
      makeOutdated(),
    ]);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    foreign = await sign(claims(), privateKey.export({ type: "pkcs8", format: "pem" }) as string, "RS256");
  }, 60_000);

  const missing = (name: string, value?: string): Row => ({
    name: `authorization: ${name}`,
    status: 401,
    type: "token_missing",
    authorization: () => value,
    ...request,
  });
  const invalid = (name: string, token: () => string, reason: Row["reason"] = null): Row => ({
    name: `token: ${name}`,
    status: 401,
    type: "token_invalid",
    reason,
    authorization: () => `Bearer ${token()}`,
    ...request,
  });
  const claiming = (name: string, changes: () => object, reason?: Row["reason"]): Row =>
    invalid(name, () => makeToken({ ...claims(), ...changes() }, secret(), { alg: "HS256" }), reason);
  const now = () => Math.floor(Date.now() / 1000);

  return [
    missing("none"),
    missing("empty", ""),
    missing("Bearer alone", "Bearer"),
    missing("Bearer and a space", "Bearer "),
    missing("Basic", "Basic YWRhOnNlY3JldA=="),
    missing("another scheme", "Token abc"),
    missing("garbage", "}{"),
    missing("letters of no token", "Bearer \u00e9\u00e9"),
    { ...missing("a token without a scheme"), authorization: () => own },
    { ...missing("the scheme glued to the token"), authorization: () => `Bearer${own}` },
    { ...missing("two tokens"), authorization: () => `Bearer ${own}, Bearer ${other}` },
    { ...missing("a token and garbage"), authorization: () => `Bearer ${own} x` },
    { ...missing("a token in quotes"), authorization: () => `Bearer "${own}"` },
    invalid("garbage", () => "abc"),
    invalid("three dots", () => "..."),
    invalid("two parts", () => own.split(".").slice(0, 2).join(".")),
    invalid("no signature", () => `${own.split(".").slice(0, 2).join(".")}.`),
    invalid("a signature with padding", () => `${own}=`),
    invalid("a signature whose spare bits are set", () => {
      const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      return own.slice(0, -1) + letters[letters.indexOf(own.at(-1)!) + 1];
    }),
    invalid("8,000 characters", () => "a".repeat(8_000)),
    invalid("altered claims", () => {
      const [header, , signature] = own.split(".");
      const payload = Buffer.from(JSON.stringify({ ...claims(), exp: now() + 999 })).toString("base64url");
      return `${header}.${payload}.${signature}`;
    }),
    invalid("another's claims under its signature", () => {
      const [header, , signature] = own.split(".");
      return `${header}.${other.split(".")[1]}.${signature}`;
    }),
    ...["none", "None", "NONE", ""].map((alg) =>
      invalid(`alg: ${alg || "empty"}`, () => makeToken(claims(), "", { alg })),
    ),
    invalid("HS256 with another secret", () =>
      makeToken(claims(), "another-secret-of-more-than-32-bytes", { alg: "HS256" }),
    ),
    invalid("HS256 with an empty secret", () => makeToken(claims(), "", { alg: "HS256" })),
    invalid("HS384 with the same secret", () => makeToken(claims(), secret(), { alg: "HS384" })),
    invalid("HS512 with the same secret", () => makeToken(claims(), secret(), { alg: "HS512" })),
    invalid("RS256 with a key of the caller's", () => foreign),
    invalid("a key of the caller's in the header", () =>
      makeToken(claims(), "k", { alg: "HS256", jwk: { kty: "oct", k: "aw" } }),
    ),
    invalid("a critical extension", () => makeToken(claims(), secret(), { alg: "HS256", crit: ["x"], x: 1 })),
    claiming("expired a minute ago", () => ({ exp: now() - 60 }), "expired"),
    claiming("expired this second", () => ({ exp: now() }), "expired"),
    claiming("exp: 0", () => ({ exp: 0 }), "expired"),
    claiming("exp as text", () => ({ exp: String(now() + 600) })),
    claiming("no exp", () => ({ exp: undefined })),
    claiming("exp: null", () => ({ exp: null })),
    claiming("issued in the future", () => ({ iat: now() + 600 })),
    claiming("not valid yet", () => ({ nbf: now() + 600 })),
    claiming("foreign iss", () => ({ iss: "https://elsewhere.example" })),
    claiming("no iss", () => ({ iss: undefined })),
    claiming("iss in an array", () => ({ iss: ["croupier"] })),
    claiming("foreign aud", () => ({ aud: "another-service" })),
    claiming("no aud", () => ({ aud: undefined })),
    claiming("no jti", () => ({ jti: undefined })),
    claiming("no admin_id", () => ({ admin_id: undefined })),
    claiming("no organization_id", () => ({ organization_id: undefined })),
    claiming("another's organization_id", () => ({ organization_id: readClaims(other).organization_id }), "ended"),
    claiming("another's admin_id", () => ({ admin_id: readClaims(other).admin_id }), "ended"),
    claiming("an organization that never was", () => ({ organization_id: new ObjectId().toHexString() }), "ended"),
    claiming("expired and ended", () => ({ ...readClaims(ended), exp: now() - 60 }), "expired"),
    invalid("expired, signed with another secret", () =>
      makeToken({ ...claims(), exp: now() - 60 }, "another-secret-of-more-than-32-bytes", { alg: "HS256" }),
    ),
    invalid("ended, signed with another secret", () =>
      makeToken(readClaims(ended), "another-secret-of-more-than-32-bytes", { alg: "HS256" }),
    ),
    claiming("an operator as organization_id", () => ({ organization_id: { $ne: null } })),
    claiming("an operator as admin_id", () => ({ admin_id: { $gt: "" } })),
    claiming("an id in upper case", () => ({ organization_id: String(claims().organization_id).toUpperCase() + "A" })),
    claiming("a generation as text", () => ({ gen: "9" })),
    claiming("a generation that is none", () => ({ gen: -1 })),
    invalid("a deleted organization", () => gone, "ended"),
    invalid("one that was ended", () => ended, "ended"),
    claiming(
      "one that was ended, its claims signed again",
      () => ({ ...readClaims(ended), exp: now() + 999 }),
      "ended",
    ),
    invalid("one that was ended with all of its admin's", () => endedWithAll, "ended"),
    invalid("one of before a change of the password", () => endedByPassword, "ended"),
  ];
}
