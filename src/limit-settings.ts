import * as z from "zod";
import { oneOf, setting, settingsOf, wholeNumber, wholeNumberOf } from "./lib/settings.ts";

/** Two defaults: in development nothing is to be in the way of who tries it. */
const defaults = {
  RATE_LIMIT_SIGN_IN: [60, 100_000],
  RATE_LIMIT_SIGN_IN_EMAIL: [5, 1_000],
  RATE_LIMIT_SIGN_IN_ADDRESS: [30, 10_000],
  RATE_LIMIT_CREATE: [20, 100_000],
  RATE_LIMIT_PASSWORD: [10, 100_000],
  RATE_LIMIT_READ: [600, 1_000_000],
  RATE_LIMIT_REFUSED: [60, 1_000_000],
  RATE_LIMIT_STARTER: [1_200, 1_000_000],
  RATE_LIMIT_PROFESSIONAL: [6_000, 1_000_000],
  RATE_LIMIT_ENTERPRISE: [60_000, 1_000_000],
  RATE_LIMIT_OPERATOR: [6_000, 1_000_000],
  REQUESTS_AT_ONCE: [32, 1_000],
  REQUESTS_WAITING: [64, 1_000],
} as const;
type Limit = keyof typeof defaults;

const limit = wholeNumberOf(1, 1_000_000_000).optional();
const limitOf = (name: Limit, meaning: string) => setting(limit, meaning, String(defaults[name][0]));

export const limitSettings = settingsOf({
  shape: {
    REDIS_URL: setting(
      z
        .string()
        .regex(/^rediss?:\/\/[^/]/, "must be redis://… or rediss://… (TLS)")
        .optional(),
      "optional, `redis://…` or `rediss://…`: counts limits and tells all processes at once which sessions ended",
    ),
    RATE_LIMIT_STORE: setting(
      oneOf("redis", "mongodb", "memory").optional(),
      "where sign-ins and creations are counted for all processes; `redis` if `REDIS_URL` is set; `memory`: each process for itself, as when both are unavailable",
      "mongodb",
    ),
    RATE_LIMIT_SIGN_IN: limitOf(
      "RATE_LIMIT_SIGN_IN",
      "attempts with one email per minute and process, correct ones included: each costs a core for a quarter of a second",
    ),
    RATE_LIMIT_SIGN_IN_EMAIL: limitOf(
      "RATE_LIMIT_SIGN_IN_EMAIL",
      "attempts to sign in with one email per window, from one network (IPv4 /24, IPv6 /48) or one address where it has signed in within 30 days; a correct one resets the count; ten times as many from everywhere, not counting such addresses",
    ),
    RATE_LIMIT_SIGN_IN_ADDRESS: limitOf(
      "RATE_LIMIT_SIGN_IN_ADDRESS",
      "the same from one address; correct ones don't count",
    ),
    RATE_LIMIT_SIGN_IN_SECONDS: setting(
      wholeNumber(60, 1, 86_400),
      "the first window; one that is used up within a day is followed by one of twice its length",
    ),
    RATE_LIMIT_SIGN_IN_SECONDS_MAX: setting(wholeNumber(3_600, 1, 86_400), "the longest window and wait"),
    RATE_LIMIT_CREATE: limitOf("RATE_LIMIT_CREATE", "organizations created from one address per hour"),
    RATE_LIMIT_PASSWORD: limitOf("RATE_LIMIT_PASSWORD", "changes of an organization's password or email per hour"),
    RATE_LIMIT_READ: limitOf(
      "RATE_LIMIT_READ",
      "reads without a token, and renewals, from one address per minute and process, as for the limits below",
    ),
    RATE_LIMIT_REFUSED: limitOf(
      "RATE_LIMIT_REFUSED",
      "invalid tokens and keys from one address per minute; valid tokens, and operator keys that the process already knows, still work",
    ),
    RATE_LIMIT_STARTER: limitOf(
      "RATE_LIMIT_STARTER",
      "requests of one organization of the tier `starter` per minute, all its tokens together",
    ),
    RATE_LIMIT_PROFESSIONAL: limitOf("RATE_LIMIT_PROFESSIONAL", "the same of the tier `professional`"),
    RATE_LIMIT_ENTERPRISE: limitOf("RATE_LIMIT_ENTERPRISE", "the same of the tier `enterprise`"),
    RATE_LIMIT_TOKEN_PERCENT: setting(
      wholeNumber(80, 1, 100),
      "share of its tier's limit, and of `REQUESTS_AT_ONCE`, that one token may use (with its renewals), so that another token can still end it",
    ),
    RATE_LIMIT_OPERATOR: limitOf("RATE_LIMIT_OPERATOR", "requests with one operator key per minute"),
    REQUESTS_AT_ONCE: limitOf(
      "REQUESTS_AT_ONCE",
      "requests of one organization or operator key that are processed at once",
    ),
    REQUESTS_WAITING: limitOf(
      "REQUESTS_WAITING",
      "those that wait meanwhile (at most a second); more are rejected, a quarter of a second later",
    ),
  },
  read(value, { development }) {
    const of = (name: Limit): number => value[name] ?? defaults[name][development ? 1 : 0];
    const store = value.RATE_LIMIT_STORE ?? (value.REDIS_URL ? "redis" : development ? "memory" : "mongodb");
    return {
      /** Null: there is none. */
      redisUrl: value.REDIS_URL ?? null,
      limits: {
        store: store satisfies "redis" | "mongodb" | "memory",
        /** With one email in a minute, right ones too. */
        signIns: of("RATE_LIMIT_SIGN_IN"),
        signInsPerEmail: of("RATE_LIMIT_SIGN_IN_EMAIL"),
        signInsPerAddress: of("RATE_LIMIT_SIGN_IN_ADDRESS"),
        signInWindowSeconds: value.RATE_LIMIT_SIGN_IN_SECONDS,
        signInWaitSecondsMax: value.RATE_LIMIT_SIGN_IN_SECONDS_MAX,
        /** In an hour, as the next; those after it in a minute. */
        createsPerAddress: of("RATE_LIMIT_CREATE"),
        /** Of one organization. */
        credentialChanges: of("RATE_LIMIT_PASSWORD"),
        readsPerAddress: of("RATE_LIMIT_READ"),
        refusedPerAddress: of("RATE_LIMIT_REFUSED"),
        starter: of("RATE_LIMIT_STARTER"),
        professional: of("RATE_LIMIT_PROFESSIONAL"),
        enterprise: of("RATE_LIMIT_ENTERPRISE"),
        /** How much of what an organization may one of its tokens may. */
        tokenPercent: value.RATE_LIMIT_TOKEN_PERCENT,
        /** Of one operator's key. */
        operator: of("RATE_LIMIT_OPERATOR"),
        /** Of one organization. */
        requestsAtOnce: of("REQUESTS_AT_ONCE"),
        requestsWaiting: of("REQUESTS_WAITING"),
      },
    };
  },
  problems: (value) =>
    value?.RATE_LIMIT_STORE === "redis" && !value.REDIS_URL
      ? ["RATE_LIMIT_STORE is redis, and REDIS_URL is missing"]
      : [],
});
