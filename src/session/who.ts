import type { Deps } from "../deps.ts";
import { invalidToken } from "./authenticate.ts";
import type { Actor } from "./session.ts";

export type SignedInAs = {
  admin_id: string;
  organization_id: string;
  organization_name: string;
  email: string;
  /** Of the token, RFC 3339. */
  expires_at: string;
};

/** Says whose token it is. @throws Failure `token_invalid` when they were removed meanwhile */
export async function whoIs({ lookUp }: Pick<Deps, "lookUp">, actor: Actor): Promise<SignedInAs> {
  const { adminId, organizationId, claims } = actor;
  const [admin, organization] = await Promise.all([lookUp.adminById(adminId), lookUp.organizationById(organizationId)]);
  if (!admin || !organization) throw invalidToken();
  return {
    admin_id: claims.admin_id,
    organization_id: claims.organization_id,
    organization_name: organization.organization_name,
    email: admin.email,
    expires_at: new Date(claims.exp * 1000).toISOString(),
  };
}
