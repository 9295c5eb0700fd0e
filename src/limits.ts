import { LRUCache } from "lru-cache";
import type { Db, ObjectId } from "mongodb";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import { type Counters, createMemoryCounters, createSharedCounters } from "./lib/limit/counters.ts";
import { isFailure } from "./lib/failure.ts";
import { type Crowd, createCrowd } from "./lib/limit/crowd.ts";
import { insure } from "./lib/limit/insured.ts";
import { createRateLimit, type RateLimit } from "./lib/limit/rate-limit.ts";
import type { Redis } from "./lib/limit/redis.ts";
import { createRedisCounters } from "./lib/limit/redis-counters.ts";
import type { TokenIssuer } from "./session/token/token.ts";
import type { Leases } from "./tenant/lease.ts";
import type { Tier } from "./tenant/placement.ts";

/** By address; an IPv6 address counts by its /64, and that more loosely by the /48 around it, of which one caller may have all. */
export type ByAddress = { each: RateLimit; around: RateLimit };

/** All limits of a process. What guesses and floods come by is counted for all processes, the rest in each one. */
export type Limits = {
  /** With one email, right ones too: each costs a core for a while. */
  signIns: RateLimit;
  /** With one email from one network, or from an address where it is known, and with one from anywhere. */
  signInByEmailHere: RateLimit;
  signInByEmail: RateLimit;
  /** By email and address: whether it has signed in rightly there of late. */
  signedInHere: Memory;
  signInByAddress: ByAddress;
  createByAddress: ByAddress;
  credentialsByOrganization: RateLimit;
  /** Reads without a token. */
  readByAddress: ByAddress;
  /** Tokens and keys that are not valid. */
  refusedByAddress: ByAddress;
  /** Of an organization, and of one of its tokens, which can't use up all of it: an admin can always end a token. */
  byTier: Record<Tier, { organization: RateLimit; token: RateLimit }>;
  byOperatorKey: RateLimit;
  tierOf(organizationId: ObjectId): Promise<Tier>;
  /** How many requests are at work at once: of an organization or an operator's key, and of one token. */
  crowd: Crowd;
  tokenCrowd: Crowd;
  /** What stands in the store for an email or an address: nobody can read it out of there without the key that signs tokens. */
  keyOf(text: string): string;
};

/** What is remembered for a while, by key. */
export type Memory = { holds(key: string): Promise<boolean>; note(key: string): Promise<void> };

/** So long an email is known where it has signed in. */
const memorySeconds = 30 * 24 * 60 * 60;

function createMemory(name: string, counters: Counters): Memory {
  const nowKey = (key: string) => `${name}:${key}`;
  return {
    holds: async (key) => (await counters.read(nowKey(key))) !== null,
    async note(key) {
      const known = await counters.read(nowKey(key));
      if (known && known.endsMs > Date.now() + memorySeconds * 500) return;
      // A window that is open isn't made longer by counting.
      if (known) await counters.remove(nowKey(key));
      await counters.add(nowKey(key), 1, memorySeconds);
    },
  };
}

const minute = 60;
const hour = 60 * minute;
const waitMs = 1_000;
/** For so long an organization that was moved may go on with the limit of its old tier. */
const tierMs = 10_000;
/** How long a Redis that didn't answer isn't asked again. */
const redisPauseMs = 1_000;

type Hashing = Pick<TokenIssuer, "keyedHash">;
type LimitDeps = { config: Config; db: Db; redis: Redis | null; log: Logger; leases: Leases; tokens: Hashing };

/** Counts for all processes: in Redis where there is one, else and meanwhile in MongoDB, meanwhile in memory. */
function sharedCounters({ config, db, redis, log }: LimitDeps): Counters {
  const inDatabase = createSharedCounters(db, (error) =>
    log.warn({ err: error }, "rate limits are counted by each process on its own"),
  );
  if (config.limits.store !== "redis" || !redis) return inDatabase;
  return insure({
    first: createRedisCounters(redis, `croupier:${config.databaseName}:limit`),
    second: inDatabase,
    pauseMs: redisPauseMs,
    onAway: (error) => log.warn({ err: error }, "rate limits are counted in the database"),
  });
}

