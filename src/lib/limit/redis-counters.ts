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

const takeBack = `
local left = redis.call('pttl', KEYS[1])
if left <= 0 or left >= tonumber(ARGV[1]) or tonumber(redis.call('get', KEYS[1])) <= 0 then return 0 end
redis.call('decr', KEYS[1])
return 1
`;

/** Of all processes on one Redis. @param prefix names the keys: others may use that Redis too */
export function createRedisCounters(redis: Redis, prefix: string): Counters {
  const client = { storeClient: storeClient(redis), useRedisPackage: true };
  const limiter = new RateLimiterRedis({ ...unused, keyPrefix: prefix, ...client });
  return countersOf(limiter, async (key, endsBeforeMs) => {
    const endsWithinMs = String(Math.floor(endsBeforeMs - Date.now()));
    return (await redis.send("EVAL", [takeBack, "1", limiter.getKey(key), endsWithinMs])) === 1;
  });
}
