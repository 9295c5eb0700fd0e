/** Secrets that stand in tutorials, those of FastAPI and jwt.io among them, and what placeholders are made of. */
const wellKnownSecrets = new Set([
  "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
  "a-string-secret-at-least-256-bits-long",
  "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
]);
const placeholder =
  /^(?:(?:your|test)[-_ ]|example|default|(?:my[-_ ]?)?(?:super[-_ ]?)?secret)|change[-_ ]?(?:me|this|it|in)|secret[-_ ]?key|password|development|production/i;
/** One piece again and again, a beginning of it at the end; digits and letters in their order. */
const isRegular = (secret: string) =>
  /^(.{1,16}?)\1+.{0,15}$/s.test(secret) || /^0123456789|abcdefghij/i.test(secret) || new Set(secret).size < 8;
const secretBytesMin = 32;

/** The secrets of a list: the first signs, all verify. None of them holds a comma or white space at its ends. */
export const splitSecrets = (list: string, separator: RegExp): string[] =>
  list
    .split(separator)
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");

function secretProblem(secret: string): string | null {
  if (Buffer.byteLength(secret) < secretBytesMin) return `is shorter than ${secretBytesMin} bytes`;
  if (wellKnownSecrets.has(secret.toLowerCase()) || placeholder.test(secret) || isRegular(secret))
    return "is a well-known example; create one with: openssl rand -base64 48";
  // A public key is no secret, and a private one has a setting of its own.
  if (secret.startsWith("-----")) return "is a key in PEM format; set JWT_PRIVATE_KEY_FILES to its file instead";
  return null;
}

/** What is wrong with the secrets that tokens are to be signed with, as the rest of a sentence; null when nothing is. */
export function secretsProblem(secrets: readonly string[]): string | null {
  if (secrets.length === 0) return "is missing; in production it has to be set (openssl rand -base64 48)";
  for (const [index, secret] of secrets.entries()) {
    const problem = secretProblem(secret);
    if (problem) return secrets.length === 1 ? problem : `${problem} (secret ${index + 1} of ${secrets.length})`;
  }
  return null;
}
