import type { Flows } from "../operation/operation.ts";
import { discard } from "./discard.ts";
import { index } from "./index-change.ts";
import { move } from "./move.ts";
import { provision } from "./provision.ts";
import { remove } from "./remove.ts";
import { stamp } from "./stamp.ts";
import { sweep } from "./sweep.ts";
import { update } from "./update.ts";

/** Every kind of operation that there is. */
export const flows: Flows = { provision, update, remove, discard, move, stamp, index, sweep };
