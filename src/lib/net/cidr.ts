import { BlockList, isIP } from "node:net";
import { groupsOf, normalizeAddress } from "./address.ts";

const bytesOf = (address: string): number[] =>
  address.includes(":")
    ? groupsOf(address).flatMap((group) => [group >> 8, group & 255])
    : address.split(".").map(Number);

/** Whether nothing is set behind the prefix: `10.1.2.3/8` is more likely a slip than meant. */
const isNetwork = (address: string, prefix: number): boolean =>
  bytesOf(address).every((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, prefix - index * 8)))) === 0);

/** IPv6 in its short form (RFC 5952), which URLs have too. */
const print = (address: string): string =>
  address.includes(":") ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;

/**
 * A network in CIDR notation (RFC 4632; RFC 4291, 2.3) in its one spelling: `10.0.0.0/8`, `2001:db8::/32`. An address alone
 * is a network of one; IPv4 that is written as IPv6 (`::ffff:10.0.0.0/104`) is IPv4. Null when the text is none.
 */
export function parseCidr(text: string): string | null {
  const [, written = "", bits] = /^([0-9a-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/i.exec(text) ?? [];
  const address = normalizeAddress(written);
  if (isIP(written) === 0 || address === null) return null;
  const width = isIP(address) === 4 ? 32 : 128;
  const mapped = isIP(written) === 6 && width === 32 ? 96 : 0;
  const prefix = bits === undefined ? width : Number(bits) - mapped;
  if (prefix < 0 || prefix > width || !isNetwork(address, prefix)) return null;
  return `${print(address)}/${prefix}`;
}

/** Whether an address, as `normalizeAddress` gives it, is in one of some networks. */
export type Networks = (address: string) => boolean;

/**
 * @param cidrs as `parseCidr` gives them. IPv4 is in networks of IPv4 only: `::/0` doesn't open it
 */
export function createNetworks(cidrs: readonly string[]): Networks {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const cidr of cidrs) {
    const [address = "", prefix = ""] = cidr.split("/");
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    lists[family].addSubnet(address, Number(prefix), family);
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && (version === 4 ? lists.ipv4.check(address, "ipv4") : lists.ipv6.check(address, "ipv6"));
  };
}
