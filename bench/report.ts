/** Turns what was measured into Markdown for docs/figures.md. A figure that was not measured is a dash. */
import { cpus, loadavg } from "node:os";
import type { Db } from "mongodb";
import type { Call } from "./contestants.ts";
import type { StreamReport } from "./load.ts";
import type { Residents } from "./measure.ts";
import type { RoutingSample } from "./routing.ts";

export interface Sample extends StreamReport {
  contestant: string;
  call: Call;
  concurrency: number;
  /** Processor time in the contestant's own process. */
  microsecondsPerCall: number;
  generatorShare: number;
}

export interface WaitingSample extends StreamReport {
  contestant: string;
  waiting: number;
}

/** Of an even number the upper one, so that it is a figure that was measured. */
export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

export function table(head: string[], rows: string[][]): string {
  const aligned = head.map((_, column) => (column < 2 ? "---" : "--:"));
  return [head, aligned, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** Cores, processor, versions and how busy the machine already was. */
export async function machineLine(db: Db, nodeVersion: string | undefined): Promise<string> {
  const info = await db.command({ buildInfo: 1 });
  const database = info.ferretdb ? `FerretDB ${info.ferretdb.version}` : `MongoDB ${info.version}`;
  const processor = cpus();
  return [
    `${processor.length} cores (${processor[0]?.model.trim()})`,
    `Bun ${Bun.version}`,
    ...(nodeVersion ? [`Node.js ${nodeVersion.replace("v", "")}`] : []),
    database,
    `load before the run ${loadavg()[0]?.toFixed(2)}`,
  ].join(", ");
}

export function speedTable(samples: Sample[], contestants: { name: string; title: string }[]): string {
  const of = (contestant: string, like: Sample, field: "perSecond" | "p50Ms" | "p99Ms" | "refused") =>
    median(
      samples
        .filter((s) => s.contestant === contestant && s.call === like.call && s.concurrency === like.concurrency)
        .map((s) => s[field]),
    );
  const ratio = (like: Sample, to: string) => figure(of("croupier", like, "perSecond") / of(to, like, "perSecond"));
  const rowKeys = new Map(samples.map((sample) => [`${sample.call} ${sample.concurrency}`, sample]));
  const rows = [...rowKeys.values()].map((like) => [
    like.call,
    String(like.concurrency),
    ...contestants.flatMap(({ name }) => {
      const refused = of(name, like, "refused");
      return [
        figure(of(name, like, "perSecond")) + (refused ? ` (${refused} refused)` : ""),
        `${figure(of(name, like, "p50Ms"))} / ${figure(of(name, like, "p99Ms"))}`,
      ];
    }),
    ratio(like, "limit"),
    ratio(like, "express"),
  ]);
  const heads = contestants.flatMap(({ title }) => [`${title} /s`, "p50 / p99 ms"]);
  return table(["call", "at once", ...heads, "of the limit", "× Express"], rows);
}

/** What a call costs the contestant's own process: it tells them apart where the database and the generator fill the machine. */
export function processorLines(samples: Sample[], contestants: { name: string; title: string }[]): string {
  const measured = (["health", "get"] as const).filter((call) => samples.some((s) => s.call === call));
  if (measured.length === 0) return "";
  const costs = measured.map((call) => {
    const each = contestants.map(({ name, title }) => {
      const own = samples.filter((s) => s.contestant === name && s.call === call && s.concurrency > 1);
      return `${title} ${figure(median(own.map((s) => s.microsecondsPerCall)))}`;
    });
    return `${call}: ${each.join(", ")}`;
  });
  return `Processor time a call takes in the process itself, in µs (at 32 and 128 at once): ${costs.join("; ")}.`;
}

export function waitingTable(samples: WaitingSample[], contestants: { name: string; title: string }[]): string {
  const rows = contestants.flatMap(({ name, title }) =>
    ["get", "with a token"].flatMap((label) => {
      const [quiet, busy] = [false, true].map((waiting) =>
        samples.find((s) => s.contestant === name && s.label === label && s.waiting > 0 === waiting),
      );
      const cells = [quiet, busy].flatMap((s) => [s?.p50Ms, s?.p99Ms, s?.maxMs].map(figure).join(" / "));
      return quiet || busy ? [[title, label, ...cells]] : [];
    }),
  );
  const [quietHead, busyHead] = ["quiet: p50 / p99 / max ms", `while ${waitingCount(samples)} sign-ins wait`];
  return table(["", "50 a second of", quietHead, busyHead], rows);
}

const waitingCount = (samples: WaitingSample[]) => Math.max(...samples.map((sample) => sample.waiting));

export interface DocumentSample extends StreamReport {
  contestant: "croupier" | "limit" | "parse";
  tier: string | null;
  call: string;
  concurrency: number;
  microsecondsPerCall: number;
  generatorShare: number;
}

/** A row for each call, concurrency and tier. Ratios are of one round each, and the middle one of the rounds is shown. */
export function documentTable(samples: DocumentSample[]): string {
  const rowsOf = samples.filter(({ contestant }) => contestant === "croupier");
  const keyOf = ({ call, concurrency, tier }: DocumentSample) => `${call} ${concurrency} ${tier}`;
  const likes = [...new Map(rowsOf.map((sample) => [keyOf(sample), sample])).values()];
  const rows = likes.map((like) => {
    const all = (contestant: string, tier: string | null) =>
      samples.filter(
        (s) =>
          s.contestant === contestant && s.tier === tier && s.call === like.call && s.concurrency === like.concurrency,
      );
    const [own, limit, parse] = [all("croupier", like.tier), all("limit", like.tier), all("parse", null)];
    const middle = (of: DocumentSample[], field: "perSecond" | "p50Ms" | "p99Ms" | "microsecondsPerCall") =>
      figure(median(of.map((s) => s[field])));
    const cells = (of: DocumentSample[]) => [
      middle(of, "perSecond"),
      `${middle(of, "p50Ms")} / ${middle(of, "p99Ms")}`,
    ];
    const ratio = (to: DocumentSample[]) =>
      figure(median(to.flatMap((each, round) => (own[round] ? [own[round].perSecond / each.perSecond] : []))));
    const cost = `${middle(own, "microsecondsPerCall")} / ${middle(limit, "microsecondsPerCall")} / ${middle(parse, "microsecondsPerCall")}`;
    return [
      `${like.call}, ${like.tier}`,
      String(like.concurrency),
      ...[own, limit, parse].flatMap(cells),
      ratio(limit),
      ratio(parse),
      cost,
    ];
  });
  const heads = ["Croupier", "limit", "Parse Server"].flatMap((title) => [`${title} /s`, "p50 / p99 ms"]);
  return table(["call", "at once", ...heads, "of the limit", "× Parse", "processor µs a call (each)"], rows);
}

export interface MoveSample {
  way: string;
  documents: number;
  mergePerSecond: number;
  /** While it copies; from the request to the cutover; and until nothing is left at the old place. */
  copyPerSecond: number;
  servedPerSecond: number;
  wholePerSecond: number;
  phases: string[];
  quietP99Ms: number;
  copyP99Ms: number;
  moveP99Ms: number;
  longestMs: number;
  gateMs: number;
  writes: number;
  failed: number;
  residents: Residents;
}

export function moveTable(samples: MoveSample[]): string {
  const rows = samples.map((sample) => [
    sample.way,
    figure(sample.documents),
    figure(sample.mergePerSecond),
    figure(sample.copyPerSecond),
    figure(sample.servedPerSecond),
    figure(sample.wholePerSecond),
    figure(sample.servedPerSecond / sample.mergePerSecond),
    `${figure(sample.quietP99Ms)} / ${figure(sample.copyP99Ms)}`,
    figure(sample.copyP99Ms / sample.quietP99Ms),
    `${figure(sample.longestMs)} (${figure(sample.gateMs)})`,
    [sample.residents.before, sample.residents.peak, sample.residents.after].map((mib) => mib.toFixed(0)).join(" / "),
  ]);
  const heads = [
    "move",
    "documents",
    "$merge /s",
    "copy alone /s",
    "to the cutover /s",
    "to the end /s",
    "to the cutover, of $merge",
    "writers' p99 ms, quiet / copy",
    "times",
    "longest write ms (gate)",
    "MiB before / peak / after",
  ];
  return table(heads, rows);
}

export function routingTable(samples: RoutingSample[]): string {
  const rows = samples.map(({ call, existing, asked, p50Ms, p99Ms }) => [
    call,
    figure(existing),
    figure(asked),
    figure(p50Ms),
    figure(p99Ms),
  ]);
  return table(["100 a second of", "tenants there", "tenants asked", "p50 ms", "p99 ms"], rows);
}
