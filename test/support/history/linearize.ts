import { apply, type Effect, isWrite, type State, textOf, valueOf } from "./register.ts";

/** An effect and when it may have happened. One that isn't sure may never happen, or at any time after `startMs`. */
export type Fact<From = unknown> = { effect: Effect; startMs: number; endMs: number; sure: boolean; from: From };

export type Search = { found: boolean | "undecided"; configurations: number };

const configurationsMax = 300_000;
/** What the search for a short story may cost, in configurations. */
const effortMax = 300_000;

/**
 * Narrows the time in which each write may have happened: before the first answer that shows it. A write of which nothing
 * is known and that somebody saw has happened; no two writes have the same value.
 */
function narrow<From>(facts: Fact<From>[]): Fact<From>[] {
  const seenBy = new Map<string, number>();
  const startOf = new Map<string, number>();
  for (const { effect, startMs, endMs, sure } of facts) {
    const value = valueOf(effect);
    if (value !== undefined) startOf.set(value, startMs);
    // A write that was done on a condition has seen that it holds.
    const content = effect.does === "see" ? effect.content : sure && "on" in effect ? effect.on : null;
    if (!content) continue;
    for (const shown of [content.base, ...Object.values(content.fields)]) {
      seenBy.set(shown, Math.min(seenBy.get(shown) ?? Infinity, endMs));
    }
  }
  return facts.map((fact) => {
    const { effect, startMs, endMs, sure } = fact;
    if (effect.does === "see" && effect.content) {
      const shown = [effect.content.base, ...Object.values(effect.content.fields)];
      return { ...fact, startMs: Math.max(startMs, ...shown.map((value) => startOf.get(value) ?? startMs)) };
    }
    const seen = seenBy.get(valueOf(effect) ?? "");
    if (seen === undefined) return fact;
    return { ...fact, sure: true, endMs: sure ? Math.min(endMs, seen) : seen };
  });
}

/** Writes of which nothing is known and that nobody saw are alike when they do the same: only how many are used counts. */
const likeness = ({ effect }: Fact): string =>
  [effect.does, "field" in effect ? effect.field : "", "on" in effect && effect.on ? textOf(effect.on) : ""].join("|");
const unseen = (effect: Effect): Effect => ("value" in effect ? { ...effect, value: "?" } : effect);

/** Some of the sure facts in an order, and the state that they lead to. */
type Configuration = {
  /** All before this one are in the order. */
  next: number;
  /** Those after it that are in the order too. */
  ahead: readonly number[];
  /** How many of each kind of unsure writes are in it. */
  used: readonly number[];
  state: State;
};

/**
 * Looks for an order of all sure facts, and of as many others as it takes, in which each happens within its time and each
 * is possible after those before it (Wing and Gong 1993, with the remembered configurations of Lowe 2017).
 */
export function search(facts: Fact[]): Search {
  const narrowed = narrow(facts);
  const sure = narrowed.filter((fact) => fact.sure).sort((a, b) => a.startMs - b.startMs);
  const alike = new Map<string, Fact[]>();
  for (const fact of narrowed) {
    if (!fact.sure) alike.set(likeness(fact), [...(alike.get(likeness(fact)) ?? []), fact]);
  }
  const unsure = [...alike.values()].map((some) => some.sort((a, b) => a.startMs - b.startMs));
  const remembered = new Map<string, (readonly number[])[]>();
  const waiting: Configuration[] = [{ next: 0, ahead: [], used: unsure.map(() => 0), state: null }];
  let configurations = 0;

  for (let taken = waiting.pop(); taken; taken = waiting.pop()) {
    const { next, ahead, used, state } = takeAnswers(sure, taken);
    if (next === sure.length) return { found: true, configurations };
    if (++configurations > configurationsMax) return { found: "undecided", configurations };

    // Whoever came here with no more of the unsure writes used has tried all that can be tried from here.
    const key = `${next},${ahead.join(",")}|${textOf(state)}`;
    const before = remembered.get(key);
    if (before?.some((fewer) => fewer.every((count, index) => count <= used[index]!))) continue;
    if (before) before.push(used);
    else remembered.set(key, [used]);

    const { possible, untilMs } = candidates(sure, next, ahead);
    // The last that is put here is tried first: what is sure, the one that must end first.
    for (const [index, some] of unsure.entries()) {
      const fact = some[used[index]!];
      if (!fact || fact.startMs > untilMs) continue;
      const after = apply(state, unseen(fact.effect));
      if (after !== undefined) waiting.push({ next, ahead, used: used.with(index, used[index]! + 1), state: after });
    }
    for (const index of possible.sort((a, b) => sure[b]!.endMs - sure[a]!.endMs)) {
      const after = isWrite(sure[index]!.effect) ? apply(state, sure[index]!.effect) : undefined;
      if (after !== undefined) waiting.push({ ...order(next, ahead, index), used, state: after });
    }
  }
  return { found: false, configurations };
}

