import { availableParallelism } from "node:os";
import * as z from "zod";
import { bcryptRoundsMax } from "./admin/password.ts";
import { parseCidr } from "./lib/cidr.ts";
import { connectionProblems } from "./lib/connection-options.ts";
import { keptSecret } from "./session/kept-secret.ts";
import type { JwtAlgorithm } from "./session/keys.ts";
import { secretsProblem, splitSecrets } from "./session/secret.ts";
import type { Quotas } from "./quota/quota.ts";
import { tenantIndexesMax } from "./tenant/indexes.ts";
import { type Tier, tiers } from "./tenant/placement.ts";

/** A setting that isn't given and one that is given empty are the same, as in most shells and compose files. */
const wholeNumberOf = (minimum: number, maximum: number) => {
  const error = `must be a whole number from ${minimum} to ${maximum}`;
  return z.coerce.number({ error }).int(error).min(minimum, error).max(maximum, error);
};
const wholeNumber = (fallback: number, minimum: number, maximum: number) =>
  wholeNumberOf(minimum, maximum).default(fallback);
const oneOf = <const T extends string[]>(...values: T) =>
  z.enum(values, { error: `must be one of ${values.join(", ")}` });

/** Has one default for production and one for development. */
const limit = wholeNumberOf(1, 1_000_000_000).optional();

/** Of documents, bytes, organizations; without it there is no quota. */
const quota = wholeNumberOf(1, 2 ** 50).optional();

const listOf = (text: string): string[] => text.split(",").flatMap((part) => part.trim() || []);

/** As browsers write it: no path, no default port, no capitals; `*` and `null` are none. */
const isOrigin = (text: string) => /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;

/** A count, or networks. */
const proxies = z
  .string()
  .default("0")
  .transform((text, context): number | string[] => {
    if (/^(\d|10)$/.test(text)) return Number(text);
    const networks = listOf(text).map(parseCidr);
    if (networks.length > 0 && networks.every((network) => network !== null)) return networks;
    context.addIssue({ code: "custom", message: "must be a whole number from 0 to 10, or networks: 10.0.0.0/8, …" });
    return z.NEVER;
  });

const systemDatabases = ["admin", "config", "local"];

