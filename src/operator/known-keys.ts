import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { createNetworks, type Networks } from "../lib/net/cidr.ts";
import { createRecent } from "../lib/recent.ts";
import type { KeyDocument } from "./key.ts";

export type KnownKey = KeyDocument & { allows: Networks };

export type KnownKeys = {
  /** As it was at some time within the last `recentMs`; null when there is none. */
  find(id: string): Promise<KnownKey | null>;
  /** Whether there has been such a key. What is found is asked for rarely, what isn't each time. */
  hasFound(id: string): boolean;
  /** Notes that it was used, at most once a minute; nobody waits for it, and that it fails stops nobody. */
  noteUse(key: KeyDocument): void;
};

const keysMax = 1_000;
/** A key that is revoked has to be refused in every process within a second. */
const recentMsDefault = 500;
const noteEveryMs = 60_000;

/** The keys that a process remembers, so that not each request asks the database for its own. */
export function createKnownKeys(options: {
  store: {
    find(id: string): Promise<KeyDocument | null>;
    noteUse(id: string, at: Date, before: Date): Promise<void>;
  };
  now: () => Date;
  log: Pick<Logger, "warn">;
  recentMs?: number;
}): KnownKeys {
  const { store, now, log, recentMs = recentMsDefault } = options;
  const found = new LRUCache<string, true>({ max: keysMax });
  /** When a use was noted last, in milliseconds since 1970. */
  const noted = new LRUCache<string, number>({ max: keysMax });

  const recent = createRecent({
    max: keysMax,
    ttlMs: recentMs,
    async find(id: string): Promise<KnownKey | null> {
      const stored = await store.find(id);
      if (!stored) return null;
      found.set(id, true);
      return { ...stored, allows: stored.allow.length > 0 ? createNetworks(stored.allow) : () => true };
    },
  });

  return {
    find: recent.find,
    hasFound: (id) => found.get(id) ?? false,
    noteUse({ _id, last_used_at }) {
      const at = now();
      const before = new Date(at.getTime() - noteEveryMs);
      const last = Math.max(noted.get(_id) ?? 0, last_used_at?.getTime() ?? 0);
      if (last > before.getTime()) return;
      noted.set(_id, at.getTime());
      store.noteUse(_id, at, before).catch((error) => {
        noted.delete(_id);
        log.warn({ err: error, operator_key: _id }, "last use of an operator key could not be recorded");
      });
    },
  };
}
