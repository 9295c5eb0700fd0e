import { isIP } from "node:net";

/** The eight groups of an IPv6 address that `isIP` found right. */
export function groupsOf(address: string): number[] {
  // The last 32 bits may be written as IPv4 (RFC 4291, 2.2.3).
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(":"),
  );
  const [head = "", tail] = plain.split("::");
  const read = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [first, last] = [read(head), read(tail ?? "")];
  return [...first, ...Array(8 - first.length - last.length).fill(0), ...last];
}

export const printGroups = (groups: number[]): string => groups.map((group) => group.toString(16)).join(":");

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
  return printGroups(groups);
}

/** Where a service that listens on HOST and PORT is asked from the same machine; one that listens everywhere on loopback. */
export function urlToAsk({ HOST, PORT }: Record<string, string | undefined>): string {
  const host = HOST?.replace(/^\[(.*)\]$/, "$1") || "127.0.0.1";
  const groups = isIP(host) === 6 ? groupsOf(host.toLowerCase()) : null;
  const one = host === "0.0.0.0" ? "127.0.0.1" : groups?.every((group) => group === 0) ? "::1" : host;
  return `http://${isIP(one) === 6 ? `[${one}]` : one}:${PORT || 8000}`;
}