/** What is wrong with the name of a database (MongoDB manual, "Naming Restrictions"), on whichever system it runs; null when nothing is. */
function databaseNameProblem(name: string): string | null {
  if (/[/\\. "$*<>:|?]/.test(name)) return 'must have none of / \\ . " $ * < > : | ? and no space';
  if (/\p{C}/u.test(name)) return "must have no control characters";
  if (Buffer.byteLength(name) > 63) return "must have at most 63 bytes in UTF-8";
  return systemDatabases.includes(name.toLowerCase()) ? "is a database of MongoDB's own" : null;
}

const settings = z.object({
  CROUPIER_ENV: oneOf("production", "development").default("production"),
  HOST: z.string().default("127.0.0.1"),
  PORT: wholeNumber(8000, 0, 65_535),
  MONGODB_URL: z
    .string({ error: "is missing: a connection string, mongodb://…" })
    .regex(/^mongodb(\+srv)?:\/\//, { error: "must be a connection string: mongodb://…", abort: true })
    .superRefine((url, context) => {
      for (const message of connectionProblems(url)) context.addIssue({ code: "custom", message });
    }),
  SERVICE_POOL_SIZE: wholeNumberOf(2, 10_000).optional(),
  DOCUMENTS_POOL_SIZE: wholeNumberOf(2, 10_000).optional(),
  MONGODB_DB_NAME: z
    .string()
    .superRefine((name, context) => {
      const message = databaseNameProblem(name);
      if (message) context.addIssue({ code: "custom", message });
    })
    .default("croupier_master"),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\/[^/]/, "must be redis://… or rediss://… (TLS)")
    .optional(),
  JWT_SECRET_KEY: z.string().optional(),
  JWT_SECRET_KEY_FILE: z.string().optional(),
  JWT_PRIVATE_KEY_FILES: z.string().optional(),
  JWT_ALGORITHM: oneOf("HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA").default("HS256"),
  JWT_ISSUER: z.string().default("croupier"),
  JWT_AUDIENCE: z.string().default("croupier"),
  ACCESS_TOKEN_EXPIRE_MINUTES: wholeNumber(60, 1, 525_600),
  JWT_LEEWAY_SECONDS: wholeNumber(0, 0, 300),
  REFRESH_TOKEN_EXPIRE_DAYS: wholeNumber(30, 1, 3_650),
  SESSION_EXPIRE_DAYS: wholeNumber(90, 1, 3_650),
  REVOCATION_STALE_MS: wholeNumber(5_000, 1_000, 600_000),
  BCRYPT_ROUNDS: wholeNumber(12, 4, bcryptRoundsMax),
  PASSWORD_QUEUE_MAX: wholeNumber(256, 1, 100_000),
  PASSWORD_WORKERS: wholeNumber(availableParallelism(), 1, 256),
  OPERATION_LEASE_MS: wholeNumber(5_000, 100, 600_000),
  // The gate of a move, which waits for half of it, is closed for four seconds at the most.
  PLACEMENT_LEASE_MS: wholeNumber(500, 20, 5_000),
  MOVE_DOCUMENTS_PER_SECOND: wholeNumber(0, 0, 100_000_000),
  ORG_LOOKUP: oneOf("full", "minimal", "admin").default("full"),
  QUOTA_ORGANIZATIONS: quota,
  QUOTA_STARTER_DOCUMENTS: quota,
  QUOTA_STARTER_BYTES: quota,
  QUOTA_PROFESSIONAL_DOCUMENTS: quota,
  QUOTA_PROFESSIONAL_BYTES: quota,
  QUOTA_ENTERPRISE_DOCUMENTS: quota,
  QUOTA_ENTERPRISE_BYTES: quota,
  STARTER_INDEXES: wholeNumber(3, 0, tenantIndexesMax),
  VALIDATION_ERRORS: oneOf("problem", "v1").default("problem"),
  DEFAULT_TIER: oneOf(...tiers).default("professional"),
  MAX_BODY_BYTES: wholeNumber(1_048_576, 1_024, 64 * 1_048_576),
  MAX_DOCUMENTS_BYTES: wholeNumber(17 * 1_048_576, 1_024, 48_000_000),
  MAX_BODIES_BYTES: wholeNumberOf(1_048_576, 2 ** 40).optional(),
  TRUSTED_PROXIES: proxies,
  PUBLIC_ORIGIN: z
    .string()
    .refine((text) => isOrigin(text) && text.startsWith("https:"), "must be an origin by HTTPS: https://api.example")
    .optional(),
  ENFORCE_HTTPS: oneOf("true", "false").default("false"),
  CORS_ORIGINS: z
    .string()
    .default("")
    .transform(listOf)
    .refine((origins) => origins.every(isOrigin), "must be origins as browsers send them: https://app.example, …"),
  AUDIT_RETENTION_DAYS: wholeNumber(400, 0, 36_500),
  REQUEST_TIMEOUT_MS: wholeNumber(30_000, 100, 240_000),
  RATE_LIMIT_STORE: oneOf("redis", "mongodb", "memory").optional(),
  RATE_LIMIT_SIGN_IN: limit,
  RATE_LIMIT_SIGN_IN_EMAIL: limit,
  RATE_LIMIT_SIGN_IN_ADDRESS: limit,
  RATE_LIMIT_SIGN_IN_SECONDS: wholeNumber(60, 1, 86_400),
  RATE_LIMIT_SIGN_IN_SECONDS_MAX: wholeNumber(3_600, 1, 86_400),
  RATE_LIMIT_CREATE: limit,
  RATE_LIMIT_PASSWORD: limit,
  RATE_LIMIT_READ: limit,
  RATE_LIMIT_REFUSED: limit,
  RATE_LIMIT_STARTER: limit,
  RATE_LIMIT_PROFESSIONAL: limit,
  RATE_LIMIT_ENTERPRISE: limit,
  RATE_LIMIT_TOKEN_PERCENT: wholeNumber(80, 1, 100),
  RATE_LIMIT_OPERATOR: limit,
  REQUESTS_AT_ONCE: limit,
  REQUESTS_WAITING: limit,
  LOG_LEVEL: oneOf("fatal", "error", "warn", "info", "debug", "trace", "silent").default("info"),
});

export type Config = {
  environment: "production" | "development";
  host: string;
  port: number;
  mongodbUrl: string;
  /** Connections of the service itself, and for documents. Null: as many as the connection string says. */
  servicePoolSize: number | null;
  documentsPoolSize: number | null;
  databaseName: string;
  /** Null: there is none. */
  redisUrl: string | null;
  jwt: {
    algorithm: JwtAlgorithm;
    /** Of HS256 and its like: the first signs, all verify. None when they are in a file. */
    secrets: string[];
    /** One secret a line. */
    secretFile: string | null;
    /** Of RS256 and its like, PEM: the first signs, all verify. */
    privateKeyFiles: string[];
    issuer: string;
    audience: string;
    lifeMinutes: number;
    /** How far the clocks of those who sign and those who verify may be apart. */
    leewaySeconds: number;
  };
  sessions: {
    /** Life of a refresh token that isn't used. */
    refreshDays: number;
    /** Life of a session, however often it is renewed. */
    sessionDays: number;
  };
  /** How long it may be unknown which tokens were ended elsewhere before writes are refused. */
  revocationStaleMs: number;
  bcryptRounds: number;
  passwordQueueMax: number;
  passwordWorkers: number;
  operationLeaseMs: number;
  /** How long this process may use a placement without asking again. */
  placementLeaseMs: number;
  /** 0 is as fast as it goes. */
  moveDocumentsPerSecond: number;
  /** What `GET /org/get` shows: all to everybody, all but the email, or an admin the own organization only. */
  organizationLookUp: "full" | "minimal" | "admin";
  /** What the five endpoints of the first Croupier answer with 422: a problem document, or `detail` as it had it. */
  validationErrors: "problem" | "v1";
  defaultTier: Tier;
  quotas: Quotas;
  /** Of one organization in the shared collection, which all there share. */
  starterIndexes: number;
  bodyBytesMax: number;
  /** For bodies with documents. */
  documentsBytesMax: number;
  /** Of all requests that are at work together. */
  bodiesBytesMax: number;
  /** How many proxies before the service write X-Forwarded-For and X-Forwarded-Proto, or their networks; with 0 both are ignored. */
  trustedProxies: number | string[];
  /** Where callers reach the service. Null: it isn't known. */
  publicOrigin: string | null;
  enforceHttps: boolean;
  corsOrigins: string[];
  /** How long entries of the record are kept; 0 is for ever. */
  auditRetentionDays: number;
  requestTimeoutMs: number;
  limits: {
    store: "redis" | "mongodb" | "memory";
    /** With one email in a minute, right ones too. */
    signIns: number;
    signInsPerEmail: number;
    signInsPerAddress: number;
    signInWindowSeconds: number;
    signInWaitSecondsMax: number;
    /** In an hour, as the next; those after it in a minute. */
    createsPerAddress: number;
    /** Of one organization. */
    credentialChanges: number;
    readsPerAddress: number;
    refusedPerAddress: number;
    starter: number;
    professional: number;
    enterprise: number;
    /** How much of what an organization may one of its tokens may. */
    tokenPercent: number;
    /** Of one operator's key. */
    operator: number;
    /** Of one organization. */
    requestsAtOnce: number;
    requestsWaiting: number;
  };
  logLevel: string;
};

const quotasOf = (value: z.infer<typeof settings>): Quotas => {
  const of = (tier: "STARTER" | "PROFESSIONAL" | "ENTERPRISE") => ({
    documents: value[`QUOTA_${tier}_DOCUMENTS`] ?? null,
    bytes: value[`QUOTA_${tier}_BYTES`] ?? null,
  });
  return {
    organizations: value.QUOTA_ORGANIZATIONS ?? null,
    tiers: { starter: of("STARTER"), professional: of("PROFESSIONAL"), enterprise: of("ENTERPRISE") },
  };
};

/** Where the keys come from has to be clear: of two sources one would be forgotten when keys are changed. */
function keysProblem(given: Record<string, string | undefined>, secrets: string[], files: string[]): string | null {
  if (/^(RS|ES|Ed)/.test(given.JWT_ALGORITHM ?? "")) {
    return files.length === 0
      ? `JWT_PRIVATE_KEY_FILES is missing: ${given.JWT_ALGORITHM} signs with a key in PEM`
      : null;
  }
  if (given.JWT_SECRET_KEY_FILE) {
    return given.JWT_SECRET_KEY ? "JWT_SECRET_KEY and JWT_SECRET_KEY_FILE are both set: one of them" : null;
  }
  const problem = secretsProblem(secrets);
  return problem && given.CROUPIER_ENV !== "development" ? `JWT_SECRET_KEY ${problem}` : null;
}

/**
 * Reads the settings (docs/configuration.md has the table).
 * @throws Error whose message names every setting that is wrong, one a line.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""),
  );
  // The first Croupier read either name.
  given.ACCESS_TOKEN_EXPIRE_MINUTES ??= given.JWT_ACCESS_TOKEN_EXPIRE_MINUTES;
  const parsed = settings.safeParse(given);
  const wrong = parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
  const secrets = splitSecrets(given.JWT_SECRET_KEY ?? "", /,/);
  const privateKeyFiles = splitSecrets(given.JWT_PRIVATE_KEY_FILES ?? "", /,/);
  const problem = keysProblem(given, secrets, privateKeyFiles);
  if (problem) wrong.push(problem);
  if (parsed.data?.ENFORCE_HTTPS === "true" && parsed.data.TRUSTED_PROXIES === 0) {
    wrong.push("ENFORCE_HTTPS needs TRUSTED_PROXIES: only a proxy in front of the service can say what callers use");
  }
  if (parsed.data?.MAX_BODIES_BYTES !== undefined && parsed.data.MAX_BODIES_BYTES < 2 * parsed.data.MAX_DOCUMENTS_BYTES)
    wrong.push("MAX_BODIES_BYTES must be twice MAX_DOCUMENTS_BYTES or more: no organization may have more than half");
  if (parsed.data?.RATE_LIMIT_STORE === "redis" && !given.REDIS_URL)
    wrong.push("RATE_LIMIT_STORE is redis, and REDIS_URL is missing");
  if (!parsed.success || wrong.length > 0) throw new Error(`The configuration is wrong:\n  ${wrong.join("\n  ")}`);

  const value = parsed.data;
  const development = value.CROUPIER_ENV === "development";
  const needsSecret = value.JWT_ALGORITHM.startsWith("HS") && value.JWT_SECRET_KEY_FILE === undefined;
  return {
    environment: value.CROUPIER_ENV,
    host: value.HOST,
    port: value.PORT,
    mongodbUrl: value.MONGODB_URL,
    servicePoolSize: value.SERVICE_POOL_SIZE ?? null,
    documentsPoolSize: value.DOCUMENTS_POOL_SIZE ?? null,
    databaseName: value.MONGODB_DB_NAME,
    redisUrl: value.REDIS_URL ?? null,
    jwt: {
      algorithm: value.JWT_ALGORITHM,
      // Missing in development only.
      secrets: needsSecret && secrets.length === 0 ? [keptSecret()] : secrets,
      secretFile: value.JWT_SECRET_KEY_FILE ?? null,
      privateKeyFiles,
      issuer: value.JWT_ISSUER,
      audience: value.JWT_AUDIENCE,
      lifeMinutes: value.ACCESS_TOKEN_EXPIRE_MINUTES,
      leewaySeconds: value.JWT_LEEWAY_SECONDS,
    },
    sessions: { refreshDays: value.REFRESH_TOKEN_EXPIRE_DAYS, sessionDays: value.SESSION_EXPIRE_DAYS },
    revocationStaleMs: value.REVOCATION_STALE_MS,
    bcryptRounds: value.BCRYPT_ROUNDS,
    passwordQueueMax: value.PASSWORD_QUEUE_MAX,
    passwordWorkers: value.PASSWORD_WORKERS,
    operationLeaseMs: value.OPERATION_LEASE_MS,
    placementLeaseMs: value.PLACEMENT_LEASE_MS,
    moveDocumentsPerSecond: value.MOVE_DOCUMENTS_PER_SECOND,
    organizationLookUp: value.ORG_LOOKUP,
    validationErrors: value.VALIDATION_ERRORS,
    defaultTier: value.DEFAULT_TIER,
    quotas: quotasOf(value),
    starterIndexes: value.STARTER_INDEXES,
    bodyBytesMax: value.MAX_BODY_BYTES,
    documentsBytesMax: value.MAX_DOCUMENTS_BYTES,
    bodiesBytesMax: value.MAX_BODIES_BYTES ?? 4 * Math.max(value.MAX_DOCUMENTS_BYTES, value.MAX_BODY_BYTES),
    trustedProxies: value.TRUSTED_PROXIES,
    publicOrigin: value.PUBLIC_ORIGIN ?? null,
    enforceHttps: value.ENFORCE_HTTPS === "true",
    corsOrigins: value.CORS_ORIGINS,
    auditRetentionDays: value.AUDIT_RETENTION_DAYS,
    requestTimeoutMs: value.REQUEST_TIMEOUT_MS,
    limits: {
      store: value.RATE_LIMIT_STORE ?? (value.REDIS_URL ? "redis" : development ? "memory" : "mongodb"),
      signIns: value.RATE_LIMIT_SIGN_IN ?? (development ? 100_000 : 60),
      signInsPerEmail: value.RATE_LIMIT_SIGN_IN_EMAIL ?? (development ? 1_000 : 5),
      signInsPerAddress: value.RATE_LIMIT_SIGN_IN_ADDRESS ?? (development ? 10_000 : 30),
      signInWindowSeconds: value.RATE_LIMIT_SIGN_IN_SECONDS,
      signInWaitSecondsMax: value.RATE_LIMIT_SIGN_IN_SECONDS_MAX,
      createsPerAddress: value.RATE_LIMIT_CREATE ?? (development ? 100_000 : 20),
      credentialChanges: value.RATE_LIMIT_PASSWORD ?? (development ? 100_000 : 10),
      readsPerAddress: value.RATE_LIMIT_READ ?? (development ? 1_000_000 : 600),
      refusedPerAddress: value.RATE_LIMIT_REFUSED ?? (development ? 1_000_000 : 60),
      starter: value.RATE_LIMIT_STARTER ?? (development ? 1_000_000 : 1_200),
      professional: value.RATE_LIMIT_PROFESSIONAL ?? (development ? 1_000_000 : 6_000),
      enterprise: value.RATE_LIMIT_ENTERPRISE ?? (development ? 1_000_000 : 60_000),
      tokenPercent: value.RATE_LIMIT_TOKEN_PERCENT,
      operator: value.RATE_LIMIT_OPERATOR ?? (development ? 1_000_000 : 6_000),
      requestsAtOnce: value.REQUESTS_AT_ONCE ?? (development ? 1_000 : 32),
      requestsWaiting: value.REQUESTS_WAITING ?? (development ? 1_000 : 64),
    },
    logLevel: value.LOG_LEVEL,
  };
}