/** Some networks are a company or a small provider, with more than one who comes from there. */
const aroundTimes = 10;

const byAddress = (settings: Parameters<typeof createRateLimit>[0]): ByAddress => ({
  each: createRateLimit(settings),
  around: createRateLimit({ ...settings, name: `${settings.name}-network`, limit: settings.limit * aroundTimes }),
});

export function createLimits(deps: LimitDeps): Limits {
  const { config, leases, tokens } = deps;
  const { limits } = config;
  const shared = limits.store === "memory" ? createMemoryCounters() : sharedCounters(deps);
  // Each has a bound of its own: whoever comes from ever other addresses drives no organization's count out.
  const perMinute = (name: string, limit: number) =>
    createRateLimit({ name, limit, windowSeconds: minute, counters: createMemoryCounters() });
  const ownByAddress = (name: string, limit: number) =>
    byAddress({ name, limit, windowSeconds: minute, counters: createMemoryCounters() });
  const share = (limit: number) => Math.max(1, Math.floor((limit * limits.tokenPercent) / 100));
  const ofTier = (limit: number) => ({
    organization: perMinute("organization", limit),
    token: perMinute("token", share(limit)),
  });
  const tiers = new LRUCache<string, Tier>({ max: 10_000, ttl: tierMs });
  const growing = { windowSeconds: limits.signInWindowSeconds, windowSecondsMax: limits.signInWaitSecondsMax };
  return {
    signIns: perMinute("sign-in", limits.signIns),
    signInByEmailHere: createRateLimit({
      name: "sign-in-email",
      limit: limits.signInsPerEmail,
      ...growing,
      counters: shared,
    }),
    signInByEmail: createRateLimit({
      name: "sign-in-email-anywhere",
      limit: limits.signInsPerEmail * aroundTimes,
      ...growing,
      counters: shared,
    }),
    // Of its own, as above: tries with ever other emails don't drive these out.
    signedInHere: createMemory("signed-in", limits.store === "memory" ? createMemoryCounters() : shared),
    signInByAddress: byAddress({
      name: "sign-in-address",
      limit: limits.signInsPerAddress,
      ...growing,
      counters: shared,
    }),
    createByAddress: byAddress({
      name: "create-address",
      limit: limits.createsPerAddress,
      windowSeconds: hour,
      counters: shared,
    }),
    credentialsByOrganization: createRateLimit({
      name: "credentials",
      limit: limits.credentialChanges,
      windowSeconds: hour,
      counters: shared,
    }),
    readByAddress: ownByAddress("read-address", limits.readsPerAddress),
    refusedByAddress: ownByAddress("refused-address", limits.refusedPerAddress),
    byTier: {
      starter: ofTier(limits.starter),
      professional: ofTier(limits.professional),
      enterprise: ofTier(limits.enterprise),
    },
    byOperatorKey: perMinute("operator-key", limits.operator),
    async tierOf(organizationId) {
      const id = organizationId.toHexString();
      const known = tiers.get(id);
      if (known) return known;
      // One of the first Croupier's whose place nobody knows can still be renamed and removed.
      const lease = await leases.acquire(organizationId).catch((error) => {
        if (isFailure(error)) return null;
        throw error;
      });
      const tier = lease?.placement.tier ?? config.defaultTier;
      tiers.set(id, tier);
      return tier;
    },
    crowd: createCrowd({
      name: "at-once",
      atOnce: limits.requestsAtOnce,
      waitingMax: limits.requestsWaiting,
      waitMs,
    }),
    tokenCrowd: createCrowd({
      name: "token-at-once",
      atOnce: share(limits.requestsAtOnce),
      waitingMax: share(limits.requestsWaiting),
      waitMs,
    }),
    keyOf: (text) => tokens.keyedHash(`rate limit\0${text}`).slice(0, 32),
  };
}
