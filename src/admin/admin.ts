import { domainToASCII, domainToUnicode } from "node:url";
import type { ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";

export type AdminFailure = "email_taken" | "passwords_busy" | "admin_not_found";

export const adminNotFound = () => failure<AdminFailure>("admin_not_found", "There is no such admin.");

/** `admin_users` as the first Croupier wrote it (`organization_id` is a hex string), and `email_keys`. */
export type AdminDocument = {
  _id: ObjectId;
  email: string;
  /**
   * What the admin is found by: the forms of the email, and while an update is under way those of the new one too. A unique
   * index on it makes emails unique, however they are spelled.
   */
  email_keys: string[];
  /** bcrypt, `$2b$`. */
  password: string;
  organization_id: string;
  organization_name: string;
  /**
   * Which of the admin's access tokens hold: those of this generation or a later one, and one more that goes on, the one that
   * changed the password. In one record with the password, so that they change in one write. `kept_session` is the session of
   * that token, which may be renewed; `by` is the operation that changed it last. Since the generation `recovered` the password
   * is one of a recovery, and what a token of before had asked for changes nothing more. Missing is generation 0.
   */
  tokens?: {
    generation: number;
    kept: string | null;
    kept_session?: string | null;
    by?: ObjectId;
    recovered?: number;
  };
  /** The hash of the token by which a lost password may be replaced, and until when. */
  recovery?: { hash: string; expires_at: Date };
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

/** Whether a password was recovered since tokens of this generation were given out. */
export const wasRecoveredSince = ({ tokens }: Pick<AdminDocument, "tokens">, gen: number): boolean =>
  (tokens?.recovered ?? 0) > gen;

/** Whether a session of the admin may still be renewed: its generation is that of the sign-in or of the last renewal. */
export const sessionHolds = (
  admin: Pick<AdminDocument, "organization_id" | "tokens">,
  session: { _id: string; organization_id: ObjectId; gen: number },
): boolean =>
  admin.organization_id === session.organization_id.toHexString() &&
  (session.gen >= (admin.tokens?.generation ?? 0) || session._id === admin.tokens?.kept_session);

/**
 * The form in which two emails are compared: the name before the @ folded, the domain in ASCII, as a name with other letters
 * and its `xn--…` are one domain (UTS 46).
 */
export function emailKey(email: string): string {
  const [name, domain] = partsOf(email);
  return `${foldCase(name)}@${asciiDomain(domain)}`;
}

/**
 * All that an admin of this email holds, the best first: what it is compared by, what an earlier version compared it by, and
 * the same with a readable domain, by which that version may have stored it. So neither meets a namesake of before.
 */
export function emailKeys(email: string): [string, ...string[]] {
  const key = emailKey(email);
  const at = key.lastIndexOf("@");
  const readable = domainToUnicode(key.slice(at + 1));
  const others = [email.normalize("NFC").toLowerCase(), ...(readable ? [`${key.slice(0, at)}@${readable}`] : [])];
  return [key, ...new Set(others.filter((other) => other !== key))];
}

const partsOf = (email: string): [name: string, domain: string] => {
  const at = email.lastIndexOf("@");
  return [email.slice(0, at), email.slice(at + 1)];
};

/** What isn't a domain stays as it is, in lower case. */
function asciiDomain(domain: string): string {
  const lower = domain.normalize("NFC").toLowerCase();
  return /^(?!.*xn--)[\0-\x7f]*$/.test(lower) ? lower : domainToASCII(lower) || lower;
}

/**
 * Without regard to case, whatever form the text came in (Unicode, 3.13, "canonical caseless matching", with simple folding):
 * letter by letter, as JavaScript ends a word with another sigma, and decomposed, as not every composed letter has a capital.
 */
const foldCase = (text: string): string =>
  text
    .normalize("NFD")
    .replace(/[^\0-\x7f]/gu, foldLetter)
    .toLowerCase()
    .normalize("NFC");

function foldLetter(letter: string): string {
  const capital = letter.toUpperCase();
  // Dotless i is a letter of its own, though its capital is I.
  return ([...capital].length === 1 && letter !== "ı" ? capital : letter).toLowerCase();
}

/** The form in which an email is kept: as typed, but for the domain, whose case has no meaning (RFC 5321, 2.4). */
export function normalizeEmail(email: string): string {
  const at = email.lastIndexOf("@");
  return (email.slice(0, at) + email.slice(at).toLowerCase()).normalize("NFC");
}
