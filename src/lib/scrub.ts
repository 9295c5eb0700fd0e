import { isUnauthorized } from "./mongo.ts";

// An email may hold quotes, braces and slashes: rather too much is taken out than too little.
/** Takes emails and credentials of connection strings out of a text that goes to a log: drivers quote what they were given. */
export const scrub = (text: string): string =>
  text.replace(/\/\/[^\s/@]+@/g, "//***@").replace(/[^\s"<>(),:]*@[^\s"<>(),:]*/g, "***@***");

/** MongoDB, MongoDB without a user, Atlas: the command or the right, and the database. The first goes on with all of the command. */
const refusals = [
  /not authorized on (?<database>\S+) to execute command \{ (?<act>\w+):/,
  /command (?<act>\w+) requires authentication/i,
  /not allowed to do action \[(?<act>\w+)\] on \[(?<database>[^.\]]*)/,
];

/** What an error says, as far as it may be shown: a refusal for want of a right quotes documents and filters. */
export function tell(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!isUnauthorized(error)) return scrub(message);
  const { act, database } = refusals.map((pattern) => pattern.exec(message)?.groups).find(Boolean) ?? {};
  if (!act) return "the database's user lacks a right, or isn't who it says";
  return `the database's user may not run ${act}${database ? ` on ${database}` : ""}`;
}
