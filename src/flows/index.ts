import type { Flow, Flows, OperationKind } from "../operation/operation.ts";
import { discard } from "./organization/discard.ts";
import { index } from "./indexes/index-change.ts";
import { move } from "./move/move.ts";
import { provision } from "./organization/provision.ts";
import { remove } from "./organization/remove.ts";
import { stamp } from "./upkeep/stamp.ts";
import { sweep } from "./upkeep/sweep.ts";
import { update } from "./organization/update.ts";

/** Every kind of operation that there is. */
export const flows: Flows = { provision, update, remove, discard, move, stamp, index, sweep } satisfies Record<
  OperationKind,
  Flow
>;
