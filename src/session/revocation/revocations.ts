import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { RevocationNews } from "./revocation-news.ts";
import type { Revocation } from "./revocation-store.ts";
import type { Claims } from "../token/token.ts";

type Known = Pick<Revocation, "_id" | "revoked_at" | "expires_at">;

/** Where all processes keep what they have ended. */
export type RevocationStore = {
  write(revocation: Omit<Revocation, "revoked_at">): Promise<void>;
  /**
   * What may be new since the newest that is known, perhaps with some that is known; all when none is.
   *
   * @param seenMs for how long the newest had been known at the last look that told all
   */
  readSince(newest: Date | null, seenMs: number): AsyncIterable<Known>;
};

export type Revocations = {
  /** Ends a token: here when this returns, in every other process when that has looked next. */
  end(claims: Claims): Promise<void>;
  /** Ends all tokens of a session in the same way. @param until when the last of them would have ended by itself */
  endSession(session: Pick<Claims, "admin_id" | "organization_id"> & { sid: string; until: Date }): Promise<void>;
  isEnded(claims: Claims): boolean;
  /** Whether what others have ended is known up to a moment that is no longer ago than the bound. */
  areKnown(): boolean;
  /** Reads all and then goes on looking. @throws what the store throws: then it may be called again */
  start(): Promise<void>;
  stop(): void;
};

type Whose = Pick<Claims, "admin_id" | "organization_id">;

const pollMs = 300;
const purgeMs = 60_000;

/**
 * Keeps in memory which tokens were ended before their time, so that no request asks the database for it. Several
 * processes tell each other through the store, which each of them reads again and again; where there are news too, these are
 * there sooner, and what they lose the next look finds.
 *
 * Only single tokens and those of single sessions are here. What ends all tokens of an admin is in the admin's own record (`admin/admin.ts`), and what
 * ends an organization is that it can't be found any more.
 *
 * @param leewaySeconds how much longer than they say tokens are taken for valid
 * @param staleMs how long a look at the store may be ago before what it said is no longer enough
 */
export function createRevocations(options: {
  store: RevocationStore;
  news?: RevocationNews | null;
  leewaySeconds?: number;
  staleMs: number;
  now: () => Date;
  log: Pick<Logger, "info" | "warn">;
}): Revocations {
  const { store, news = null, leewaySeconds = 0, staleMs, now, log } = options;
  /** When each token or session would have ended, in seconds since 1970: 100,000 of these are to be held. */
  const ended = new Map<string, number>();
  const stopping = new AbortController();
  let newest: Date | null = null;
  let newestSeenMs = 0;
  /** By this process's monotonic clock. */
  let knownAtMs = Number.NEGATIVE_INFINITY;
  let purgedAtMs = performance.now();
  let failing = false;
  let started = false;

  const areKnown = () => performance.now() - knownAtMs <= staleMs;

  const purge = () => {
    const nowSeconds = now().getTime() / 1000;
    for (const [jti, until] of ended) if (until <= nowSeconds) ended.delete(jti);
    purgedAtMs = performance.now();
  };

  const read = async (since: Date | null) => {
    const seenMs = Math.max(0, knownAtMs - newestSeenMs);
    for await (const { _id, revoked_at, expires_at } of store.readSince(since, seenMs)) {
      ended.set(_id, expires_at.getTime() / 1000);
      if (newest !== null && revoked_at <= newest) continue;
      newest = revoked_at;
      newestSeenMs = performance.now();
    }
  };

  const look = async () => {
    // Everything when it could not look for long: the primary, and with it the clock of the stamps, may be another. That may
    // take a while, so what is new meanwhile is read after it.
    if (!areKnown()) await read(null);
    // What was true when it was asked for may not be when the answer comes.
    const askedMs = performance.now();
    await read(newest);
    knownAtMs = askedMs;
    if (askedMs - purgedAtMs > purgeMs) purge();
  };

  const lookAgainAndAgain = async () => {
    while (!stopping.signal.aborted) {
      await sleep(pollMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        await look();
        if (failing) log.info("revocations available again");
        failing = false;
      } catch (error) {
        if (!failing && !stopping.signal.aborted) log.warn({ err: error }, "revocations could not be read");
        failing = true;
      }
    }
  };

  const write = async (kind: Revocation["kind"], _id: string, whose: Whose, untilSeconds: number) => {
    const until = untilSeconds + leewaySeconds;
    // Its last token has run out by itself, and for nobody's leeway holds any more.
    if (until <= now().getTime() / 1000) return;
    const { admin_id, organization_id } = whose;
    await store.write({ _id, kind, admin_id, organization_id, expires_at: new Date(until * 1000) });
    // Not before: whoever hears that it failed has to be able to ask again with the same token.
    ended.set(_id, until);
    news?.tell({ id: _id, until });
  };

  return {
    end: (claims) => write("token", claims.jti, claims, claims.exp),
    endSession: ({ sid, until, ...whose }) => write("session", sid, whose, until.getTime() / 1000),
    isEnded: ({ jti, sid }) => ended.has(jti) || (sid !== undefined && ended.has(sid)),
    areKnown,
    async start() {
      await look();
      if (!started) {
        news?.listen(({ id, until }) => void ended.set(id, until));
        void lookAgainAndAgain();
      }
      started = true;
    },
    // A look that is under way is not waited for: with the store away it could take long.
    stop: () => stopping.abort(),
  };
}
