import type { KeyFact } from "./facts.ts";
import { type Effect, textOf } from "./register.ts";

const linesMax = 24;

function describe(effect: Effect): string {
  switch (effect.does) {
    case "see":
      return `sees ${textOf(effect.content)}`;
    case "see_any":
      return "sees that it is there";
    case "see_other":
      return `sees something other than ${textOf(effect.than)}`;
    case "delete":
      return `delete${effect.on ? ` if ${textOf(effect.on)}` : ""}`;
    case "insert":
      return `insert ${effect.value}`;
    case "replace":
      return `replace by ${effect.value}${effect.on ? ` if ${textOf(effect.on)}` : ""}`;
    case "patch":
      return `patch ${effect.field}=${effect.value}${effect.on ? ` if ${textOf(effect.on)}` : ""}`;
  }
}

/** What happened to one document, a line each, in milliseconds since the first. */
export function printTimeline(facts: KeyFact[]): string {
  const first = Math.min(...facts.map(({ startMs }) => startMs));
  const time = (ms: number) => (Number.isFinite(ms) ? (ms - first).toFixed(1) : "?").padStart(9);
  const lines = facts.map(({ effect, startMs, endMs, sure, from: { event } }) => {
    const who = event ? `${event.client}@${event.process} ${event.kind}` : "database";
    return `${time(startMs)} –${time(endMs)}  ${who.padEnd(16)} ${describe(effect)}${sure ? "" : " (unknown)"}`;
  });
  const left = lines.length - linesMax;
  return [...(left > 0 ? [`  (${left} earlier ones)`] : []), ...lines.slice(-linesMax)].join("\n");
}
