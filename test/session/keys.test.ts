import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sign } from "hono/jwt";
import { ObjectId } from "mongodb";
import { createTokenIssuer } from "../../src/session/token/token.ts";
import { testConfig } from "../support/service.ts";
import { makeToken, readClaims } from "../support/token.ts";

const secrets = ["a", "b", "c"].map((letter) => `${letter}-secret-of-the-tests-and-of-nothing-else`) as [
  string,
  string,
  string,
];
const whose = { admin_id: new ObjectId().toHexString(), organization_id: new ObjectId().toHexString(), gen: 0 };
const issuerOf = (settings: Record<string, string>, now = () => new Date()) =>
  createTokenIssuer(testConfig({ JWT_SECRET_KEY: "", ...settings }).jwt, now);
const withSecrets = (...list: string[]) => issuerOf({ JWT_SECRET_KEY: list.join(",") });
const headerOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString());
const issue = async (from: Awaited<ReturnType<typeof issuerOf>>) => (await from.issue(whose)).token;

const folder = mkdtempSync(join(tmpdir(), "croupier-keys-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const fileOf = (name: string) => join(folder, name);
const pairs = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};
const writeKey = (name: string, key: KeyObject) => {
  writeFileSync(fileOf(name), key.export({ type: "pkcs8", format: "pem" }));
  return fileOf(name);
};

describe("several secrets", () => {
  test("the first signs and names itself, all verify, none other does", async () => {
    const [old, both, next] = [
      await withSecrets(secrets[0]),
      await withSecrets(secrets[1], secrets[0]),
      await withSecrets(secrets[1]),
    ];
    const [byOld, byBoth] = [await issue(old), await issue(both)];
    expect(headerOf(byOld)).toEqual({ alg: "HS256", typ: "JWT", kid: expect.stringMatching(/^[\w-]{16}$/) });
    expect(headerOf(byBoth).kid).not.toBe(headerOf(byOld).kid);
    expect([await both.read(byOld), await both.read(byBoth), await next.read(byBoth)]).toEqual([
      readClaims(byOld) as never,
      readClaims(byBoth) as never,
      readClaims(byBoth) as never,
    ]);
    expect([await next.read(byOld), await old.read(byBoth)]).toEqual([null, null]);
  });

  test("a token of before keys had names is tried with each, one that names a key only with that", async () => {
    const both = await withSecrets(secrets[1], secrets[0]);
    const token = await issue(both);
    const claims = readClaims(token);
    const made = (secret: string, kid?: unknown) =>
      both.read(makeToken(claims, secret, { alg: "HS256", ...(kid !== undefined && { kid }) }));
    expect(await made(secrets[0])).toMatchObject(whose);
    expect(await made(secrets[1])).toMatchObject(whose);
    expect(await made(secrets[2])).toBeNull();
    const { kid } = headerOf(token);
    expect(await made(secrets[1], kid)).toMatchObject(whose);
    for (const wrong of ["x", "", null, 1, [kid], { $ne: 1 }, "../../dev/null", "__proto__"]) {
      expect(await made(secrets[1], wrong)).toBeNull();
    }
    expect(await made(secrets[0], kid)).toBeNull();
  });

  test("no public key is published", async () => {
    expect((await withSecrets(secrets[0])).publicKeys()).toEqual([]);
  });
});

test("what is hashed with a key is the same wherever the first key is, in a file or not, and nothing else tells it", async () => {
  writeFileSync(fileOf("secrets"), secrets.join("\n"));
  const inFile = { JWT_SECRET_KEY_FILE: fileOf("secrets") };
  const hashes = (await Promise.all([withSecrets(...secrets), withSecrets(secrets[0]), issuerOf(inFile)])).map(
    (issuer) => issuer.keyedHash("text"),
  );
  expect(hashes[0]).toMatch(/^[\w-]{43}$/);
  expect(new Set(hashes).size).toBe(1);
  const others = [await withSecrets(secrets[1]), await withSecrets(secrets[2])].map((issuer) =>
    issuer.keyedHash("text"),
  );
  for (const [index, alg] of (["RS256", "ES256", "EdDSA"] as const).entries()) {
    const settings = { JWT_ALGORITHM: alg, JWT_PRIVATE_KEY_FILES: writeKey(`hash-${index}`, pairs[alg]().privateKey) };
    others.push((await issuerOf(settings)).keyedHash("text"), (await issuerOf(settings)).keyedHash("other text"));
    expect((await issuerOf(settings)).keyedHash("text")).toBe(others.at(-2)!);
  }
  expect(new Set([...hashes, ...others]).size).toBe(9);
});

describe.each(["RS256", "ES256", "EdDSA"] as const)("%s", (alg) => {
  let issuer: Awaited<ReturnType<typeof issuerOf>>;
  let first: ReturnType<(typeof pairs)[typeof alg]>;
  const second = pairs[alg]();
  const files = (...names: string[]) =>
    issuerOf({ JWT_ALGORITHM: alg, JWT_PRIVATE_KEY_FILES: names.map((name) => fileOf(`${alg}-${name}`)).join(",") });
  beforeAll(async () => {
    first = pairs[alg]();
    writeKey(`${alg}-1`, first.privateKey);
    writeKey(`${alg}-2`, second.privateKey);
    issuer = await files("1", "2");
  });

  test("the first key signs, all verify", async () => {
    const [one, two] = [await files("1"), await files("2")];
    const token = await issue(issuer);
    expect(headerOf(token)).toEqual({ alg, typ: "JWT", kid: issuer.publicKeys()[0]!.kid });
    expect(await one.read(token)).toMatchObject(whose);
    expect(await two.read(token)).toBeNull();
    expect(await issuer.read(await issue(two))).toMatchObject(whose);
  });

  test("public keys are published, and nothing of the private ones", () => {
    const published = issuer.publicKeys();
    expect(published).toHaveLength(2);
    for (const [index, pair] of [first, second].entries()) {
      const { kid, alg: named, use, ...key } = published[index]!;
      expect({ named, use }).toEqual({ named: alg, use: "sig" });
      expect(kid).toMatch(/^[\w-]{43}$/);
      expect(key).toEqual(pair.publicKey.export({ format: "jwk" }) as never);
      expect(Object.keys(key)).not.toContain("d");
    }
  });

  test("a public key is no secret for HMAC, in whatever form, and no other algorithm is taken", async () => {
    const token = await issue(issuer);
    const [claims, header] = [readClaims(token), headerOf(token)];
    const forms = [
      first.publicKey.export({ type: "spki", format: "pem" }) as string,
      first.publicKey.export({ type: "spki", format: "pem" }).toString().trim(),
      first.publicKey.export({ type: "spki", format: "der" }).toString("latin1"),
      JSON.stringify(first.publicKey.export({ format: "jwk" })),
      JSON.stringify(issuer.publicKeys()[0]),
    ];
    for (const form of forms) {
      for (const wrong of ["HS256", "HS384", "HS512"]) {
        expect(await issuer.read(makeToken(claims, form, { ...header, alg: wrong }))).toBeNull();
        expect(await issuer.read(makeToken(claims, form, { alg: wrong }))).toBeNull();
      }
    }
    for (const none of ["none", "None", ""])
      expect(await issuer.read(makeToken(claims, "", { ...header, alg: none }))).toBeNull();
    for (const [other, make] of Object.entries(pairs)) {
      const key = make().privateKey.export({ format: "jwk" });
      for (const named of [{ kid: header.kid }, {}]) {
        expect(
          await issuer.read(await sign(claims, { ...key, alg: other, ...named } as never, other as "RS256")),
        ).toBeNull();
      }
    }
  });

  test("a file that holds no such key stops the start, and its text is not shown", async () => {
    writeFileSync(fileOf("text"), "hunter2");
    writeFileSync(fileOf("public"), first.publicKey.export({ type: "spki", format: "pem" }));
    const others = Object.entries(pairs).filter(([other]) => other !== alg);
    const wrong = [
      fileOf("text"),
      fileOf("public"),
      fileOf("missing"),
      ...others.map(([other, make]) => writeKey(`other-${other}`, make().privateKey)),
      writeKey("short", generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey),
      writeKey("curve", generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey),
    ];
    for (const file of wrong) {
      const message = await issuerOf({ JWT_ALGORITHM: alg, JWT_PRIVATE_KEY_FILES: file }).then(String, String);
      expect(message).toContain(`JWT_PRIVATE_KEY_FILES: ${file} `);
      expect(message).not.toMatch(/hunter2|BEGIN/);
    }
  });
});

describe("what a token says", () => {
  const claims = async () => readClaims(await issue(await withSecrets(secrets[0])));
  const read = async (changes: object) =>
    (await withSecrets(secrets[0])).read(makeToken({ ...(await claims()), ...changes }, secrets[0], { alg: "HS256" }));

  test.each(["exp", "iat", "iss", "aud", "jti", "admin_id", "organization_id"])("needs %s", async (name) => {
    expect(await read({})).toMatchObject(whose);
    expect(await read({ [name]: undefined })).toBeNull();
    expect(await read({ [name]: null })).toBeNull();
  });

  test("a token is of this issuer, for this audience, not of the future and not over", async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await read({ iss: "another" })).toBeNull();
    expect(await read({ aud: "another" })).toBeNull();
    expect(await read({ iat: now + 30 })).toBeNull();
    expect(await read({ nbf: now + 30 })).toBeNull();
    expect(await read({ exp: now })).toBe("expired");
    expect(await read({ exp: 1e999 })).toBeNull();
  });
});

