/** bcrypt reads no more; the first Croupier's library cut a longer password off there without a word. */
const passwordBytesMax = 72;
const passwordCharactersMin = 8;

const cut = (text: string): Uint8Array => new TextEncoder().encode(text).subarray(0, passwordBytesMax);

/** The bytes that are hashed: Unicode normal form C, so that one password typed on two keyboards is one password. */
export const passwordBytes = (password: string): Uint8Array => cut(password.normalize("NFC"));

/** The bytes that a typed password may stand for: the first Croupier hashed it as it came, without normalizing. */
export function passwordCandidates(password: string): Uint8Array[] {
  const normalized = password.normalize("NFC");
  return normalized === password ? [cut(normalized)] : [cut(normalized), cut(password)];
}

// Salt and digest end within a character: its spare bits have to be zero, or a check would throw.
const bcryptPattern = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]$/;

/** More are not configured: one check takes seconds. */
export const bcryptRoundsMax = 16;

/** The work factor of a bcrypt hash; null when it is none, which no password matches. */
export const bcryptRounds = (hash: string): number | null => {
  const found = bcryptPattern.exec(hash);
  return found ? Number(found[1]) : null;
};

/** What a new password has to contain. */
const passwordParts: { pattern: RegExp; name: string }[] = [
  { pattern: /\p{Lu}/u, name: "an upper-case letter" },
  { pattern: /\p{Ll}/u, name: "a lower-case letter" },
  { pattern: /\p{Nd}/u, name: "a digit" },
];

/** What is wrong with a new password; null when nothing is. */
export function passwordProblem(typed: string): string | null {
  const password = typed.normalize("NFC");
  if ([...password].length < passwordCharactersMin) return `must have ${passwordCharactersMin} or more characters`;
  if (new TextEncoder().encode(password).length > passwordBytesMax) {
    return `must have at most ${passwordBytesMax} bytes in UTF-8`;
  }
  const missing = passwordParts.find(({ pattern }) => !pattern.test(password));
  return missing ? `must contain ${missing.name}` : null;
}
