import { createHash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { keyPrefix } from "./key.ts";

/** 256 bits. */
const secretBytes = 32;
/** `crp_live_`, eight digits that find it, the secret, and a checksum. */
const pattern = new RegExp(`^${keyPrefix}([0-9a-f]{8})_[0-9a-f]{${secretBytes * 2}}([0-9a-f]{8})$`);
const checksumLength = 8;

const checksum = (text: string): string => crc32(text).toString(16).padStart(checksumLength, "0");

/** Makes the text of a key. It starts so that one in a log or a repository can be told for what it is. */
export function makeKeyText(): { id: string; key: string } {
  const id = randomBytes(4).toString("hex");
  const start = `${keyPrefix}${id}_${randomBytes(secretBytes).toString("hex")}`;
  return { id, key: start + checksum(start) };
}

/** The id in the text of a key; null when it is none. The checksum keeps what is mistyped from asking the database. */
export function readKeyId(text: string): string | null {
  const [, id, sum] = pattern.exec(text) ?? [];
  return id !== undefined && checksum(text.slice(0, -checksumLength)) === sum ? id : null;
}

/**
 * What is stored of a key. One SHA-256, not bcrypt: 256 random bits can't be guessed, however fast each try is (OWASP ASVS
 * 5.0, 11.4), and a slow hash would cost every request its time.
 */
export const hashKey = (text: string): string => createHash("sha256").update(text).digest("base64url");
