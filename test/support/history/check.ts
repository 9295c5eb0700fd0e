import { findPlainly } from "./direct.ts";
import { factsByKey, findMixedVersions, sightings, withKeys } from "./facts.ts";
import type { History } from "./history.ts";
import { search, shortestWithoutOrder } from "./linearize.ts";
import { findWrongLists } from "./lists.ts";
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
  violations.push(...findWrongLists(history.events, facts));

  let configurations = 0;
  for (const [key, some] of facts) {
    const plain = findPlainly(some);
    const result = search(some);
    configurations += result.configurations;
    if (result.found === true && plain.length === 0) continue;
    const { rule = "no order", message = "no order of the requests explains the answers" } = plain[0] ?? {};
    if (result.found === "undecided") violations.push({ rule: "undecided", key, message: `${some.length} facts` });
    const story = result.found === false ? shortestWithoutOrder(some) : some;
    if (result.found === false || plain.length > 0) {
      violations.push({ rule, key, message: `${message}\n${printTimeline(story)}` });
    }
  }
  return { violations, counts: { ...countsOf(history), keys: facts.size, configurations } };
}

/** Documents of others: by the owner that they name, or by a value that nobody of this tenant wrote. */
function findForeign(history: History): Violation[] {
  const { owner, others, events } = history;
  const seen = sightings(history);
  const written = new Map<string, string | null>();
  const refused = new Set<string>();
  for (const { value, key, outcome } of withKeys(events, seen)) {
    if (value !== undefined && outcome === "failed") refused.add(value);
    else if (value !== undefined) written.set(value, key);
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
      if (refused.has(value)) return { rule: "refused write done", key, message: `${value} in ${where}` };
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
  for (const { key } of stored.documents) {
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
    stored: final.stored.documents.length,
  };
}
