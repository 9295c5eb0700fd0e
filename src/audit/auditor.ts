import type { Db } from "mongodb";
import type { Logger } from "pino";
import type { Flows, Operation, OperationEnd } from "../operation/operation.ts";
import { type Appender, createAppender } from "./append.ts";
import { entriesOf } from "./operations.ts";
import { createRefusals, type Refusals } from "./refusals.ts";

/** The one way into the record. */
export type Auditor = Pick<Appender, "append"> &
  Pick<Refusals, "note"> & {
    /** Records what an operation has done, before it is closed. @throws of `append` */
    ended(operation: Operation, end: OperationEnd): Promise<void>;
    /** Until what was taken so far is recorded, or can't be. */
    flush(): Promise<void>;
  };

/** @param sourceOf which addresses are one source of refused requests */
export function createAuditor(options: {
  db: Db;
  flows: Flows;
  now: () => Date;
  log: Pick<Logger, "warn">;
  sourceOf: (address: string) => string;
}): Auditor {
  const { flows, now } = options;
  const { append, settled } = createAppender(options);
  const refusals = createRefusals({ ...options, append });
  return {
    append,
    note: refusals.note,
    async ended(operation, end) {
      await Promise.all(entriesOf(flows, now, operation, end).map(append));
    },
    async flush() {
      await refusals.flush();
      await settled();
    },
  };
}
