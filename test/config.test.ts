import { describe, expect, test } from "bun:test";
import { createClient } from "../src/lib/mongo/client.ts";
import { readConfig } from "../src/config.ts";

const production = {
  MONGODB_URL: "mongodb://127.0.0.1/",
  JWT_SECRET_KEY: "gN3vJd0sQyq2cT8mZ1xR5uW7pL4kH6bA",
};

describe("the configuration", () => {
  test("has the first Croupier's defaults", () => {
    expect(readConfig(production)).toMatchObject({
      environment: "production",
      port: 8000,
      databaseName: "croupier_master",
      bcryptRounds: 12,
      jwt: { algorithm: "HS256", lifeMinutes: 60 },
    });
  });

  test("has two pools of connections, each as large as it is told or as the connection string says", () => {
    expect(readConfig(production)).toMatchObject({ servicePoolSize: null, documentsPoolSize: null });
    const sizes = { SERVICE_POOL_SIZE: "20", DOCUMENTS_POOL_SIZE: "200" };
    const told = readConfig({ ...production, ...sizes });
    expect(told).toMatchObject({ servicePoolSize: 20, documentsPoolSize: 200 });
    const pool = ({ options }: ReturnType<typeof createClient>) => [options.minPoolSize, options.maxPoolSize];
    const url = `${production.MONGODB_URL}?maxPoolSize=7&minPoolSize=5`;
    expect(pool(createClient(url, null))).toEqual([5, 7]);
    expect(pool(createClient(url, 2))).toEqual([0, 2]);
    expect(() => readConfig({ ...production, DOCUMENTS_POOL_SIZE: "1" })).toThrow("DOCUMENTS_POOL_SIZE");
  });

  test("takes the life of a token under either name, and the newer one first", () => {
    expect(readConfig({ ...production, JWT_ACCESS_TOKEN_EXPIRE_MINUTES: "7" }).jwt.lifeMinutes).toBe(7);
    const both = { ACCESS_TOKEN_EXPIRE_MINUTES: "8", JWT_ACCESS_TOKEN_EXPIRE_MINUTES: "7" };
    expect(readConfig({ ...production, ...both }).jwt.lifeMinutes).toBe(8);
  });

  test("has 30 days for a refresh token, 90 for a session, 10 seconds for a second tab and no leeway for clocks, and refuses a leeway of more than minutes", () => {
    expect(readConfig(production)).toMatchObject({
      jwt: { leewaySeconds: 0 },
      sessions: { refreshDays: 30, sessionDays: 90, refreshLeewaySeconds: 10 },
    });
    expect(() => readConfig({ ...production, JWT_LEEWAY_SECONDS: "301" })).toThrow("JWT_LEEWAY_SECONDS");
  });

  test("takes a name for the database that MongoDB takes, is no database of its own, and says what is wrong with another", () => {
    const read = (MONGODB_DB_NAME: string) => readConfig({ ...production, MONGODB_DB_NAME }).databaseName;
    for (const good of ["a", "Kunden_é-1", "ü".repeat(31), "x".repeat(63), "administration"])
      expect(read(good)).toBe(good);
    for (const [wrong, because] of [
      ["x".repeat(64), "must have at most 63 bytes"],
      ["ü".repeat(32), "must have at most 63 bytes"],
      ["a\tb", "must not contain control characters"],
      ["a\u007f", "must not contain control characters"],
      ["a\u0085b", "must not contain control characters"],
      ["a b", "must not contain"],
      ["a/b", "must not contain"],
      ...["admin", "LOCAL", "config"].map((name) => [name, "is a database of MongoDB's own"]),
    ] as [string, string][]) {
      expect(() => read(wrong)).toThrow(`MONGODB_DB_NAME ${because}`);
    }
  });

  test("takes a number of proxies or their networks, and nothing in between", () => {
    const read = (TRUSTED_PROXIES: string) => readConfig({ ...production, TRUSTED_PROXIES }).trustedProxies;
    expect(readConfig(production).trustedProxies).toBe(0);
    expect(read("2")).toBe(2);
    expect(read("10.0.0.0/8, 2001:DB8:0::/32,192.0.2.7")).toEqual(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]);
    for (const wrong of [
      "-1",
      "11",
      "1.5",
      "true",
      ",",
      "10.0.0.1/8",
      "1,10.0.0.0/8",
      "proxy.example",
      "10.0.0.0/33",
    ]) {
      expect(() => read(wrong)).toThrow("TRUSTED_PROXIES must be a whole number from 0 to 10, or networks");
    }
  });

  test("has no quotas, and takes one for each tier and for the deployment", () => {
    const none = { documents: null, bytes: null };
    expect(readConfig(production).quotas).toEqual({
      organizations: null,
      tiers: { starter: none, professional: none, enterprise: none },
    });
    const names = ["STARTER", "PROFESSIONAL", "ENTERPRISE"].flatMap((tier) => [`${tier}_DOCUMENTS`, `${tier}_BYTES`]);
    const given = ["ORGANIZATIONS", ...names].map((name, index) => [`QUOTA_${name}`, String(index + 1)]);
    expect(readConfig({ ...production, ...Object.fromEntries(given) }).quotas).toEqual({
      organizations: 1,
      tiers: {
        starter: { documents: 2, bytes: 3 },
        professional: { documents: 4, bytes: 5 },
        enterprise: { documents: 6, bytes: 7 },
      },
    });
    for (const [name] of given as [string][]) {
      for (const wrong of ["0", "-1", "1.5", "many", "2e15"])
        expect(() => readConfig({ ...production, [name]: wrong })).toThrow(`${name} must be a whole number from 1 to`);
    }
  });

  test("takes a list of secrets, or files with keys", () => {
    const other = "uY6tR3eW1qA8sD5fG2hJ9kL4zX7cV0bN";
    const { jwt } = readConfig({ ...production, JWT_SECRET_KEY: `${production.JWT_SECRET_KEY}, ${other}` });
    expect(jwt.secrets).toEqual([production.JWT_SECRET_KEY, other]);
    const files = { JWT_SECRET_KEY: "", JWT_ALGORITHM: "EdDSA", JWT_PRIVATE_KEY_FILES: "a.pem,b.pem" };
    expect(readConfig({ ...production, ...files }).jwt).toMatchObject({
      secrets: [],
      privateKeyFiles: ["a.pem", "b.pem"],
    });
  });

  test("counts in Redis when there is one, else in MongoDB, and in memory in development or when told so", () => {
    const storeOf = (more: object) => readConfig({ ...production, ...more }).limits.store;
    const REDIS_URL = "rediss://user:secret@redis.example:6380/1";
    expect(storeOf({})).toBe("mongodb");
    expect(storeOf({ REDIS_URL })).toBe("redis");
    expect(storeOf({ REDIS_URL, RATE_LIMIT_STORE: "mongodb" })).toBe("mongodb");
    expect(storeOf({ CROUPIER_ENV: "development" })).toBe("memory");
    expect(storeOf({ CROUPIER_ENV: "development", REDIS_URL })).toBe("redis");
    expect(() => storeOf({ RATE_LIMIT_STORE: "redis" })).toThrow("REDIS_URL is missing");
    expect(() => storeOf({ REDIS_URL: "http://redis.example" })).toThrow("REDIS_URL must be redis://");
  });

  test("takes an empty setting for one that isn't given", () => {
    expect(readConfig({ ...production, PORT: "", BCRYPT_ROUNDS: "" })).toMatchObject({ port: 8000, bcryptRounds: 12 });
  });

  test.each([
    ["no secret", { JWT_SECRET_KEY: undefined }, "JWT_SECRET_KEY is missing"],
    ["an empty secret", { JWT_SECRET_KEY: "" }, "JWT_SECRET_KEY is missing"],
    ["a short secret", { JWT_SECRET_KEY: "0123456789abcdef" }, "shorter than 32 bytes"],
    ["a well-known secret", { JWT_SECRET_KEY: "your-secret-key-change-this-in-production" }, "well-known example"],
    ["a secret of one letter", { JWT_SECRET_KEY: "x".repeat(40) }, "well-known example"],
    ...[
      "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
      "A-string-secret-at-least-256-bits-long",
      "dev-secret-key-change-in-production-0123",
      "please-change-this-before-you-start-it",
      "the-password-of-the-whole-of-our-company",
      "abcabcabcabcabcabcabcabcabcabcabcab",
      "0123456789abcdef0123456789abcdef",
      "0123456789abcdefghijklmnopqrstuv",
      "aabbaabcabbcaabccbabbcabbaccbabc",
    ].map((known): [string, Record<string, string>, string] => [
      `the secret ${known}`,
      { JWT_SECRET_KEY: known },
      "well-known example",
    ]),
    ["a list with a short secret", { JWT_SECRET_KEY: `${production.JWT_SECRET_KEY},short` }, "bytes (secret 2 of 2)"],
    [
      "a list with a well-known secret",
      { JWT_SECRET_KEY: `secret${"-".repeat(32)},${production.JWT_SECRET_KEY}` },
      "1 of 2",
    ],
    ["a list of nothing", { JWT_SECRET_KEY: " , ," }, "JWT_SECRET_KEY is missing"],
    [
      "a public key as its secret",
      { JWT_SECRET_KEY: `-----BEGIN PUBLIC KEY-----${"A".repeat(40)}` },
      "is a key in PEM",
    ],
    [
      "secrets in two places",
      { JWT_SECRET_KEY_FILE: "secrets" },
      "JWT_SECRET_KEY and JWT_SECRET_KEY_FILE are both set",
    ],
    ["RS256 and no key", { JWT_ALGORITHM: "RS256" }, "JWT_PRIVATE_KEY_FILES is missing"],
    ["no database", { MONGODB_URL: undefined }, "MONGODB_URL is missing"],
    ["a database that is none", { MONGODB_URL: "postgres://127.0.0.1/" }, "MONGODB_URL must be a connection string"],
    ["a port out of range", { PORT: "70000" }, "PORT must be a whole number from 0 to 65535"],
    ["a port that is no number", { PORT: "http" }, "PORT must be a whole number from 0 to 65535"],
    [
      "algorithm none",
      { JWT_ALGORITHM: "none" },
      "JWT_ALGORITHM must be one of HS256, HS384, HS512, RS256, ES256, EdDSA",
    ],
    ["too few rounds", { BCRYPT_ROUNDS: "3" }, "BCRYPT_ROUNDS must be a whole number from 4 to 16"],
    ["an unknown environment", { CROUPIER_ENV: "staging" }, "CROUPIER_ENV must be one of production, development"],
  ])("doesn't let production start with %s", (_name, wrong, message) => {
    expect(() => readConfig({ ...production, ...wrong })).toThrow(message);
  });

  test("a wrong configuration is refused with all that is wrong at once, and shows no secret", () => {
    const read = () => readConfig({ JWT_SECRET_KEY: "hunter2", PORT: "x" });
    expect(read).toThrow(/MONGODB_URL[\s\S]*PORT|PORT[\s\S]*MONGODB_URL/);
    expect(read).toThrow(/JWT_SECRET_KEY/);
    expect(read).not.toThrow("hunter2");
  });
});
