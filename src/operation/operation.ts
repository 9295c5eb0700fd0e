import type { Document, ObjectId } from "mongodb";
import type { Act, Details } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import type { Placement } from "../tenant/placement.ts";
import type { Shown } from "./view.ts";

/** Every kind of operation there is. Each has a flow, which says all that others need to know of it. */
export type OperationKind = "provision" | "update" | "remove" | "discard" | "move" | "stamp" | "index" | "sweep";

export const operationStatuses = ["running", "stopped", "succeeded", "failed", "cancelled"] as const;

/**
 * An operation is a recorded change that takes several steps. A process that holds its lease drives it; when that process
 * dies the lease runs out and any other goes on at the step that was recorded last. At most one is open per organization.
 */
export type Operation<Input extends Document = Document, Progress extends Document = Document> = {
  _id: ObjectId;
  organization_id: ObjectId;
  kind: OperationKind;
  step: string;
  /** A `stopped` one has failed so often that it waits for an operator, who resumes or cancels it; it is still open. */
  status: (typeof operationStatuses)[number];
  /** There while the operation runs; the unique index on open operations rests on it. */
  open?: true;
  input: Input;
  /** Who asked for it, as `onEnd` wants to know; nothing here reads it. Removed when it ends. */
  origin?: Document;
  /** What must not outlive the operation, a password hash, a name or an email say; removed when it ends. */
  secret?: Document;
  progress: Partial<Progress>;
  /** `fence` counts the claims: every write of a driver carries it, so that one that lost its lease can't go on. */
  lease: {
    owner: string;
    token: string;
    until: Date;
    fence: number;
    /** What `enter` of the flow gave this driver: records that were entered take writes with this number only. */
    guard?: number;
    /** Its driver has put it down: until then it rests, and nobody works on it. */
    free?: true;
  };
  /** How often its steps have failed since it was started or resumed, the database being away not counted. */
  attempts?: number;
  /** It was asked to be undone; one that can't be any more goes on. */
  cancel_requested?: true;
  /** It has the turn to build an index in the shared collection: one at a time does, and a unique index knows which. */
  builds?: true;
  /** Since when it waits for that turn; the turns go round in this order. */
  awaits_turn?: Date;
  /** What this one was before another, a deletion, took its place: there is more to clean up. */
  superseded?: Superseded;
  /** The last unexpected error of a driver; null when none. */
  error: { message: string; at: Date } | null;
  /** Why the operation ended without effect, a failure code for the caller. */
  failure?: Failed;
  /** How it ends, from the last step on until it is closed: whoever takes over runs no step again, which could end otherwise. */
  ending?: OperationEnd;
  history: { step: string; at: Date; fence: number }[];
  created_at: Date;
  finished_at?: Date;
};

/** An operation as it was left. Its driver may have gone on for `held_ms` more. */
export type Superseded = Pick<Operation, "kind" | "step" | "input" | "origin" | "progress" | "ending"> & {
  held_ms: number;
};

/** Why an operation had no effect; `members` are more of the problem document. */
export type Failed = { code: string; detail: string; members?: Record<string, string> };

/** Its steps fail, though it may not have stopped yet. */
export const isFailing = ({ status, attempts = 0 }: Pick<Operation, "status" | "attempts">): boolean =>
  status === "stopped" || (status === "running" && attempts > 0);

/** What a step makes of an operation. `progress` is merged into what is there. */
export type Next<Progress extends Document = Document> =
  { go: string; progress?: Partial<Progress> } | { done: true } | { cancelled: true } | { failed: Failed };

export type StepDeps = Pick<Deps, "db" | "deployments" | "now" | "log" | "config" | "flows" | "inTurn" | "presence"> & {
  /** Throws when the lease has run out by this process's clock: to be called right before what can't carry a guard. */
  assertHeld(): void;
  /** Holds the lease a while longer, in the middle of a long step. Throws when it was lost. */
  keepHeld(): Promise<void>;
  /** Asks the database whether nobody has taken over. Throws when somebody has: what was done since it was held may be void. */
  proveHeld(): Promise<void>;
  /** The next statement may take so long; without, a step that shows nothing for `patienceMs` is given up. */
  mayTake(ms: number): void;
};

/** One effect, safe to run twice: a crash before it is recorded makes the next driver run it again. */
export type Step<Input extends Document = Document, Progress extends Document = Document> = (
  deps: StepDeps,
  operation: Operation<Input, Progress>,
) => Promise<Next<Progress>>;

/** What an operation of one kind does, for the audit. */
export type OperationAct = { act: Act; details?: Details };

/** The steps of one kind of operation, and what others have to know of the kind. */
export type Flow<Input extends Document = any, Progress extends Document = any> = {
  /** The step that it starts with. */
  first: string;
  /**
   * Runs whenever a driver begins and returns its guard, higher than those before. A driver that was stopped in the middle
   * of a statement and goes on after another has finished its work must change nothing any more.
   */
  enter?(deps: StepDeps, operation: Operation): Promise<number>;
  steps: Record<string, Step<Input, Progress>>;
  /** Where each step before the switch goes on when it is to be undone; at any other one it is completed. Without, it can't be. */
  undo?: Record<string, string>;
  /** At these steps requests may be waiting at a closed gate: they come before everything else. */
  gated?: readonly string[];
  /** It may take minutes, and holds nobody up. */
  isLong?: true;
  /** Upkeep that nobody asked for: once it fails, it makes room for what somebody asks for. */
  givesWay?: true;
  /** What must not outlive an operation of this kind, beside its secret: paths like `progress.upTo`. */
  temporary?: readonly string[];
  /** What it has done to its organization when it ends; nothing for what the service does for itself, as cleaning up. */
  acts(operation: Operation<Input, Progress>): OperationAct[];
  /** That it was asked for, where that is an act of its own. */
  asked?(operation: Pick<Operation<Input, Progress>, "input">): OperationAct;
  /** How far it has come, for operators. */
  view(operation: Operation<Input, Progress>): Shown;
  /** Where it has put something, or is about to: as long as it is open that is nobody else's, and isn't left over. */
  places(progress: Partial<Progress>): Placement[];
  /** Under which keys in the shared collection it may have put something. */
  keys?(progress: Partial<Progress>): string[];
  /** It builds indexes before the placement lists them. */
  buildsIndexes?: true;
  /** It notes in the journal, by its id, what is written meanwhile. */
  takesNotes?: true;
  /** Ended so, its organization isn't there any more, or never was. */
  endsOrganization?: OperationEnd["status"];
  /** Removes what it has left beside the place where the tenant lives, when a deletion has taken its place. */
  removeLeft?(deps: StepDeps, left: Operation<Input, Progress>, live: Placement): Promise<void>;
};
/** A kind that another version has recorded may not be among them. */
export type Flows = Readonly<Partial<Record<OperationKind, Flow>>>;
export const entriesOfFlows = (flows: Flows) => Object.entries(flows) as [OperationKind, Flow][];

export type OperationEnd = {
  status: "succeeded" | "failed" | "cancelled";
  failure?: Operation["failure"];
};
/**
 * Told of an operation's end, which is decided, before the operation is closed; perhaps more than once, but always of the
 * same end: when this process dies in between, whoever takes over tells of it. As long as it throws, nothing is closed.
 */
export type EndObserver = (operation: Operation, end: OperationEnd) => Promise<void>;

export type StepMoment = "before" | "after" | "recorded";
export type StepObserver = (operation: Operation, moment: StepMoment) => void | Promise<void>;
