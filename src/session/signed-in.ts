import type { SignedIn } from "./session.ts";

export type SignedInAs = {
  admin_id: string;
  organization_id: string;
  organization_name: string;
  email: string;
  /** Of the token, RFC 3339. */
  expires_at: string;
};

/** Says whose token it is. */
export const viewSignedIn = ({ actor: { claims }, admin, organization }: SignedIn): SignedInAs => ({
  admin_id: claims.admin_id,
  organization_id: claims.organization_id,
  organization_name: organization.organization_name,
  email: admin.email,
  expires_at: new Date(claims.exp * 1000).toISOString(),
});