describe("keys that are changed while the service runs", () => {
  const file = fileOf("secrets");
  const put = (...list: string[]) => writeFileSync(file, `${list.join("\n")}\n`);

  test("the next one signs, one that was taken out verifies nothing any more, not even what was verified before", async () => {
    put(secrets[0]);
    const issuer = await issuerOf({ JWT_SECRET_KEY_FILE: file });
    const before = await issue(issuer);
    expect(await issuer.read(before)).toMatchObject(whose);
    put(secrets[1], secrets[0]);
    await issuer.reload();
    const after = await issue(issuer);
    expect(headerOf(after).kid).not.toBe(headerOf(before).kid);
    expect([await issuer.read(before), await issuer.read(after)]).toMatchObject([whose, whose]);
    put(secrets[1]);
    await issuer.reload();
    expect(await issuer.read(before)).toBeNull();
    expect(await issuer.read(after)).toMatchObject(whose);
  });

  test("what can't be used leaves those before in use", async () => {
    put(secrets[0]);
    const issuer = await issuerOf({ JWT_SECRET_KEY_FILE: file });
    const token = await issue(issuer);
    for (const wrong of [
      "",
      "short",
      `${secrets[0]}\nsecret-${"-".repeat(40)}`,
      "-----BEGIN PUBLIC KEY-----AAAAAAAAAAAAA",
    ]) {
      put(wrong);
      await expect(issuer.reload()).rejects.toThrow("JWT_SECRET_KEY_FILE");
    }
    rmSync(file);
    await expect(issuer.reload()).rejects.toThrow("can't be read");
    expect(await issuer.read(token)).toMatchObject(whose);
  });
});
