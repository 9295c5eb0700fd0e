import type { AdminFailure } from "../admin/admin.ts";
import type { OperationFailure } from "../operation/drive.ts";
import type { OrganizationFailure } from "../organization/organization.ts";

export { organizationMissing } from "../organization/organization.ts";

type Failed = { code: AdminFailure | OperationFailure | OrganizationFailure; detail: string };

// "already exists" is what clients of the first Croupier look for.
export const nameTaken: Failed = {
  code: "organization_name_taken",
  detail: "An organization with this name already exists.",
};
export const emailTaken: Failed = { code: "email_taken", detail: "An admin with this email already exists." };
export const interrupted: Failed = {
  code: "operation_pending",
  detail: "The request was interrupted and undone; send it again.",
};
