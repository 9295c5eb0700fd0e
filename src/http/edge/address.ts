import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { groupsOf, normalizeAddress, printGroups } from "../../lib/net/address.ts";
import { createNetworks } from "../../lib/net/cidr.ts";
import type { Caller } from "../../session/session.ts";
import type { Env } from "./context.ts";

/** What limits count by: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has at the least. */
export const limitedAs = (address: string): string =>
  address.includes(":") ? `${printGroups(groupsOf(address).slice(0, 4))}::/64` : address;

/** The /48 of an IPv6 address, as much as one customer of a provider may have at the most; null of IPv4. */
export const networkOf = (address: string): string | null =>
  address.includes(":") ? `${printGroups(groupsOf(address).slice(0, 3))}::/48` : null;

/** The addresses that one caller may easily have many of: the /48 of an IPv6 address, the /24 of an IPv4 one. */
export const neighbourhoodOf = (address: string): string => networkOf(address) ?? address.replace(/\.\d+$/, ".0/24");

/** Who is believed about callers: so many proxies in a row, or all in these networks (as `parseCidr` gives them). */
export type TrustedProxies = number | readonly string[];

type Connection = { requestIP?: (request: Request) => { address: string } | null };

const entriesOf = (header: string | undefined): string[] =>
  header === undefined ? [] : header.split(",").map((entry) => entry.trim());

/**
 * How many proxies that we trust a request came through. Each appends to X-Forwarded-For what it saw, so that is read from the
 * right; with networks it begins with the one at the other end of our socket.
 */
function createCountHops(trusted: TrustedProxies): (socket: string, forwardedFor: string[]) => number {
  if (typeof trusted === "number") return () => trusted;
  const isTrusted = createNetworks(trusted);
  return (socket, forwardedFor) => {
    if (!isTrusted(socket)) return 0;
    const caller = forwardedFor.findLastIndex((entry) => !isTrusted(normalizeAddress(entry) ?? ""));
    return Math.max(1, forwardedFor.length - Math.max(0, caller));
  };
}

/** What is known of the caller when a request arrives: an address, normalized, or `unknown`; null where nobody says. */
export type Arrival = { address: string; usedHttps: boolean | null };

/**
 * Leaves in `arrival` where a request comes from: what the outermost proxy that we trust says, else the socket's other end.
 * Bun knows the socket of the request that it gave, and of no copy.
 */
export function noteArrival(trusted: TrustedProxies) {
  const countHops = createCountHops(trusted);
  return createMiddleware<Env>(async function noteArrival(c, next) {
    const socket =
      normalizeAddress((c.env as Connection | undefined)?.requestIP?.(c.req.raw)?.address ?? "") ?? "unknown";
    const forwardedFor = entriesOf(c.req.header("x-forwarded-for"));
    const hops = countHops(socket, forwardedFor);
    // Of fewer entries than proxies the caller has made one up, or a proxy was left out: then none is believed.
    const told = hops > 0 ? forwardedFor.at(-hops) : undefined;
    // The scheme is often handed on as the outermost proxy wrote it, and not appended to.
    const schemes = hops > 0 ? entriesOf(c.req.header("x-forwarded-proto")) : [];
    const scheme = (schemes.at(-hops) ?? schemes[0])?.toLowerCase();
    c.set("arrival", {
      address: normalizeAddress(told ?? "") ?? socket,
      usedHttps: scheme === "https" ? true : scheme === "http" ? false : null,
    });
    await next();
  });
}

/** Where a request comes from and what sent it, as a session keeps it. */
export const callerOf = (c: Context<Env>): Caller => ({
  address: c.get("arrival").address,
  userAgent: c.req.header("user-agent") ?? "",
});
