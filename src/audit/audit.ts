import { randomUUID } from "node:crypto";
import type { ObjectId } from "mongodb";
import { scrub } from "../lib/scrub.ts";

export type AuditFailure = "audit_unavailable";

/** Every act that is recorded: a kind, and what was done. */
export const acts = [
  "session.sign_in",
  "session.sign_out",
  "session.sign_out_everywhere",
  "session.end",
  "session.refresh_reuse",
  "recovery.create",
  "recovery.use",
  "organization.create",
  "organization.rename",
  "organization.delete",
  "organization.suspend",
  "organization.reactivate",
  "organization.revoke_tokens",
  "organization.allow_list",
  "admin.email",
  "admin.password",
  "move.start",
  "move.cancel",
  "move.resume",
  "move.end",
  "index.create",
  "index.drop",
  "key.create",
  "key.revoke",
  "access.refused",
] as const;
export type Act = (typeof acts)[number];

/** What comes before the dot of an act. */
export const kindOf = (act: Act): string => act.slice(0, act.indexOf("."));
export const actKinds = [...new Set(acts.map(kindOf))];

/** `unknown`: the process died, or the database went away, in the middle: it may have happened. */
export const outcomes = ["success", "failure", "refused", "unknown"] as const;
export type Outcome = (typeof outcomes)[number];

export const whoKinds = ["admin", "operator", "anonymous", "system"] as const;
/** Ids only: an admin's, or that of an operator's key. */
export type Who = { kind: (typeof whoKinds)[number]; id: string | null };

/** Who asks, and by which request from where; the service itself asks by none. */
export type Origin = { who: Who; address: string | null; request_id: string | null };
const ownOrigin: Origin = { who: { kind: "system", id: null }, address: null, request_id: null };

/** Somebody at the command line of the server. */
export const commandLine: Origin = { who: { kind: "operator", id: null }, address: null, request_id: null };

/** A few small facts. Never a secret and never an email; what looks like one is taken out. */
export type Details = Record<string, string | number | boolean>;

/** What is to be recorded. */
export type NewEntry = {
  act: Act;
  /** Null: it concerns no organization that there is, or all. */
  organizationId: ObjectId | null;
  details?: Details;
  /** Other than whoever the request says. */
  who?: Who;
  /** Names the act: however often it is recorded under this id, it is there once. */
  actId?: string;
  /** When it happened, if that isn't now. */
  at?: Date;
};

/** An entry that has no place in its chain yet. */
export type Entry = {
  act_id: string;
  /** The organization's id, or `platform` for what belongs to none. */
  chain: string;
  at: Date;
  act: Act;
  outcome: Outcome;
  who: Who;
  address: string | null;
  request_id: string | null;
  details: Details;
};

export const platformChain = "platform";
const chainOf = (organizationId: ObjectId | null): string => organizationId?.toHexString() ?? platformChain;

const textMax = 200;
/** Lists that the service spells itself, by the name of the detail: all of 100 networks is seen, the last one too. */
const listMax = 100 * "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128 ".length;
const lists = new Set(["networks", "allow", "scopes"]);
const detailsMax = 12;

/** Text that a stranger may have written, as it is recorded: one line of what can be seen, no longer than this. */
const bounded = (text: string, max = textMax): string =>
  scrub(
    text
      .slice(0, max * 2)
      .toWellFormed()
      .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd"),
  ).slice(0, max);

const boundedDetails = (details: Details): Details =>
  Object.fromEntries(
    Object.entries(details)
      .slice(0, detailsMax)
      .map(([name, value]) => [
        name,
        typeof value === "string" ? bounded(value, lists.has(name) ? listMax : textMax).toWellFormed() : value,
      ]),
  );

/** An entry of what happens now, or happened, by the request that `deps` is for. */
export function entryOf(
  { now, origin = ownOrigin }: { now: () => Date; origin?: Origin },
  { act, organizationId, details = {}, who = origin.who, actId, at }: NewEntry,
  outcome: Outcome,
): Entry {
  return {
    act_id: actId ?? randomUUID(),
    chain: chainOf(organizationId),
    at: at ?? now(),
    act,
    outcome,
    who,
    address: origin.address === null ? null : bounded(origin.address),
    request_id: origin.request_id === null ? null : bounded(origin.request_id),
    details: boundedDetails(details),
  };
}
