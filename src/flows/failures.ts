import type { AdminFailure } from "../admin/admin.ts";
import type { OperationFailure } from "../operation/drive.ts";
import type { Failed } from "../operation/operation.ts";
import type { OrganizationFailure } from "../organization/organization.ts";
import type { SessionFailure, TokenReason } from "../session/session.ts";

export { organizationMissing } from "../organization/organization.ts";

type Known = Failed & { code: AdminFailure | OperationFailure | OrganizationFailure | SessionFailure };

// "already exists" is what clients of the first Croupier look for.
export const nameTaken: Known = {
  code: "organization_name_taken",
  detail: "An organization with this name already exists.",
};
export const emailTaken: Known = { code: "email_taken", detail: "An admin with this email already exists." };
export const interrupted: Known = {
  code: "operation_pending",
  detail: "The request was interrupted and undone; send it again.",
};
/** By a recovery: whoever had the old password, or a token of before, changes nothing any more. */
export const tokenEnded: Known & { members: { reason: TokenReason } } = {
  code: "token_invalid",
  detail: "The password was recovered meanwhile, which has ended the access token; sign in again. Nothing was changed.",
  members: { reason: "ended" },
};
