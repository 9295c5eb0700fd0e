import type { Db } from "mongodb";
import type { Logger } from "pino";
import type { PasswordHasher } from "./admin/password-hasher.ts";
import type { Config } from "./config.ts";
import type { InTurn } from "./lib/turns.ts";
import type { LookUp } from "./look-up.ts";
import type { Flows, StepObserver } from "./operation/operation.ts";
import type { Revocations } from "./session/revocations.ts";
import type { TokenIssuer } from "./session/token.ts";
import type { Leases } from "./tenant/lease.ts";

/** All that the code needs from outside, made once in `boot.ts`; a function takes only the slice that it uses. */
export type Deps = {
  db: Db;
  lookUp: LookUp;
  leases: Leases;
  config: Config;
  log: Logger;
  now: () => Date;
  passwords: PasswordHasher;
  tokens: TokenIssuer;
  revocations: Revocations;
  flows: Flows;
  /** Names this process in the leases that it holds. */
  owner: string;
  /** Changes of one organization that this process is asked for go one after the other. */
  inTurn: InTurn;
  /** Told before and after the effect of each step and when it is recorded: logs, and the tests that kill a process there. */
  onStep?: StepObserver;
};
