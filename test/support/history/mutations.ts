import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lifeMutations } from "./life-mutations.ts";

type Edit = { file: string; find: string; replace: string };

/** One rule of the protocol taken out of the source text, and where its absence shows. */
export type Mutation = {
  name: string;
  breaks: string;
  /** Each `find` must be there exactly once. */
  edits: Edit[];
  /** Pauses that any process might make anyway, and a second wall taken down: without the mutation they do no harm. */
  pauses: Edit[];
  /** Directions in which a move shows it, and the fault that it takes; each is tried in turn. */
  shownBy: [direction: string, fault: string][];
  /** It takes the lives of organizations to show it, with these faults; each is tried in turn. */
  livedBy?: string[];
  /** What is left at the old placement counts: it may not for the others, as late writes leave strays for a while. */
  leavesBehind?: true;
  config?: Record<string, string>;
};

const door = "src/tenant/door.ts";
const use = "const outcome = await settle(() => use(openScope(documents.deployments, lease.placement, late)));";
const sometimes = (ms: number) => `await (Math.random() < 0.2 ? sleep(Math.random() * ${ms}) : null);`;

/** Some requests stand still between their note and the database, and between the database and their answer. */
const slowRequests: Edit = { file: door, find: use, replace: `${sometimes(1_000)} ${use} ${sometimes(1_000)}` };
/** The mover stands still between its last drain and the gate: what is noted then, only the gate can copy. */
const slowMover: Edit = {
  file: "src/flows/move/move.ts",
  find: '? { go: "gate", progress: looks }',
  replace: '? (await sleep(500), { go: "gate", progress: looks })',
};
/** The drain goes on for a second, as it does when there is much to do: so notes get old enough to be worked off by it. */
const longDrain: Edit[] = [
  {
    file: "src/tenant/copy/drain.ts",
    find: "const seenMs = new Map<string, number>();",
    replace: "const seenMs = new Map<string, number>(); const enoughMs = performance.now() + 1_000;",
  },
  {
    file: "src/tenant/copy/drain.ts",
    find: "if (notes.length <= notesInGateMax && ripe.length < copyMax / 2) return notes.length;",
    replace: "if (performance.now() > enoughMs) return notes.length;",
  },
];
/** Half of all requests stand still before they come to the database. */
const lateRequests: Edit = {
  file: door,
  find: use,
  replace: `await (Math.random() < 0.5 ? sleep(Math.random() * 1_500) : null); ${use}`,
};
/**
 * The first driver (the move was queued under the first fence) stands still for longer than its lease right before the
 * cutover: the whole process, or it would hold the lease meanwhile.
 */
const lateCutover: Edit = {
  file: "src/flows/move/move-gate.ts",
  find: "const written = await guarded.cutOver(",
  replace:
    "if (operation.lease.fence === 2) Bun.sleepSync(6_000 + Math.random() * 3_000); const written = await guarded.cutOver(",
};
/** Every process stands still for longer than its lease with the first batch in its hands. */
const lateBatch: Edit = {
  file: "src/tenant/copy/copy.ts",
  find: "export async function copyBatch(",
  replace: "let paused = false; export async function copyBatch(",
};
const lateBatchToo: Edit = {
  file: "src/tenant/copy/copy.ts",
  find: "beforeWrite();\n  const refused",
  replace: "beforeWrite(); if (!paused) { paused = true; Bun.sleepSync(5_000); }\n  const refused",
};
/** Both sides are compared once, and what is copied after that: a second wall, which often hides that the first is gone. Alone it isn't missed. */
const noCompare: Edit[] = [
  {
    file: "src/flows/move/move.ts",
    find: "const batch = await compareBatch(deployments, from, stage, at);",
    replace: "const batch = at ? null : await compareBatch(deployments, from, stage, at);",
  },
  {
    file: "src/tenant/copy/drain.ts",
    find: "const differing = verified ? await compareDocuments(deployments, source, stage, ids) : [];",
    replace: "const differing: unknown[] = []; void [verified, compareDocuments];",
  },
];

/** The mover stands still between the last drain and the cutover. */
const slowGate: Edit = {
  file: "src/flows/move/move-gate.ts",
  find: "await compareIndexes(deps, from, stage);",
  replace: "await compareIndexes(deps, from, stage); await Bun.sleep(800);",
};

const anyDirection: Mutation["shownBy"] = [
  ["p>e", "none"],
  ["s>p", "none"],
  ["e>s", "none"],
];
const load = [slowRequests, slowMover, ...longDrain];

/**
 * A longer lease may be set, and a gate stays closed for as long as that takes: on a busy machine the other steps take as long
 * as the longest that can be set.
 */
