import * as z from "zod";
import { oneOf, setting, settingsOf, wholeNumber, wholeNumberOf } from "./lib/settings.ts";

const given = wholeNumberOf(1, 1_000_000_000).optional();

/** One that isn't given is wide in development: nothing is to be in the way of who tries it. */
const limitOf = (fallback: number, inDevelopment: number, meaning: string) => {
  const limit = given.transform(
    (value) => (isDevelopment: boolean) => value ?? (isDevelopment ? inDevelopment : fallback),
  );
  return setting(limit, meaning, String(fallback));
};

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
      "where sign-ins and creations are counted for all processes; default: `redis` if `REDIS_URL` is set; `memory`: each process counts on its own, which it also does when Redis and MongoDB are unavailable",
      "mongodb",
    ),
    RATE_LIMIT_SIGN_IN: limitOf(
      60,
      100_000,
      "attempts with one email per minute and process, correct ones included: each costs a core for a quarter of a second",
    ),
    RATE_LIMIT_SIGN_IN_EMAIL: limitOf(
      5,
      1_000,
      "sign-in attempts with one email per window, from one network (IPv4 /24, IPv6 /48) or from one address that signed in with it within 30 days; a correct one resets the count; the limit for all networks together is ten times as high and doesn't count such addresses",
    ),
    RATE_LIMIT_SIGN_IN_ADDRESS: limitOf(30, 10_000, "the same from one address; correct ones don't count"),
    RATE_LIMIT_SIGN_IN_SECONDS: setting(
      wholeNumber(60, 1, 86_400),
      "length of the first window; each time the limit is reached within a day, the next window is twice as long",
    ),
    RATE_LIMIT_SIGN_IN_SECONDS_MAX: setting(
      wholeNumber(3_600, 1, 86_400),
      "length of the longest window, and the longest wait",
    ),
    RATE_LIMIT_CREATE: limitOf(20, 100_000, "organizations created from one address per hour"),
    RATE_LIMIT_PASSWORD: limitOf(10, 100_000, "changes of an organization's password or email per hour"),
    RATE_LIMIT_READ: limitOf(
      600,
      1_000_000,
      "reads without a token, and renewals, from one address per minute and process; the limits below are per process, too",
    ),
    RATE_LIMIT_REFUSED: limitOf(
      60,
      1_000_000,
      "invalid tokens and keys from one address per minute; valid tokens, and operator keys that the process already knows, still work",
    ),
    RATE_LIMIT_STARTER: limitOf(
      1_200,
      1_000_000,
      "requests of one organization of the tier `starter` per minute, all its tokens together",
    ),
    RATE_LIMIT_PROFESSIONAL: limitOf(6_000, 1_000_000, "the same of the tier `professional`"),
    RATE_LIMIT_ENTERPRISE: limitOf(60_000, 1_000_000, "the same of the tier `enterprise`"),
    RATE_LIMIT_TOKEN_PERCENT: setting(
      wholeNumber(80, 1, 100),
      "percentage of its tier's limit and of `REQUESTS_AT_ONCE` that one token, including its renewals, may use, so that another token can still end it",
    ),
    RATE_LIMIT_OPERATOR: limitOf(6_000, 1_000_000, "requests with one operator key per minute"),
    REQUESTS_AT_ONCE: limitOf(32, 1_000, "requests of one organization or operator key that are processed at once"),
    REQUESTS_WAITING: limitOf(
      64,
      1_000,
      "further requests that may wait (at most a second); others are rejected after a quarter of a second",
    ),
  },
  read(value, { development }) {
    const store = value.RATE_LIMIT_STORE ?? (value.REDIS_URL ? "redis" : development ? "memory" : "mongodb");
    return {
      /** Null: there is none. */
      redisUrl: value.REDIS_URL ?? null,
      limits: {
        store: store satisfies "redis" | "mongodb" | "memory",
        /** With one email in a minute, right ones too. */
        signIns: value.RATE_LIMIT_SIGN_IN(development),
        signInsPerEmail: value.RATE_LIMIT_SIGN_IN_EMAIL(development),
        signInsPerAddress: value.RATE_LIMIT_SIGN_IN_ADDRESS(development),
        signInWindowSeconds: value.RATE_LIMIT_SIGN_IN_SECONDS,
        signInWaitSecondsMax: value.RATE_LIMIT_SIGN_IN_SECONDS_MAX,
        /** In an hour, as the next; those after it in a minute. */
        createsPerAddress: value.RATE_LIMIT_CREATE(development),
        /** Of one organization. */
        credentialChanges: value.RATE_LIMIT_PASSWORD(development),
        readsPerAddress: value.RATE_LIMIT_READ(development),
        refusedPerAddress: value.RATE_LIMIT_REFUSED(development),
        starter: value.RATE_LIMIT_STARTER(development),
        professional: value.RATE_LIMIT_PROFESSIONAL(development),
        enterprise: value.RATE_LIMIT_ENTERPRISE(development),
        /** How much of what an organization may one of its tokens may. */
        tokenPercent: value.RATE_LIMIT_TOKEN_PERCENT,
        /** Of one operator's key. */
        operator: value.RATE_LIMIT_OPERATOR(development),
        /** Of one organization. */
        requestsAtOnce: value.REQUESTS_AT_ONCE(development),
        requestsWaiting: value.REQUESTS_WAITING(development),
      },
    };
  },
  problems: (value) =>
    value?.RATE_LIMIT_STORE === "redis" && !value.REDIS_URL
      ? ["RATE_LIMIT_STORE is redis, but REDIS_URL is missing"]
      : [],
});
