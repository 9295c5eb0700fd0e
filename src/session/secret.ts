/** Secrets that stand in tutorials and in the first Croupier's examples; compared without regard to case. */
const wellKnownSecrets =
  /^(?:your[-_ ]|change[-_ ]?(?:me|this)|(?:my[-_ ]?)?(?:super[-_ ]?)?secret|example|default|test|(.)\1+$)/i;
const secretBytesMin = 32;

/** The secrets of a list: the first signs, all verify. None of them holds a comma or white space at its ends. */
export const splitSecrets = (list: string, separator: RegExp): string[] =>
  list
    .split(separator)
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");

function secretProblem(secret: string): string | null {
  if (Buffer.byteLength(secret) < secretBytesMin) return `is shorter than ${secretBytesMin} bytes`;
  if (wellKnownSecrets.test(secret)) return "is one that everybody knows; make one with: openssl rand -base64 48";
  // A public key is no secret, and a private one has a setting of its own.
  if (secret.startsWith("-----")) return "is a key in PEM: those are named by JWT_PRIVATE_KEY_FILES";
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
