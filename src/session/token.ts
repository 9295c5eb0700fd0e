import { randomUUID } from "node:crypto";
import { sign, verify } from "hono/jwt";
import { LRUCache } from "lru-cache";
import * as z from "zod";
import type { Config } from "../config.ts";

/** What an access token says (RFC 7519); times in seconds since 1970. */
const claimsSchema = z.object({
  admin_id: z.string().regex(/^[0-9a-f]{24}$/),
  organization_id: z.string().regex(/^[0-9a-f]{24}$/),
  iat: z.number(),
  exp: z.number(),
  iss: z.string(),
  aud: z.string(),
  jti: z.string().min(1),
});
export type Claims = z.infer<typeof claimsSchema>;

export type TokenIssuer = {
  /** @returns a signed token and how many seconds it lives */
  issue(whose: Pick<Claims, "admin_id" | "organization_id">): Promise<{ token: string; expiresInSeconds: number }>;
  /** @returns what the token says, or null when it is not one of ours, altered, or too old */
  read(token: string): Promise<Claims | null>;
};

/** How many tokens a process knows to be right without checking them again. */
const verifiedMax = 10_000;
/** A token is spelled in one way (RFC 7515, 2): padding and spare bits, which decoders read over, would make it another. */
const isCanonical = (token: string): boolean =>
  token.split(".").every((part) => Buffer.from(part, "base64url").toString("base64url") === part);

export async function createTokenIssuer(jwt: Config["jwt"], now: () => Date): Promise<TokenIssuer> {
  const { algorithm, issuer, audience } = jwt;
  // Imported once: given a string, hono/jwt would import it for every token.
  const key = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(jwt.secret),
    { name: "HMAC", hash: `SHA-${algorithm.slice(2)}` },
    false,
    ["sign", "verify"],
  );
  // A signature that was right stays so; only the time has to be looked at again.
  const verified = new LRUCache<string, Claims>({ max: verifiedMax });
  return {
    async issue(whose) {
      const expiresInSeconds = jwt.lifeMinutes * 60;
      const iat = Math.floor(now().getTime() / 1000);
      const claims: Claims = {
        ...whose,
        iat,
        exp: iat + expiresInSeconds,
        iss: issuer,
        aud: audience,
        jti: randomUUID(),
      };
      return { token: await sign(claims, key, algorithm), expiresInSeconds };
    },
    async read(token) {
      const known = verified.get(token);
      if (known) return known.exp > now().getTime() / 1000 ? known : null;
      if (!isCanonical(token)) return null;
      try {
        // The algorithm is ours to say, never the token's (RFC 8725, 3.1); a claim that is missing is refused by the schema.
        const claims = claimsSchema.parse(await verify(token, key, { alg: algorithm, iss: issuer, aud: audience }));
        verified.set(token, claims);
        return claims;
      } catch {
        return null;
      }
    },
  };
}
