import type { KeyFact } from "./facts.ts";
import { isWrite } from "./register.ts";

export type Finding = { rule: string; message: string };

/** When a value was there for sure: some answer that shows it or acknowledges it has arrived. */
type Written = { value: string; field: string; fromMs: number; sureMs: number };

const describe = ({ from: { event } }: KeyFact): string =>
  event ? `client ${event.client} (${event.kind}, ${event.startMs.toFixed(1)})` : "the database at the end";

/**
 * What can be told about one document without looking for an order: from two writes of which one began when the other was
 * there for sure, and an answer that came after both. The search finds these too; here they have a name.
 */
export function findPlainly(facts: KeyFact[]): Finding[] {
  const writes = writtenValues(facts);
  const bases = writes.filter(({ field }) => field === "");
  const deletes = facts.filter(({ effect }) => effect.does === "delete");
  const findings: Finding[] = [];

  for (const fact of facts) {
    if (fact.effect.does !== "see") continue;
    const { content } = fact.effect;
    if (!content) {
      // Somebody must have deleted what was there for sure.
      const lost = bases.find(
        ({ fromMs, sureMs }) =>
          sureMs < fact.startMs && !deletes.some(({ startMs, endMs }) => endMs >= fromMs && startMs <= fact.endMs),
      );
      if (lost) findings.push({ rule: "lost write", message: `${lost.value} is not there for ${describe(fact)}` });
      continue;
    }
    const shown = { "": content.base, ...content.fields };
    for (const [field, value] of Object.entries(shown)) {
      const written = writes.find((one) => one.field === field && one.value === value);
      if (!written) continue;
      const newer = writes.find(
        (one) => one.field === field && one.fromMs > written.sureMs && one.sureMs < fact.startMs,
      );
      if (newer)
        findings.push({
          rule: ruleFor(fact, facts, newer),
          message: `${value} after ${newer.value} for ${describe(fact)}`,
        });
    }
    const base = bases.find(({ value }) => value === content.base);
    if (!base) continue;
    const undone = deletes.find(({ startMs, endMs, sure }) => sure && startMs > base.sureMs && endMs < fact.startMs);
    if (undone) findings.push({ rule: "delete undone", message: `${content.base} is back for ${describe(fact)}` });
    const lost = writes.find(
      ({ field, fromMs, sureMs }) =>
        field !== "" && !content.fields[field] && fromMs > base.sureMs && sureMs < fact.startMs,
    );
    if (lost) findings.push({ rule: "lost write", message: `${lost.value} is missing for ${describe(fact)}` });
  }
  return [...findings, ...findDoubleInserts(facts, bases)];
}

/** The same client had the newer one already, or another had; at the end it is a write that got lost. */
function ruleFor({ from: { event } }: KeyFact, facts: KeyFact[], newer: Written): string {
  if (!event) return "lost write";
  const knew = facts.some(({ effect, endMs, from }) => {
    if (from.event?.client !== event.client || endMs >= event.startMs) return false;
    if (effect.does !== "see") return "value" in effect && effect.value === newer.value;
    return effect.content?.base === newer.value || Object.values(effect.content?.fields ?? {}).includes(newer.value);
  });
  return knew ? "time went back" : "stale read";
}

function findDoubleInserts(facts: KeyFact[], bases: Written[]): Finding[] {
  const inserts = facts.filter(({ effect, sure }) => effect.does === "insert" && sure);
  return inserts.flatMap((second) => {
    const first = bases.find(
      ({ fromMs, sureMs }) =>
        sureMs < second.startMs &&
        !facts.some(({ effect, startMs, endMs }) => {
          return effect.does === "delete" && endMs >= fromMs && startMs <= second.endMs;
        }),
    );
    return first
      ? [{ rule: "double insert", message: `inserted for ${describe(second)} over ${first.value}, never deleted` }]
      : [];
  });
}

function writtenValues(facts: KeyFact[]): Written[] {
  const shown = new Map<string, number>();
  const see = (value: string, endMs: number) => void shown.set(value, Math.min(shown.get(value) ?? Infinity, endMs));
  for (const { effect, sure, endMs } of facts) {
    if (effect.does === "see" && effect.content) {
      for (const value of [effect.content.base, ...Object.values(effect.content.fields)]) see(value, endMs);
    } else if (sure && "value" in effect) see(effect.value, endMs);
  }
  return facts.flatMap(({ effect, startMs }) =>
    isWrite(effect) && "value" in effect
      ? [
          {
            value: effect.value,
            field: "field" in effect ? effect.field : "",
            fromMs: startMs,
            sureMs: shown.get(effect.value) ?? Infinity,
          },
        ]
      : [],
  );
}
