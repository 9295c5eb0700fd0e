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
  /** That of the organization's driver who entered last. */
  guard?: number;
  created_at: Date;
  updated_at: Date | null;
};

/** The form in which two emails are compared. */
export const emailKey = (email: string): string => email.normalize("NFC").toLowerCase();

/** The form in which an email is kept: as typed, but for the domain, whose case has no meaning (RFC 5321, 2.4). */
export function normalizeEmail(email: string): string {
  const at = email.lastIndexOf("@");
  return (email.slice(0, at) + email.slice(at).toLowerCase()).normalize("NFC");
}
