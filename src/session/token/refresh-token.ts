import { createHash, randomBytes } from "node:crypto";

/** As a session keeps it: neither is good for signing in, whoever reads the database. */
export type RefreshTokenHashes = {
  /** The same for all refresh tokens of a session, which only those who have had one of them know. */
  family: string;
  /** Of this one token. */
  token: string;
};

/** So that a token that got into a log or a repository can be told for what it is. */
const prefix = "crt_";
const familyBytes = 16;
const secretBytes = 32;
const pattern = new RegExp(`^${prefix}[A-Za-z0-9_-]{${((familyBytes + secretBytes) / 3) * 4}}$`);

const digest = (data: string | Uint8Array) => createHash("sha256").update(data).digest("base64url");

const decode = (token: string): Buffer | null =>
  pattern.test(token) ? Buffer.from(token.slice(prefix.length), "base64url") : null;

/**
 * Makes a refresh token: 128 bits that find the session and 256 random bits that let it be renewed.
 *
 * @param before one of the same session; without one it begins a session
 */
export function makeRefreshToken(before?: string): string {
  const family = (before && decode(before)?.subarray(0, familyBytes)) || randomBytes(familyBytes);
  return prefix + Buffer.concat([family, randomBytes(secretBytes)]).toString("base64url");
}

/**
 * The hashes of a refresh token; null when the text is none. A slow hash would add nothing: 256 random bits can't be
 * guessed (OWASP ASVS 5.0, 11.4).
 */
export function hashRefreshToken(token: string): RefreshTokenHashes | null {
  const bytes = decode(token);
  return bytes && { family: digest(bytes.subarray(0, familyBytes)), token: digest(token) };
}
