import { findPlainly } from "./direct.ts";
import { factsByKey, findMixedVersions, type KeyFact, sightings, withKeys } from "./facts.ts";
import type { History } from "./history.ts";
import { search, shortestWithoutOrder } from "./linearize.ts";
import { findWrongLists } from "./lists.ts";
import { isWrite, valueOf } from "./register.ts";
import { printTimeline } from "./timeline.ts";

export type Violation = { rule: string; key: string | null; message: string };
export type Verdict = { violations: Violation[]; counts: Record<string, number> };

/**
 * Decides whether one tenant's history can be that of a store in which every request happens at one moment between its
 * beginning and its answer, and whether the end is clean. Nothing is asked and nothing is random.
 */
export function check(history: History): Verdict {
  const facts = factsByKey(history);
  const violations: Violation[] = [...findForeign(history), ...findHalves(history), ...findLeftovers(history.final)];
  for (const mixed of findMixedVersions(history.events)) violations.push({ rule: "mixed versions", ...mixed });
  const lists = findWrongLists(history.events, facts);
  const dirty = new Set<string>();
  const refusedMs = refusals(history);

  let configurations = 0;
  for (const [key, some] of facts) {
    const plain = findPlainly(some);
    const result = search(some);
    configurations += result.configurations;
    if (result.found === true && plain.length === 0) continue;
    if (result.found === "undecided") violations.push({ rule: "undecided", key, message: `${some.length} facts` });
    if (result.found !== false && plain.length === 0) continue;
    const { rule, message } = plain[0] ?? {
      rule: "no order",
      message: "no order of the requests explains the answers",
    };
    const told = `${message}\n${printTimeline(result.found === false ? shortestWithoutOrder(some) : some)}`;
    if (isDirtyRead(some, refusedMs)) dirty.add(key);
    violations.push({ rule: dirty.has(key) ? dirtyRead : rule, key, message: told });
  }
  // What a list lacks is among the facts of its document: there it was found to be explained by that.
  for (const one of lists) {
    const isExplained = one.rule === "missing in list" && dirty.has(one.key);
    violations.push(isExplained ? { ...one, rule: dirtyRead } : one);
  }
  return { violations, counts: { ...countsOf(history), keys: facts.size, configurations } };
}

/**
 * What somebody was shown of a write before that was acknowledged, and what then wasn't so for a while. Nothing that was
 * acknowledged is lost or undone: a write that takes effect late, behind the gate of a move, is seen at the old placement
 * until the cutover, and is done again at the new one.
 */
export const dirtyRead = "dirty read";

/** A process may still be at a request whose client has given up. */
const lateMs = 10_000;

/** When each value was refused. */
const refusals = ({ events }: History): Map<string, number> =>
  new Map(
    events.flatMap(({ value, outcome, endMs }) =>
      value !== undefined && outcome === "failed" ? [[value, endMs]] : [],
    ),
  );

/** Whether there is an order when nobody looks at writes that are under way, also of those that are refused in the end. */
function isDirtyRead(facts: KeyFact[], refusedMs: Map<string, number>): boolean {
  const settledMs = new Map(refusedMs);
  const deletes: KeyFact[] = [];
  for (const fact of facts) {
    const value = valueOf(fact.effect);
    if (value !== undefined) settledMs.set(value, settled(fact));
    if (fact.effect.does === "delete") deletes.push(fact);
  }
  const later = facts.filter((fact) => !isEarly(fact));
  return later.length < facts.length && search(later).found === true && findPlainly(later).length === 0;

  function settled({ sure, endMs, from: { event } }: KeyFact): number {
    return sure ? endMs : event!.endMs + lateMs;
  }
  function isEarly({ effect, startMs, endMs, from: { event } }: KeyFact): boolean {
    // What is there in the end counts.
    if (!event || isWrite(effect)) return false;
    if (effect.does === "see" && effect.content) {
      return [effect.content.base, ...Object.values(effect.content.fields)].some(
        (value) => (settledMs.get(value) ?? 0) > startMs,
      );
    }
    return effect.does === "see" && deletes.some((one) => one.startMs < endMs && settled(one) > startMs);
  }
}

/** Documents of others: by the owner that they name, or by a value that nobody of this tenant wrote. */
function findForeign(history: History): Violation[] {
  const { owner, others, events } = history;
  const seen = sightings(history);
  const written = new Map<string, string | null>();
  const refused = refusals(history);
  for (const { value, key, outcome } of withKeys(events, seen)) {
    if (value !== undefined && outcome !== "failed") written.set(value, key);
  }
  return seen.flatMap(({ seen: { key, owner: shown, base, fields }, event }) => {
    const where = event ? `${event.kind} of client ${event.client} at ${event.startMs.toFixed(1)}` : "the database";
    if (shown !== owner) {
      const rule = others.includes(shown) ? "foreign document" : "unknown document";
      return [{ rule, key, message: `of ${shown} in ${where}` }];
    }
    const wrong = [base, ...Object.values(fields)].filter((value) => written.get(value) !== key);
    return wrong.map((value) => {
      const by = others.find((other) => value.startsWith(`${other}/`));
      if (by) return { rule: "foreign document", key, message: `${value} of ${by} in ${where}` };
      const refusedAtMs = refused.get(value);
      if (refusedAtMs !== undefined) {
        const rule = event && event.startMs < refusedAtMs ? dirtyRead : "refused write done";
        return { rule, key, message: `${value} in ${where}` };
      }
      const known = written.has(value) ? `was written to ${written.get(value)}` : "was never written";
      return { rule: "unknown value", key, message: `${value} ${known}, in ${where}` };
    });
  });
}

function findHalves(history: History): Violation[] {
  return sightings(history).flatMap(({ seen: { key, base, echo, strange } }) => [
    ...(base === echo ? [] : [{ rule: "half-written", key, message: `begins with ${base} and ends with ${echo}` }]),
    ...(strange.length === 0 ? [] : [{ rule: "kept field shown", key, message: strange.join(", ") }]),
  ]);
}

function findLeftovers({ stored, leftBehind, indexesBefore, indexesAfter }: History["final"]): Violation[] {
  const violations: Violation[] = leftBehind.map((message) => ({ rule: "left behind", key: null, message }));
  const keys = new Set<string>();
  for (const { key } of stored?.documents ?? []) {
    if (keys.has(key)) violations.push({ rule: "stored twice", key, message: "in the database at the end" });
    keys.add(key);
  }
  const [before, after] = [indexesBefore.toSorted().join("; "), indexesAfter.toSorted().join("; ")];
  if (before !== after) violations.push({ rule: "indexes differ", key: null, message: `${before} became ${after}` });
  return violations;
}

function countsOf({ events, final }: History): Record<string, number> {
  const count = (of: string) => events.filter(({ outcome, kind }) => outcome === of || kind === of).length;
  const names = ["ok", "failed", "unknown", "list"];
  return {
    events: events.length,
    ...Object.fromEntries(names.map((name) => [name, count(name)])),
    stored: final.stored?.documents.length ?? 0,
  };
}
