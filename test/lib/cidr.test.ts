import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { normalizeAddress } from "../../src/lib/net/address.ts";
import { createNetworks, parseCidr } from "../../src/lib/net/cidr.ts";

const isIn = (address: string, ...cidrs: string[]) =>
  createNetworks(cidrs.map((c) => parseCidr(c)!))(normalizeAddress(address)!);

describe("a network in CIDR notation", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["192.0.2.7", "192.0.2.7/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8:0::/32", "2001:db8::/32"],
    ["2001:db8::1", "2001:db8::1/128"],
    ["::/0", "::/0"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
    ["::ffff:192.0.2.7", "192.0.2.7/32"],
  ])("%s has one spelling", (text, cidr) => {
    expect(parseCidr(text)).toBe(cidr);
    expect(parseCidr(cidr)).toBe(cidr);
  });

  test.each([
    "",
    "/",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8 ",
    " 10.0.0.0/8",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "10.1.2.3/8",
    "192.0.2.128/24",
    "2001:db8::1/32",
    "2001:db8::/129",
    "::ffff:10.0.0.0/95",
    "fe80::1%eth0/64",
    "[::1]/128",
    "10.0.0.1:80",
    "example.com",
    "010.0.0.0/8",
    "0x0a.0.0.0/8",
    "10.0.0.0/8\n",
    "10.0.0.0\0/8",
    "*",
    "null",
    "1.2.3.4,5.6.7.8",
  ])("is not %j", (text) => {
    expect(parseCidr(text)).toBeNull();
  });

  test("holds its own addresses and no others, of its own family only", () => {
    expect(isIn("10.255.0.1", "10.0.0.0/8")).toBeTrue();
    expect(isIn("11.0.0.1", "10.0.0.0/8")).toBeFalse();
    expect(isIn("::ffff:10.1.2.3", "10.0.0.0/8")).toBeTrue();
    expect(isIn("10.1.2.3", "::ffff:10.0.0.0/104")).toBeTrue();
    expect(isIn("2001:db8:ffff::1", "2001:db8::/32")).toBeTrue();
    expect(isIn("2001:db9::1", "2001:db8::/32")).toBeFalse();
    expect(isIn("10.1.2.3", "::/0")).toBeFalse();
    expect(isIn("::1", "0.0.0.0/0")).toBeFalse();
    expect(isIn("192.0.2.9", "10.0.0.0/8", "2001:db8::/32", "192.0.2.8/31")).toBeTrue();
    expect(isIn("10.0.0.1")).toBeFalse();
    expect(createNetworks(["0.0.0.0/0", "::/0"])("unknown")).toBeFalse();
  });

  test("of IPv4 holds just the addresses that begin with the same bits", () => {
    const octets = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 });
    const number = (address: number[]) => address.reduce((sum, octet) => sum * 256 + octet, 0);
    fc.assert(
      fc.property(octets, octets, fc.integer({ min: 0, max: 32 }), (base, address, prefix) => {
        const size = 2 ** (32 - prefix);
        const start = Math.floor(number(base) / size) * size;
        const network = [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256);
        const inside = Math.floor(number(address) / size) * size === start;
        expect(isIn(address.join("."), `${network.join(".")}/${prefix}`)).toBe(inside);
      }),
    );
  });
});
