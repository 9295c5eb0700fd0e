import { RateLimiterRedis } from "rate-limiter-flexible";
import { countersOf, type Counters, unused } from "./counters.ts";
import type { Redis } from "./redis.ts";

/** What the library uses of a node-redis client. */
function storeClient(redis: Redis) {
  const read = (key: string) => Promise.all([redis.send("GET", [key]), redis.send("PTTL", [key])]);
  return {
    eval: (script: string, { keys, arguments: rest }: { keys: string[]; arguments: string[] }) =>
      redis.send("EVAL", [script, String(keys.length), ...keys, ...rest]),
    // It asks for a count and its end together. One that ends in between has no time left, so it is none.
    multi: () => ({ get: (key: string) => ({ pTTL: () => ({ exec: () => read(key) }) }) }),
    del: (key: string) => redis.send("DEL", [key]),
  };
}

/** Of all processes on one Redis. @param prefix names the keys: others may use that Redis too */
export const createRedisCounters = (redis: Redis, prefix: string): Counters =>
  countersOf(
    new RateLimiterRedis({ ...unused, keyPrefix: prefix, storeClient: storeClient(redis), useRedisPackage: true }),
  );
