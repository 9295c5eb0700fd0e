import type { KeyFact } from "./facts.ts";
import type { Event } from "./history.ts";
import { isWrite } from "./register.ts";

/** What a listing shows twice, and what it doesn't show although it was there all the time. */
export function findWrongLists(
  events: readonly Event[],
  facts: Map<string, KeyFact[]>,
): { key: string; rule: string; message: string }[] {
  const wrong: { key: string; rule: string; message: string }[] = [];
  const presences = new Map([...facts].map(([key, some]) => [key, presenceOf(some)]));
  for (const { kind, outcome, pages = [], startMs, endMs, client } of events) {
    if (kind !== "list" || outcome !== "ok") continue;
    const times = new Map<string, number>();
    for (const { key } of pages.flatMap(({ documents }) => documents)) times.set(key, (times.get(key) ?? 0) + 1);
    const where = `the list of client ${client} from ${startMs.toFixed(1)} to ${endMs.toFixed(1)}`;
    for (const [key, count] of times) {
      if (count > 1) wrong.push({ key, rule: "listed twice", message: `${count} times in ${where}` });
    }
    for (const [key, isThroughout] of presences) {
      if (!times.has(key) && isThroughout(startMs, endMs)) {
        wrong.push({ key, rule: "missing in list", message: `not in ${where}, and there all the time` });
      }
    }
  }
  return wrong;
}

/** Tells whether a document was surely there during all of an interval: before it, and not deleted since. */
function presenceOf(facts: KeyFact[]): (startMs: number, endMs: number) => boolean {
  const shows = ({ effect, sure }: KeyFact): boolean => {
    if (effect.does === "see") return effect.content !== null;
    return effect.does === "see_any" || (sure && isWrite(effect) && effect.does !== "delete");
  };
  const evidence = facts.filter(shows);
  const deletes = facts.filter(({ effect }) => effect.does === "delete");
  return (startMs, endMs) =>
    evidence.some(
      (fact) => fact.endMs <= startMs && deletes.every((one) => one.endMs < fact.startMs || one.startMs > endMs),
    );
}
