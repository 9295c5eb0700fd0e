import * as z from "zod";
import { oneOf, setting, settingsOf, wholeNumber, type Given } from "../lib/settings.ts";
import { keptSecret } from "./token/kept-secret.ts";
import { secretsProblem, splitSecrets } from "./token/secret.ts";

const secretsOf = ({ JWT_SECRET_KEY = "" }: Given) => splitSecrets(JWT_SECRET_KEY, /,/);
const keyFilesOf = ({ JWT_PRIVATE_KEY_FILES = "" }: Given) => splitSecrets(JWT_PRIVATE_KEY_FILES, /,/);

export const sessionSettings = settingsOf({
  shape: {
    JWT_SECRET_KEY: setting(
      z.string().optional(),
      "at least 32 bytes and not a well-known example: `openssl rand -base64 48`. Several, separated by commas: the first signs, all verify",
    ),
    JWT_SECRET_KEY_FILE: setting(
      z.string().optional(),
      "alternative: a file with one secret per line, read again on SIGHUP",
    ),
    JWT_ALGORITHM: setting(
      oneOf("HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA").default("HS256"),
      "also `HS384`, `HS512`, and with key files `RS256`, `ES256`, `EdDSA`",
    ),
    JWT_PRIVATE_KEY_FILES: setting(
      z.string().optional(),
      "PEM files, separated by commas: the first signs, all verify; read again on SIGHUP",
    ),
    JWT_ISSUER: setting(z.string().default("croupier"), "`iss` of tokens; others are rejected"),
    JWT_AUDIENCE: setting(z.string().default("croupier"), "`aud` of tokens; others are rejected"),
    ACCESS_TOKEN_EXPIRE_MINUTES: setting(
      wholeNumber(60, 1, 525_600),
      "lifetime of an access token (also read as `JWT_ACCESS_TOKEN_EXPIRE_MINUTES`)",
    ),
    JWT_LEEWAY_SECONDS: setting(
      wholeNumber(0, 0, 300),
      "tolerated difference between the clocks of signing and verifying processes",
    ),
    REFRESH_TOKEN_EXPIRE_DAYS: setting(wholeNumber(30, 1, 3_650), "lifetime of an unused refresh token"),
    SESSION_EXPIRE_DAYS: setting(
      wholeNumber(90, 1, 3_650),
      "an admin has to sign in again after this time, however often the session was renewed",
    ),
    REFRESH_LEEWAY_SECONDS: setting(
      wholeNumber(10, 0, 60),
      "for this long after a renewal, using the same refresh token again gets 409 `refresh_in_progress` (two tabs renewing at once); later it ends the session; `0`: always ends it",
    ),
    REVOCATION_STALE_MS: setting(
      wholeNumber(5_000, 1_000, 600_000),
      "a process that couldn't read the ended tokens for this long rejects writes",
    ),
  },
  read(value, { given }) {
    const secrets = secretsOf(given);
    const needsSecret = value.JWT_ALGORITHM.startsWith("HS") && value.JWT_SECRET_KEY_FILE === undefined;
    return {
      jwt: {
        algorithm: value.JWT_ALGORITHM,
        /** Of HS256 and its like: the first signs, all verify. Missing in development only; none when they are in a file. */
        secrets: needsSecret && secrets.length === 0 ? [keptSecret()] : secrets,
        /** One secret a line. */
        secretFile: value.JWT_SECRET_KEY_FILE ?? null,
        /** Of RS256 and its like, PEM: the first signs, all verify. */
        privateKeyFiles: keyFilesOf(given),
        issuer: value.JWT_ISSUER,
        audience: value.JWT_AUDIENCE,
        lifeMinutes: value.ACCESS_TOKEN_EXPIRE_MINUTES,
        leewaySeconds: value.JWT_LEEWAY_SECONDS,
      },
      sessions: {
        refreshDays: value.REFRESH_TOKEN_EXPIRE_DAYS,
        sessionDays: value.SESSION_EXPIRE_DAYS,
        refreshLeewaySeconds: value.REFRESH_LEEWAY_SECONDS,
      },
      revocationStaleMs: value.REVOCATION_STALE_MS,
    };
  },
  problems(_value, { given, development }) {
    const problem = keysProblem(given, development);
    return problem === null ? [] : [problem];
  },
});

/** Where the keys come from has to be clear: of two sources one would be forgotten when keys are changed. */
function keysProblem(given: Given, development: boolean): string | null {
  if (/^(RS|ES|Ed)/.test(given.JWT_ALGORITHM ?? "")) {
    return keyFilesOf(given).length === 0
      ? `JWT_PRIVATE_KEY_FILES is missing: ${given.JWT_ALGORITHM} signs with a key from a PEM file`
      : null;
  }
  if (given.JWT_SECRET_KEY_FILE) {
    return given.JWT_SECRET_KEY ? "JWT_SECRET_KEY and JWT_SECRET_KEY_FILE are both set; use only one of them" : null;
  }
  const problem = secretsProblem(secretsOf(given));
  return problem && !development ? `JWT_SECRET_KEY ${problem}` : null;
}
