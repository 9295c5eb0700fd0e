import type { Flows } from "../operation/operation.ts";
import { discard } from "./discard.ts";
import { provision } from "./provision.ts";
import { remove } from "./remove.ts";
import { update } from "./update.ts";

/** Every kind of operation that there is. */
export const flows: Flows = { provision, update, remove, discard };
