import type { Db } from "mongodb";
import type { Logger } from "pino";
import type { PasswordHasher } from "./admin/password-hasher.ts";
import type { Origin } from "./audit/audit.ts";
import type { Auditor } from "./audit/auditor.ts";
import type { Config } from "./config.ts";
import type { LargeThreads } from "./document/large.ts";
import type { InTurn } from "./lib/turns.ts";
import type { Limits } from "./limits.ts";
import type { LookUp } from "./look-up.ts";
import type { KnownKeys } from "./operator/known-keys.ts";
import type { EndObserver, Flows, StepObserver } from "./operation/operation.ts";
import type { Presence } from "./process/presence.ts";
import type { Usage } from "./quota/usage.ts";
import type { Revocations } from "./session/revocation/revocations.ts";
import type { TokenIssuer } from "./session/token/token.ts";
import type { Deployments } from "./tenant/deployments.ts";
import type { Documents } from "./tenant/door.ts";
import type { Leases } from "./tenant/lease.ts";

/** All that the code needs from outside, made once in `boot.ts`; a function takes only the slice that it uses. */
export type Deps = {
  /** Of the service itself: sign-in, look-ups, health, operations. */
  db: Db;
  /** Where tenants' documents are, by the same connections: for operations, the doctor and the like. */
  deployments: Deployments;
  documents: Documents;
  lookUp: LookUp;
  leases: Leases;
  /** How much organizations have; without quotas nobody asks. */
  usage?: Usage;
  presence: Presence;
  limits: Limits;
  config: Config;
  log: Logger;
  now: () => Date;
  passwords: PasswordHasher;
  /** Whether who changes the sign-in has to know the password. */
  asksPassword(): Promise<boolean>;
  large: LargeThreads;
  tokens: TokenIssuer;
  revocations: Revocations;
  knownKeys: KnownKeys;
  flows: Flows;
  /** Names this process in the leases that it holds. */
  owner: string;
  /** Changes of one organization that this process is asked for go one after the other, and claims of one name or email. */
  inTurn: InTurn;
  /** How often a step may fail, how long it rests then, by the failures before, and how long it may be without an answer. */
  patience?: { attemptsMax?: number; pauseMs?: (failures: number) => number; stepMs?: number };
  /** Told before and after the effect of each step and when it is recorded: logs, and the tests that kill a process there. */
  onStep?: StepObserver;
  /** Told of the end of each operation, which is decided, before it is closed. */
  onEnd?: EndObserver;
  /** The record of who did what. */
  audit: Auditor;
  /** Who asks: of the deps for one request. Without, it is the service itself. */
  origin?: Origin;
};
