import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { groupsOf, normalizeAddress, printGroups } from "../lib/address.ts";
import type { Caller } from "../session/session.ts";
import type { Env } from "./context.ts";

/** What limits count by: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has at the least. */
export const limitedAs = (address: string): string =>
  address.includes(":") ? `${printGroups(groupsOf(address).slice(0, 4))}::/64` : address;

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
function addressOf(c: Context, trustedProxies: number): string {
  const told = normalizeAddress(trustedEntry(c.req.header("x-forwarded-for"), trustedProxies) ?? "");
  if (told) return told;
  const socket = (c.env as Connection | undefined)?.requestIP?.(c.req.raw)?.address;
  return normalizeAddress(socket ?? "") ?? "unknown";
}

/** Whether the caller used HTTPS, as the trusted proxy says; null when nobody says. */
function usedHttps(c: Context, trustedProxies: number): boolean | null {
  const told = trustedEntry(c.req.header("x-forwarded-proto"), trustedProxies)?.toLowerCase();
  return told === "https" ? true : told === "http" ? false : null;
}

/** What is known of the caller when a request arrives. */
export type Arrival = { address: string; usedHttps: boolean | null };

/** Leaves in `arrival` where a request comes from: Bun knows the socket of the request that it gave, and of no copy. */
export const noteArrival = (trustedProxies: number) =>
  createMiddleware<Env>(async function noteArrival(c, next) {
    c.set("arrival", { address: addressOf(c, trustedProxies), usedHttps: usedHttps(c, trustedProxies) });
    await next();
  });

/** Where a request comes from and what sent it, as a session keeps it. */
export const callerOf = (c: Context<Env>): Caller => ({
  address: c.get("arrival").address,
  userAgent: c.req.header("user-agent") ?? "",
});
