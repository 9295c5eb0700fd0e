import type { Logger } from "pino";
import { type Entry, type NewEntry, entryOf, type Origin, platformChain } from "./audit.ts";

export type Refusals = {
  /** Records what was refused, soon and if it can: nothing waits for it, and a flood becomes a number. */
  note(origin: Origin | undefined, entry: NewEntry, outcome: "failure" | "refused"): void;
  /** Records the numbers of what was only counted, and waits for all that is under way. */
  flush(): Promise<void>;
};

/**
 * Within a minute, of one address, one caller and one act in one chain: so many entries, then one with the number of the
 * others. By the caller too, so that strangers' flood from an address doesn't hide whose key is tried there.
 */
const singlesMax = 10;
const windowMs = 60_000;
/** Of all addresses together; more are counted only. */
const singlesOfAllMax = 1_000;
/** Beyond so many addresses, callers, chains and acts the rest are counted together. */
const sourcesMax = 2_000;

const ofMany = { chain: platformChain, who: { kind: "anonymous", id: null } } as const;

type Counted = { sample: Entry; address: string | null; singles: number; others: number };

/**
 * Takes refused requests and failed sign-ins for the record. They are not acts that succeeded: when the database is away they
 * are counted, and a process that is killed forgets those of the last moment.
 *
 * @param sourceOf what is taken for one source: an address, or the network that it is in
 */
export function createRefusals(options: {
  append: (entry: Entry) => Promise<void>;
  sourceOf: (address: string) => string;
  now: () => Date;
  log: Pick<Logger, "warn">;
}): Refusals {
  const { append, sourceOf, now, log } = options;
  let counted = new Map<string, Counted>();
  let singlesOfAll = 0;
  let timer: NodeJS.Timeout | undefined;
  const underWay = new Set<Promise<void>>();

  const sourceCounted = (entry: Entry): Counted => {
    const address = entry.address === null ? null : sourceOf(entry.address);
    const key = JSON.stringify([address, entry.who, entry.chain, entry.act]);
    const known = counted.get(key);
    if (known) return known;
    const isFull = counted.size >= sourcesMax;
    const fresh = isFull
      ? { sample: { ...entry, ...ofMany }, address: "many", singles: singlesMax, others: 0 }
      : { sample: entry, address, singles: 0, others: 0 };
    const place = isFull ? JSON.stringify(["many", entry.act]) : key;
    const there = counted.get(place) ?? fresh;
    counted.set(place, there);
    return there;
  };

  const tryToAppend = (entry: Entry, source: Counted) => {
    const attempt = append(entry)
      .catch((error) => {
        source.others++;
        if (source.others === 1) log.warn({ err: error }, "too many refused requests to record each one");
      })
      .finally(() => underWay.delete(attempt));
    underWay.add(attempt);
  };

  /** Ends the window; what could not be recorded before is in the number too. */
  const summarize = async () => {
    clearTimeout(timer);
    timer = undefined;
    const ended = [...counted.values()].filter(({ others }) => others > 0);
    counted = new Map();
    singlesOfAll = 0;
    await Promise.all(
      ended.map(({ sample, address, others }) => {
        const details = { count: others, since: sample.at.toISOString() };
        const entry = { ...sample, request_id: null, address, details, at: now(), act_id: crypto.randomUUID() };
        return append(entry).catch((error) =>
          log.warn({ err: error, count: others }, "refused requests could not be recorded"),
        );
      }),
    );
  };

  return {
    note(origin, wanted, outcome) {
      const entry = entryOf({ now, ...(origin && { origin }) }, wanted, outcome);
      const source = sourceCounted(entry);
      timer ??= setTimeout(() => void summarize(), windowMs).unref();
      if (source.singles >= singlesMax || singlesOfAll >= singlesOfAllMax) {
        source.others++;
        return;
      }
      source.singles++;
      singlesOfAll++;
      tryToAppend(entry, source);
    },
    async flush() {
      await Promise.all([...underWay]);
      await summarize();
    },
  };
}
