import type { ObjectId } from "mongodb";

export type AdminFailure = "email_taken" | "passwords_busy";

/** `admin_users` as the first Croupier wrote it (`organization_id` is a hex string), and `email_keys`. */
export type AdminDocument = {
  _id: ObjectId;
  email: string;
  /**
   * What the admin is found by: the email in lower case, and while an update is under way the new one too. A unique index
   * on it makes emails unique without regard to case.
   */
  email_keys: string[];
  /** bcrypt, `$2b$`. */
  password: string;
  organization_id: string;
  organization_name: string;
  /**
   * Which of the admin's access tokens hold: those of this generation or a later one, and one more that goes on, the one that
   * changed the password. In one record with the password, so that they change in one write. `kept_session` is the session of
   * that token, which may be renewed; `by` is the operation that changed it last. Missing is generation 0.
   */
  tokens?: { generation: number; kept: string | null; kept_session?: string | null; by?: ObjectId };
  /** That of the organization's driver who entered last. */
  guard?: number;
  created_at: Date;
  updated_at: Date | null;
};

/**
 * Whether an admin's access token still holds. A counter, not a time: clocks of two processes differ, and a sign-in that has
 * read the old password gets the old number, however late it ends.
 */
export const holdsFor = (
  admin: Pick<AdminDocument, "organization_id" | "tokens"> | null,
  token: { organization_id: string; gen: number; jti: string },
): boolean =>
  admin?.organization_id === token.organization_id &&
  (token.gen >= (admin.tokens?.generation ?? 0) || token.jti === admin.tokens?.kept);

/** Whether a session of the admin may still be renewed: its generation is that of the sign-in or of the last renewal. */
export const sessionHolds = (
  admin: Pick<AdminDocument, "organization_id" | "tokens">,
  session: { _id: string; organization_id: ObjectId; gen: number },
): boolean =>
  admin.organization_id === session.organization_id.toHexString() &&
  (session.gen >= (admin.tokens?.generation ?? 0) || session._id === admin.tokens?.kept_session);

/** The form in which two emails are compared. */
export const emailKey = (email: string): string => email.normalize("NFC").toLowerCase();

/** The form in which an email is kept: as typed, but for the domain, whose case has no meaning (RFC 5321, 2.4). */
export function normalizeEmail(email: string): string {
  const at = email.lastIndexOf("@");
  return (email.slice(0, at) + email.slice(at).toLowerCase()).normalize("NFC");
}
