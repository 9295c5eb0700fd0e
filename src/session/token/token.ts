import { createHmac, randomUUID } from "node:crypto";
import { decode, sign, verify } from "hono/jwt";
import { LRUCache } from "lru-cache";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { type Keys, readKeys, type SigningJwk } from "./keys.ts";

/** What an access token says (RFC 7519); times in seconds since 1970. */
const claimsSchema = z.object({
  admin_id: z.string().regex(/^[0-9a-f]{24}$/),
  organization_id: z.string().regex(/^[0-9a-f]{24}$/),
  iat: z.number(),
  exp: z.number(),
  iss: z.string(),
  aud: z.string(),
  jti: z.string().min(1),
  nbf: z.number().exactOptional(),
  /** The session that it is of; tokens of before there were sessions are of none. */
  sid: z.string().min(1).exactOptional(),
  /** The generation of the admin's tokens that it is of; tokens of before there were any are of 0. */
  gen: z.int().min(0).default(0),
});
export type Claims = z.infer<typeof claimsSchema>;

export type TokenIssuer = {
  /** @returns a signed token, of this time if not of another, and how many seconds it lives */
  issue(
    whose: Pick<Claims, "admin_id" | "organization_id" | "gen" | "sid">,
    at?: Date,
  ): Promise<{ token: string; expiresInSeconds: number }>;
  /**
   * @param remember whether the next time this process knows it
   * @returns what the token says; "expired" when only its time is over; null when it is not one of ours or altered
   */
  read(token: string, remember?: boolean): Promise<Claims | "expired" | null>;
  /** Whether this process has found it right before. */
  knows(token: string): boolean;
  /** The public keys for whoever verifies tokens elsewhere (RFC 7517); empty with a shared secret. */
  publicKeys(): SigningJwk[];
  /**
   * A keyed hash, the same in every process with the same keys: for what is stored and shall not be read by whoever reads the
   * store. In base64url; another one when the keys change.
   */
  keyedHash(text: string): string;
  /** Reads the keys again. @throws Error when they can't be used: then the ones before stay */
  reload(): Promise<void>;
};

/** How many tokens a process knows to be right without checking them again. */
const verifiedMax = 10_000;
/** A token is spelled in one way (RFC 7515, 2): padding and spare bits, which decoders read over, would make it another. */
const isCanonical = (token: string): boolean =>
  token.split(".").every((part) => Buffer.from(part, "base64url").toString("base64url") === part);

/** The keys that a token may be signed with: the one that it names, or each when it is from before keys had names. */
function candidatesOf(keys: Keys, token: string): CryptoKey[] {
  const { kid } = decode(token).header as { kid?: unknown };
  if (kid === undefined) return [...keys.verifying.values()];
  const key = typeof kid === "string" ? keys.verifying.get(kid) : undefined;
  return key ? [key] : [];
}

/** From the secret part of the key that signs, and of no use for tokens (RFC 5869's reason: a key for each purpose). */
const hashKeyOf = ({ signing }: Keys): Buffer =>
  createHmac("sha256", signing.k ?? signing.d ?? "")
    .update("croupier keyed hash")
    .digest();

/** @throws Error when a key can't be read */
export async function createTokenIssuer(jwt: Config["jwt"], now: () => Date): Promise<TokenIssuer> {
  const { algorithm, issuer, audience, leewaySeconds } = jwt;
  let keys = await readKeys(jwt);
  let hashKey = hashKeyOf(keys);
  // A signature that was right stays so as long as its key is one; only the time has to be looked at again.
  const verified = new LRUCache<string, Claims>({ max: verifiedMax });

  /** RFC 7519, 4.1.4 to 4.1.6; clocks of those who sign and those who verify may differ by the leeway. */
  const inTime = (claims: Claims): Claims | "expired" | null => {
    const { exp, iat, nbf = iat } = claims;
    const seconds = now().getTime() / 1000;
    if (Math.max(iat, nbf) - leewaySeconds > seconds) return null;
    return exp + leewaySeconds > seconds ? claims : "expired";
  };
  const wanted = { alg: algorithm, iss: issuer, aud: audience, exp: false, nbf: false, iat: false };

  /** The algorithm is ours to say, never the token's (RFC 8725, 3.1); a claim that is missing is refused by the schema. */
  const check = async (token: string, key: CryptoKey): Promise<Claims | null> => {
    try {
      return claimsSchema.parse(await verify(token, key as never, wanted));
    } catch {
      return null;
    }
  };
  const verifyWith = async (used: Keys, token: string): Promise<Claims | null> => {
    for (const key of candidatesOf(used, token)) {
      const claims = await check(token, key);
      if (claims) return claims;
    }
    return null;
  };

  async function read(token: string, remember = true): Promise<Claims | "expired" | null> {
    const known = verified.get(token);
    if (known) return inTime(known);
    if (!isCanonical(token)) return null;
    const used = keys;
    const claims = await verifyWith(used, token).catch(() => null);
    // The keys were changed meanwhile: its own may be gone.
    if (used !== keys) return read(token, remember);
    const timely = claims && inTime(claims);
    if (claims && timely === claims && remember) verified.set(token, claims);
    return timely;
  }

  return {
    async issue(whose, at = now()) {
      const expiresInSeconds = jwt.lifeMinutes * 60;
      const iat = Math.floor(at.getTime() / 1000);
      const claims: Claims = {
        ...whose,
        iat,
        exp: iat + expiresInSeconds,
        iss: issuer,
        aud: audience,
        jti: randomUUID(),
      };
      return { token: await sign(claims, keys.signing as never, algorithm), expiresInSeconds };
    },
    read,
    knows: (token) => verified.has(token),
    publicKeys: () => keys.published,
    keyedHash: (text) => createHmac("sha256", hashKey).update(text).digest("base64url"),
    async reload() {
      keys = await readKeys(jwt);
      hashKey = hashKeyOf(keys);
      verified.clear();
    },
  };
}
