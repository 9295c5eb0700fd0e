import type { ObjectId } from "mongodb";
import type { Claims } from "./token.ts";

export type SessionFailure =
  | "credentials_incorrect"
  | "token_missing"
  | "token_invalid"
  | "revocations_unknown"
  | "operator_key_missing"
  | "operator_key_invalid";

/** Who acts: an admin, for one organization, both by id, and what the token says that shows it. */
export type Actor = { adminId: ObjectId; organizationId: ObjectId; claims: Claims };

/** Whether a request may change anything: when it isn't known which tokens were ended, only some that don't go on. */
export type Intent = "read" | "write";
