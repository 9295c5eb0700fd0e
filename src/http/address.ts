import { isIP } from "node:net";
import type { Context } from "hono";

/** The eight groups of an IPv6 address that `isIP` found right. */
function groupsOf(address: string): number[] {
  // The last 32 bits may be written as IPv4 (RFC 4291, 2.2.3).
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(":"),
  );
  const [head = "", tail] = plain.split("::");
  const read = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [first, last] = [read(head), read(tail ?? "")];
  return [...first, ...Array(8 - first.length - last.length).fill(0), ...last];
}

const print = (groups: number[]): string => groups.map((group) => group.toString(16)).join(":");

/**
 * An address in its one spelling: IPv4 that came as IPv6 (`::ffff:127.0.0.1`) as IPv4, IPv6 with all groups; ports,
 * brackets and zones, which proxies and systems add, are left off. Null when it is no address.
 */
export function normalizeAddress(text: string): string | null {
  const trimmed = text.trim();
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed;
  const address = bare.replace(/%.*$/, "");
  const version = isIP(address);
  if (version === 0) return null;
  if (version === 4) return address;
  const groups = groupsOf(address.toLowerCase());
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high = 0, low = 0] = groups.slice(6);
    return [high >> 8, high & 255, low >> 8, low & 255].join(".");
  }
  return print(groups);
}

/** What limits count by: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has at the least. */
export const limitedAs = (address: string): string =>
  address.includes(":") ? `${print(groupsOf(address).slice(0, 4))}::/64` : address;

/**
 * The entry that the outermost proxy we trust wrote. Each proxy appends what it saw, so only entries counted from the
 * right can be believed; what is left of them the caller may have made up.
 */
function trustedEntry(header: string | undefined, trustedProxies: number): string | undefined {
  if (trustedProxies === 0 || header === undefined) return undefined;
  const entries = header.split(",").map((entry) => entry.trim());
  return entries[Math.max(0, entries.length - trustedProxies)];
}

type Connection = { requestIP?: (request: Request) => { address: string } | null };

/** Where a request comes from, normalized; `unknown` when it came by no socket. */
export function callerAddress(c: Context, trustedProxies: number): string {
  const told = normalizeAddress(trustedEntry(c.req.header("x-forwarded-for"), trustedProxies) ?? "");
  if (told) return told;
  const socket = (c.env as Connection | undefined)?.requestIP?.(c.req.raw)?.address;
  return normalizeAddress(socket ?? "") ?? "unknown";
}

/** Whether the caller used HTTPS, as the trusted proxy says; null when nobody says. */
export function callerUsedHttps(c: Context, trustedProxies: number): boolean | null {
  const told = trustedEntry(c.req.header("x-forwarded-proto"), trustedProxies)?.toLowerCase();
  return told === "https" ? true : told === "http" ? false : null;
}
