import type { Call } from "./callers.ts";
import { figure, median, table } from "./report.ts";
import { percentileOf } from "./writers.ts";

/** A heavy request: when it was sent, and until when what others wait counts as its doing (milliseconds since 1970). */
export interface Heavy {
  route: string;
  what: string;
  status: number;
  bytes: number;
  began: number;
  ended: number;
}

/** The longest wait of each request, middle one of the rounds: others' work on the machine falls on one of them. */
const longest = (rounds: Call[][]) => median(rounds.map((calls) => Math.max(0, ...calls.map(({ ms }) => ms))));

/** A row for each route and body. */
export function stallTable(heavy: Heavy[], calls: Call[]): string {
  const groups = Map.groupBy(heavy, ({ route, what }) => `${route}|${what}`);
  const rows = [...groups.values()].map((group) => {
    const meanwhile = (label: string) =>
      group.map(({ began, ended }) =>
        calls.filter((call) => call.label === label && call.dueAt + call.ms >= began && call.dueAt <= ended),
      );
    const waits = ["GET /", "tenants"].map((label) => {
      const rounds = meanwhile(label);
      const all = rounds.flat();
      const [p50, p99, max] = [percentileOf(all, 0.5), percentileOf(all, 0.99), Math.max(...all.map(({ ms }) => ms))];
      return `${[p50, p99, max].map(figure).join(" / ")} (${figure(longest(rounds))})`;
    });
    const { route, what } = group[0]!;
    const statuses = [...new Set(group.map(({ status }) => status))].join(", ");
    const ms = median(group.map(({ began, ended }) => ended - began));
    const busy = meanwhile("GET /")
      .flat()
      .map(({ busyMs }) => ({ ms: busyMs }));
    const busyMs = [percentileOf(busy, 0.99), Math.max(...busy.map((each) => each.ms))].map(figure).join(" / ");
    return [route, what, statuses, figure(ms), busyMs, ...waits];
  });
  return table(
    [
      "route",
      "body",
      "status",
      "ms",
      "service's own thread busy while GET / waits: p99 / max ms",
      "GET /: p50 / p99 / max (middle max) ms",
      "tenants: the same",
    ],
    rows,
  );
}
