import type { ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { organizationsExceeded } from "../quota/quota.ts";
import { enter, leave } from "../quota/store.ts";
import { countAll } from "./store.ts";

/** So long after it was begun nobody makes an organization any more, whatever the clocks of processes say. */
const enteringMsMax = 5 * 60_000;

/**
 * Makes an organization if the quota has room for one more, whoever else makes one: all who do come in one order, and those
 * before one count as if theirs were made. So there are never more than the quota, and nobody is refused for one who came later.
 *
 * @throws Failure `quota_exceeded`; what `make` throws
 */
export async function admitted<T>(
  { db, config, now, log }: Pick<Deps, "db" | "config" | "now" | "log">,
  id: ObjectId,
  make: () => Promise<T>,
): Promise<T> {
  const limit = config.quotas.organizations;
  if (limit === null) return await make();
  const at = now();
  const since = new Date(at.getTime() - enteringMsMax);
  const all = await enter(db, id, at);
  const ahead = all.filter((one) => !one.id.equals(id) && one.at >= since).map((one) => one.id);
  try {
    if (ahead.length + (await countAll(db, ahead)) >= limit) throw organizationsExceeded();
    return await make();
  } finally {
    const isForgotten = all.some((one) => one.at < since);
    const left = leave(db, id, isForgotten ? since : null);
    await left.catch((error) =>
      log.warn(
        { err: error },
        "pending creation could not be removed; it counts towards the quota for some more minutes",
      ),
    );
  }
}
