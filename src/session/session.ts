import type { ObjectId } from "mongodb";
import type { AdminDocument } from "../admin/admin.ts";
import type { Config } from "../config.ts";
import { type About, type Failure, failure } from "../lib/failure.ts";
import { allowsAddress, type OrganizationDocument } from "../organization/organization.ts";
import type { Claims } from "./token/token.ts";

export type SessionFailure =
  | "credentials_incorrect"
  | "organization_suspended"
  | "address_not_allowed"
  | "token_missing"
  | "token_invalid"
  | "refresh_token_invalid"
  | "refresh_token_reused"
  | "refresh_in_progress"
  | "recovery_token_invalid"
  | "current_password_required"
  | "current_password_incorrect"
  | "session_not_found"
  | "revocations_unknown";

/** Why a token that was one of ours is none any more: for its holder to know what to do, and told only of one rightly signed. */
export const tokenReasons = ["expired", "ended"] as const;
export type TokenReason = (typeof tokenReasons)[number];

/** The organization's allow-list doesn't hold the caller's address. */
export const addressNotAllowed = (address: string, about?: About): Failure<SessionFailure> =>
  failure(
    "address_not_allowed",
    `The organization's allow-list doesn't include your address (${address}).`,
    about && { about },
  );

export const organizationSuspended = (about?: About): Failure<SessionFailure> =>
  failure(
    "organization_suspended",
    "The organization is suspended; contact the operator of the service.",
    about && { about },
  );

/** Why somebody is refused who has shown a secret of the organization's admin; told to nobody else. */
export function whyRefused(
  organization: OrganizationDocument,
  { address }: Caller,
  about?: About,
): Failure<SessionFailure> | null {
  if (organization.status === "suspended") return organizationSuspended(about);
  return allowsAddress(organization, () => address) ? null : addressNotAllowed(address, about);
}

/** Who acts: an admin, for one organization, both by id, and what the token says that shows it. */
export type Actor = { adminId: ObjectId; organizationId: ObjectId; claims: Claims };

/** Who acts, and what was read of them to know that they may. */
export type SignedIn = { actor: Actor; admin: AdminDocument; organization: OrganizationDocument };

/** Whether a request may change anything: when it isn't known which tokens were ended, only some that don't go on. */
export type Intent = "read" | "write";

/** Where a request comes from, as the session's owner recognizes it by. */
export type Caller = { address: string; userAgent: string };

/** A place where an admin is signed in, from one sign-in on: one refresh token at a time, and access tokens. */
export type SessionDocument = {
  /** The `sid` of its access tokens (OpenID Connect Front-Channel Logout 1.0, 3), a UUID; not secret. */
  _id: string;
  admin_id: ObjectId;
  organization_id: ObjectId;
  /** The generation of the admin's tokens (`admin/admin.ts`) that it was last renewed in. */
  gen: number;
  /** Of the one refresh token that may be used, and of what all of the session's have in common. */
  token_hash: string;
  family_hash: string;
  /** Of those that it has put in the place of others of late, and when, by the database's clock. */
  used_up?: { hash: string; at: Date }[];
  created_at: Date;
  /** When it was begun or renewed last; requests with an access token don't show here. */
  last_used_at: Date;
  address: string;
  user_agent: string;
  /** Until when the refresh token may be used. */
  refresh_until: Date;
  /** When the last of its access tokens ends by itself. */
  access_until: Date;
  /** When neither can be used any more: then this is removed. */
  expires_at: Date;
  /** It was ended, and what follows from it may not be done yet. */
  ended_at?: Date;
};

/** What the API shows of a session; times are RFC 3339. */
export type SessionView = {
  id: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  address: string;
  user_agent: string;
  current: boolean;
};

/** An admin has no more: beyond it, the one that was used least lately is ended. */
export const sessionsMax = 200;

const dayMs = 86_400_000;
const userAgentCharactersMax = 200;

/** Text from a stranger that somebody will read: one line, nothing that isn't seen. */
export const cleanUserAgent = (text: string): string =>
  [...text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim()].slice(0, userAgentCharactersMax).join("");

/** How long a session holds that is begun or renewed now. */
export function lifeOf(
  config: Pick<Config, "jwt" | "sessions">,
  createdAt: Date,
  now: Date,
): Pick<SessionDocument, "refresh_until" | "access_until" | "expires_at"> {
  const { refreshDays, sessionDays } = config.sessions;
  const refreshMs = Math.min(now.getTime() + refreshDays * dayMs, createdAt.getTime() + sessionDays * dayMs);
  const accessMs = now.getTime() + config.jwt.lifeMinutes * 60_000;
  return {
    refresh_until: new Date(refreshMs),
    access_until: new Date(accessMs),
    expires_at: new Date(Math.max(refreshMs, accessMs)),
  };
}

export const viewSession = (session: SessionDocument, currentId: string | undefined): SessionView => ({
  id: session._id,
  created_at: session.created_at.toISOString(),
  last_used_at: session.last_used_at.toISOString(),
  expires_at: session.expires_at.toISOString(),
  address: session.address,
  user_agent: session.user_agent,
  current: session._id === currentId,
});
