import type { ObjectId } from "mongodb";

export type SessionFailure =
  "credentials_incorrect" | "token_missing" | "token_invalid" | "operator_key_missing" | "operator_key_invalid";

/** Who acts: an admin, for one organization, both by id. */
export type Actor = { adminId: ObjectId; organizationId: ObjectId };
