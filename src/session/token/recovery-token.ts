import { createHash, randomBytes } from "node:crypto";

/** So that one that got into a log or a mail can be told for what it is. */
const prefix = "crv_";
/** 256 bits: they can't be guessed, so a slow hash would add nothing (OWASP ASVS 5.0, 11.4). */
const secretBytes = 32;
const pattern = new RegExp(`^${prefix}[A-Za-z0-9_-]{43}$`);

export const makeRecoveryToken = (): string => prefix + randomBytes(secretBytes).toString("base64url");

/** As it is stored; null when the text is none. */
export const hashRecoveryToken = (token: string): string | null =>
  pattern.test(token) ? createHash("sha256").update(token).digest("base64url") : null;
