import { isFailure } from "./failure.ts";
import { isUnauthorized } from "./mongo/mongo.ts";

// An email may hold quotes, braces and slashes: rather too much is taken out than too little.
/** Takes emails and credentials of connection strings out of a text that goes to a log: drivers quote what they were given. */
export const scrub = (text: string): string =>
  text
    .replace(/\/\/[^\s/@]+@/g, "//***@")
    // Word by word: looking for the @ from each of its characters costs the square of a word's length.
    .replace(/[^\s"<>(),:]+/g, (word) => (word.includes("@") ? "***@***" : word));

/** Errors of a connection: their texts name addresses, and nothing that was sent. */
const ofConnection =
  /^(TimeoutError|AbortError|PoolClearedOnNetworkError|Mongo(Network|ServerSelection|Topology|Pool|WaitQueue|NotConnected|ClientClosed|Operation|MissingCredentials|ConnectionPool)\w*)$/;

/** What the code itself says may be read: no text of a parser or of the database's server, which quote what they were given. */
const mayBeRead = (error: Error): boolean =>
  ofConnection.test(error.name) ||
  (/^(Error|TypeError|RangeError|ReferenceError)$/.test(error.name) &&
    !("errorResponse" in error) &&
    !("issues" in error));

/** The name of an error and what kind of one it is, as the server numbers and names them. */
const kindOf = (error: Error): string => {
  const { code, codeName } = error as { code?: unknown; codeName?: unknown };
  return [error.name, code, codeName].filter((each) => typeof each === "string" || typeof each === "number").join(" ");
};

/** MongoDB, MongoDB without a user, Atlas: the command or the right, and the database. The first goes on with all of the command. */
const refusals = [
  /not authorized on (?<database>\S+) to execute command \{ (?<act>\w+):/,
  /command (?<act>\w+) requires authentication/i,
  /not allowed to do action \[(?<act>\w+)\] on \[(?<database>[^.\]]*)/,
];

/** Which right the database's user lacks, without what it was to be used for. */
function lackOf({ message }: Error): string {
  const { act, database } = refusals.map((pattern) => pattern.exec(message)?.groups).find(Boolean) ?? {};
  if (!act) return "the database user lacks a right, or could not be authenticated";
  return `the database user may not run ${act}${database ? ` on ${database}` : ""}`;
}

/** What went wrong, for logs and records: without anything of a document, an email or a secret. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "a value that isn't an error was thrown";
  if (isUnauthorized(error)) return lackOf(error);
  if (isFailure(error) && error.forOperators !== undefined) return scrub(error.forOperators);
  return mayBeRead(error) ? scrub(error.message) : kindOf(error);
}

/** Where an error comes from: its stack without its text, which stands at the beginning. */
export function placesOf({ name, message, stack = "" }: Error): string {
  const head = `${name}: ${message}`;
  const lines = (stack.startsWith(head) ? stack.slice(head.length) : stack).split("\n");
  return lines.filter((line) => /^\s+at .*[:(]/.test(line)).join("\n");
}
