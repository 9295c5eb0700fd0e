import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "../../config.ts";
import { secretsProblem, splitSecrets } from "./secret.ts";

export type JwtAlgorithm = "HS256" | "HS384" | "HS512" | "RS256" | "ES256" | "EdDSA";
export type SigningJwk = JsonWebKey & { alg: string; kid: string };

/** What tokens are signed and verified with; all of one algorithm. */
export type Keys = {
  /** The first one, with its `kid` for the header. */
  signing: SigningJwk;
  /** By `kid`, in the order of the settings. Imported once: given anything else, hono/jwt would import it for every token. */
  verifying: Map<string, CryptoKey>;
  /** What others may verify with (RFC 7517): the public halves, nothing of a shared secret. */
  published: SigningJwk[];
};

type Read = { signing: SigningJwk; verifying: CryptoKey; published?: SigningJwk };

const digest = (text: string) => createHash("sha256").update(text).digest("base64url");
/** RSA keys that are shorter are not to be used (RFC 7518, 3.3). */
const rsaBitsMin = 2048;

const imports = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
};

/** A `kid` tells nothing of a secret that a token signed with it doesn't tell. */
async function fromSecret(secret: string, alg: "HS256" | "HS384" | "HS512"): Promise<Read> {
  const bytes = new TextEncoder().encode(secret);
  const kid = digest(`croupier/kid/${secret}`).slice(0, 16);
  const algorithm = { name: "HMAC", hash: `SHA-${alg.slice(2)}` };
  return {
    signing: { kty: "oct", k: Buffer.from(bytes).toString("base64url"), alg, kid },
    verifying: await crypto.subtle.importKey("raw", bytes, algorithm, false, ["verify"]),
  };
}

const fits = (key: KeyObject, alg: keyof typeof imports): boolean => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (alg === "RS256") return type === "rsa" && (details?.modulusLength ?? 0) >= rsaBitsMin;
  if (alg === "ES256") return type === "ec" && key.export({ format: "jwk" }).crv === "P-256";
  return type === "ed25519";
};
const wanted = { RS256: `an RSA key of ${rsaBitsMin} bits or more`, ES256: "a key on P-256", EdDSA: "an Ed25519 key" };

/** RFC 7638: the members that make the key, in the order of the alphabet. */
const thumbprint = ({ crv, e, kty, n, x, y }: JsonWebKey) => digest(JSON.stringify({ crv, e, kty, n, x, y }));

async function fromFile(file: string, alg: keyof typeof imports): Promise<Read> {
  const pem = await readFile(file, "utf8").catch(() => null);
  if (pem === null) throw new Error(`JWT_PRIVATE_KEY_FILES: ${file} can't be read`);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new Error(`JWT_PRIVATE_KEY_FILES: ${file} must contain a private key in PEM format without a passphrase`);
  }
  if (!fits(key, alg)) throw new Error(`JWT_PRIVATE_KEY_FILES: ${file} must contain a key for ${alg}: ${wanted[alg]}`);
  const open = createPublicKey(key).export({ format: "jwk" });
  const kid = thumbprint(open);
  return {
    signing: { ...key.export({ format: "jwk" }), alg, kid },
    verifying: await crypto.subtle.importKey("jwk", open as never, imports[alg], false, ["verify"]),
    published: { ...open, alg, kid, use: "sig" },
  };
}

async function readSecrets({ secrets, secretFile }: Config["jwt"]): Promise<string[]> {
  if (secretFile === null) return secrets;
  const text = await readFile(secretFile, "utf8").catch(() => null);
  if (text === null) throw new Error(`JWT_SECRET_KEY_FILE: ${secretFile} can't be read`);
  const found = splitSecrets(text, /\r?\n/);
  const problem = secretsProblem(found);
  if (problem) throw new Error(`JWT_SECRET_KEY_FILE: ${secretFile} ${problem}`);
  return found;
}

/**
 * Reads the keys that the settings name, from their files where they are in files: again at each call.
 *
 * @throws Error that says which setting is wrong and shows no key
 */
export async function readKeys(jwt: Config["jwt"]): Promise<Keys> {
  const { algorithm: alg } = jwt;
  const read =
    alg === "HS256" || alg === "HS384" || alg === "HS512"
      ? await Promise.all((await readSecrets(jwt)).map((secret) => fromSecret(secret, alg)))
      : await Promise.all(jwt.privateKeyFiles.map((file) => fromFile(file, alg)));
  const [first] = read;
  if (!first) throw new Error("There is no key to sign tokens with");
  return {
    signing: first.signing,
    verifying: new Map(read.map(({ signing, verifying }) => [signing.kid, verifying])),
    published: read.flatMap(({ published }) => published ?? []),
  };
}
