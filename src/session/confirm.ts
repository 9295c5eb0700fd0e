import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import type { SessionFailure, SignedIn } from "./session.ts";
import * as sessionStore from "./session-store.ts";

type ConfirmDeps = Pick<Deps, "db" | "now" | "passwords" | "asksPassword">;

/** So long after a sign-in it is taken for granted that who sends its tokens is who knew the password. */
const freshMs = 5 * 60_000;

/**
 * Makes sure that who asks for something knows the admin's password, and hasn't just come by a token. A password that is given
 * has to be right, also where none has to be.
 *
 * @param isDue whether what is asked for needs it
 * @throws Failure `current_password_required`, `current_password_incorrect`, `passwords_busy`
 */
export async function confirm(
  deps: ConfirmDeps,
  signedIn: SignedIn,
  currentPassword: string | undefined,
  isDue: boolean,
): Promise<void> {
  if (currentPassword !== undefined) {
    if (await deps.passwords.matches(currentPassword, signedIn.admin.password)) return;
    throw failure<SessionFailure>("current_password_incorrect", "The current password is incorrect.");
  }
  if (!isDue || !(await deps.asksPassword()) || (await isFresh(deps, signedIn))) return;
  const detail = "Send your password in current_password, or sign in again and repeat the request within 5 minutes.";
  throw failure<SessionFailure>("current_password_required", detail);
}

/** Whether the session was begun of late, however often it was renewed since: it was begun with the password. */
async function isFresh({ db, now }: ConfirmDeps, { actor: { claims, adminId } }: SignedIn): Promise<boolean> {
  const session = claims.sid === undefined ? null : await sessionStore.findById(db, claims.sid, adminId);
  return session !== null && session.created_at.getTime() > now().getTime() - freshMs;
}