/** Those that may come next: none of the others must have ended before they began. */
function candidates(sure: Fact[], next: number, ahead: readonly number[]): { possible: number[]; untilMs: number } {
  const possible: number[] = [];
  let untilMs = Infinity;
  let skip = 0;
  for (let index = next; index < sure.length && sure[index]!.startMs <= untilMs; index++) {
    if (ahead[skip] === index) {
      skip++;
      continue;
    }
    possible.push(index);
    untilMs = Math.min(untilMs, sure[index]!.endMs);
  }
  return { possible, untilMs };
}

function order(next: number, ahead: readonly number[], index: number): Pick<Configuration, "next" | "ahead"> {
  if (index !== next) return { next, ahead: [...ahead, index].sort((a, b) => a - b) };
  let after = next + 1;
  let skip = 0;
  while (ahead[skip] === after) {
    after++;
    skip++;
  }
  return { next: after, ahead: ahead.slice(skip) };
}

/** An answer that fits the state changes nothing: to take it now is never wrong. */
function takeAnswers(sure: Fact[], configuration: Configuration): Configuration {
  let { next, ahead } = configuration;
  const { used, state } = configuration;
  for (;;) {
    const { possible } = candidates(sure, next, ahead);
    const index = possible.find((one) => !isWrite(sure[one]!.effect) && apply(state, sure[one]!.effect) !== undefined);
    if (index === undefined) return { next, ahead, used, state };
    ({ next, ahead } = order(next, ahead, index));
  }
}

/** The facts as they stood at a moment: what had no answer then is not known yet. */
const upTo = <From>(facts: Fact<From>[], moment: number): Fact<From>[] =>
  facts
    .filter(({ startMs, endMs, effect }) => startMs <= moment && (endMs <= moment || isWrite(effect)))
    .map((fact) => (fact.sure && fact.endMs > moment ? { ...fact, sure: false, endMs: Infinity } : fact));

/** The shortest beginning that has no order, without the answers that don't matter for it; the last fact is the one too many. */
export function shortestWithoutOrder<From>(facts: Fact<From>[]): Fact<From>[] {
  const ends = [...new Set(facts.map(({ endMs }) => endMs).filter(Number.isFinite))].sort((a, b) => a - b);
  let [low, high] = [0, ends.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (search(upTo(facts, ends[middle]!)).found === false) high = middle;
    else low = middle + 1;
  }
  const rest = withoutNeedless(upTo(facts, ends[low]!).sort((a, b) => a.startMs - b.startMs));
  const last = rest.findIndex((fact) => fact.sure && fact.endMs === ends[low]);
  return last < 0 ? rest : [...rest.slice(0, last), ...rest.slice(last + 1), rest[last]!];
}

/** Leaves answers out, many at once and then fewer, as long as there is still no order. */
function withoutNeedless<From>(facts: Fact<From>[]): Fact<From>[] {
  let rest = facts;
  let left = effortMax;
  for (let size = facts.length; size >= 1 && left > 0; size = size >> 1) {
    const answers = rest.filter(({ effect }) => !isWrite(effect));
    for (let from = 0; from < answers.length && left > 0; from += size) {
      const some = new Set(answers.slice(from, from + size));
      const without = rest.filter((fact) => !some.has(fact));
      const { found, configurations } = search(without);
      left -= 1_000 + configurations;
      if (found === false) rest = without;
    }
  }
  return rest;
}