const longerLease: Edit[] = [
  {
    file: "src/organization/settings.ts",
    find: "wholeNumber(500, 20, 5_000)",
    replace: "wholeNumber(500, 20, 60_000)",
  },
  { file: "src/flows/move/move-gate.ts", find: "const closedMsMax = 4_000;", replace: "const closedMsMax = 30_000;" },
];

/** Placements are held for so long that a move is done while some still hold the one before it. */
const longLease = { PLACEMENT_LEASE_MS: "2000", OPERATION_LEASE_MS: "10000" };
const longestLease = { ...longLease, PLACEMENT_LEASE_MS: "20000" };

export const mutations: Mutation[] = [
  {
    name: "no mutation, all pauses",
    breaks: "nothing: the pauses alone must do no harm",
    edits: [],
    pauses: [...load, ...noCompare, lateCutover, lateBatch, lateBatchToo],
    shownBy: anyDirection,
  },
  {
    name: "no mutation, a slow gate",
    breaks: "nothing: what takes effect late, in the gate, was seen by nobody or is brought along",
    edits: [],
    pauses: [lateRequests, slowGate],
    shownBy: anyDirection,
  },
  {
    name: "no note",
    breaks: "rule 3: a write is noted before it is done",
    edits: [{ file: door, find: `await note();\n        ${use}`, replace: use }],
    pauses: [...load, ...noCompare],
    shownBy: anyDirection,
  },
  {
    name: "not noted again",
    breaks: "rule 3: a write whose lease ran out is noted once more",
    edits: [{ file: door, find: "await note();\n        const now =", replace: "const now =" }],
    // It shows in a write that takes effect after its note was worked off.
    pauses: [lateRequests, slowMover, ...longDrain, ...noCompare],
    shownBy: anyDirection,
  },
  {
    name: "no wait in journal",
    breaks: "rule 5: the move waits until every process knows that it has to note",
    edits: [{ file: "src/flows/move/move-plan.ts", find: "await afterLeases(deps);", replace: "void afterLeases;" }],
    pauses: [...noCompare, ...longerLease],
    config: longestLease,
    shownBy: anyDirection,
  },
  {
    name: "no wait in the gate",
    breaks: "rule 5: the move waits until every process knows that the gate is closed",
    edits: [
      {
        file: "src/flows/move/move-gate.ts",
        find: "await afterMoveLeases(deps);",
        replace: "void afterMoveLeases;",
      },
    ],
    pauses: [slowRequests, ...noCompare, ...longerLease],
    config: longestLease,
    shownBy: anyDirection,
  },
  {
    name: "each for its own lease",
    breaks: "rule 5: the move waits for the longest lease that any process may have",
    edits: [
      {
        file: "src/process/presence.ts",
        find: "return Math.max(leaseMs, await store.findLongestLease(seenAt && silentBefore(seenAt)));",
        replace: "return leaseMs;",
      },
    ],
    pauses: [...noCompare],
    shownBy: [
      ["s>p", "leases"],
      ["p>e", "leases"],
      ["e>s", "leases"],
    ],
  },
  {
    name: "the last drain is left out",
    breaks: "rule 5: what is noted by then is copied behind the gate",
    edits: [
      {
        file: "src/flows/move/move-gate.ts",
        find: "await drainAll(deps, sides, deadlineMs, { assertHeld, keepHeld, proveHeld });",
        replace: "0; void [drainAll, sides, proveHeld];",
      },
    ],
    pauses: [...load, ...noCompare],
    shownBy: anyDirection,
  },
  {
    name: "writes pass the gate",
    breaks: "rule 5: writers wait in the gate",
    edits: [{ file: door, find: `|| (move?.phase === "gate" && intent !== "read")`, replace: "&& intent !== null" }],
    pauses: load,
    shownBy: anyDirection,
  },
  {
    name: "writes are not validated",
    breaks: "rule 2: a write is acknowledged only where the documents are",
    edits: [{ file: door, find: "if (leases.holds(lease))", replace: "if (writes || leases.holds(lease))" }],
    pauses: load,
    shownBy: anyDirection,
  },
  {
    name: "reads are not validated",
    breaks: "rule 2: a read is answered only from where the documents are",
    edits: [{ file: door, find: "if (leases.holds(lease))", replace: "if (!writes || leases.holds(lease))" }],
    pauses: [lateRequests, slowMover],
    shownBy: anyDirection,
  },
  {
    name: "refusals are not validated",
    breaks: "rule 2: that a document is not there counts only where the documents are",
    edits: [{ file: door, find: "if (isUnavailable(error)) throw error;", replace: "throw error;" }],
    pauses: [lateRequests, slowMover],
    shownBy: anyDirection,
  },
  {
    name: "cutover without a compare-and-set",
    breaks: "rule 10: a driver that was overtaken decides nothing",
    edits: [
      {
        file: "src/organization/guarded.ts",
        find: '{ "placement.epoch": epoch, "move.operation_id": operationId, "move.phase": { $in: ["gate", "sealed"] } },\n    ),',
        replace: "",
      },
      {
        file: "src/organization/guarded.ts",
        find: "return await decided(() =>\n    writeGuarded(\n      db,\n      organization,\n      { $set: { placement,",
        replace:
          "void [operationId, decided]; return await decided(async () => (await organizations(db).updateOne({ _id: organization.id }, { $set: { placement,",
      },
      {
        file: "src/organization/guarded.ts",
        find: "region: to.region }, $unset: { move: true } },\n",
        replace: "region: to.region }, $unset: { move: true } })).matchedCount === 1",
      },
    ],
    pauses: [lateCutover],
    shownBy: [
      ["s>p", "none"],
      ["p>e", "none"],
      ["p>s", "none"],
    ],
  },
  {
    name: "a note is settled as soon as it is seen",
    breaks: "rule 4: a note counts only when its document was copied a lease later",
    edits: [
      {
        file: "src/tenant/copy/drain.ts",
        find: "notes.filter(({ _id }) => seenMs.get(_id.toHexString())! + leaseMs <= nowMs);",
        replace: "notes; void nowMs;",
      },
    ],
    // It shows in a write that takes effect within its lease, but after its note was worked off: so leases are long.
    pauses: [lateRequests, ...longDrain, ...noCompare],
    config: longLease,
    shownBy: anyDirection,
  },
  {
    name: "a document that is gone stays in the copy",
    breaks: "rule 5: a noted document that is gone is removed on the other side",
    edits: [
      {
        file: "src/tenant/copy/copy.ts",
        find: "await removeFrom(deployments, stage, ids);\n  const refused",
        replace: "const refused",
      },
    ],
    pauses: [...noCompare],
    config: { MOVE_DOCUMENTS_PER_SECOND: "300" },
    shownBy: anyDirection,
  },
  {
    name: "a lease from the gate",
    breaks: "rule 1: an organization that is read in the gate gives no lease",
    edits: [
      {
        file: "src/tenant/lease.ts",
        find: "isClosed(standing) ? Number.NEGATIVE_INFINITY :",
        replace: "isClosed(standing) && false ? 0 :",
      },
    ],
    pauses: [],
    config: longLease,
    shownBy: anyDirection,
  },
  {
    name: "a write forgets its first try",
    breaks: "rule 8: a write that is done again recognizes its own effect",
    edits: [{ file: "src/document/change.ts", find: "effect = { found: current.meta, made };", replace: "" }],
    pauses: load,
    shownBy: anyDirection,
  },
  {
    name: "the old side stays",
    breaks: "rule 5: after the cutover the old side is removed",
    edits: [
      {
        file: "src/flows/move/move-end.ts",
        find: "await retirePlace(db, from, {",
        replace: "void retirePlace; await Promise.resolve({",
      },
      {
        file: "src/flows/move/move-end.ts",
        find: "await removePlace(deployments, from, source, deps);",
        replace: "void source;",
      },
    ],
    pauses: [],
    leavesBehind: true,
    shownBy: anyDirection,
  },
  {
    name: "all drivers share a stage",
    breaks: "rule 6: each driver copies to a place of its own",
    edits: [
      {
        file: "src/flows/move/move-plan.ts",
        find: 'offerPlace("starter", whereOf(deps, organization), fence + 1)',
        replace: 'offerPlace("starter", whereOf(deps, organization), 1_000)',
      },
    ],
    pauses: [lateBatch, lateBatchToo],
    shownBy: [
      ["p>s", "none"],
      ["e>s", "none"],
    ],
  },
  ...lifeMutations,
];

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What no longer fits the source: each is one line. Empty when the mutation can be planted. */
export function staleEdits({ name, edits, pauses }: Mutation): string[] {
  return [...edits, ...pauses].flatMap(({ file, find }) => {
    const count = readFileSync(join(root, file), "utf8").split(find).length - 1;
    return count === 1 ? [] : [`${name}: found ${count} times in ${file}: ${find}`];
  });
}

export type Mutant = { program: string; remove(): void };

/** A copy of the code with the bug in it: the code that is shipped has no switch for it. @throws Error when it is stale */
export function plant(mutation: Mutation): Mutant {
  const stale = staleEdits(mutation);
  if (stale.length > 0) throw new Error(stale.join("\n"));
  const folder = mkdtempSync(join(tmpdir(), "croupier-mutant-"));
  for (const part of ["src", "dev", "test/support", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  // Pauses come second: what they wrap is there still.
  for (const { file, find, replace } of [...mutation.edits, ...mutation.pauses]) {
    const text = readFileSync(join(folder, file), "utf8");
    writeFileSync(
      join(folder, file),
      text.replace(find, () => replace),
    );
  }
  return {
    program: join(folder, "test/support/crash-child.ts"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
