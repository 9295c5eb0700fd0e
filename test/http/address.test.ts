import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import type { Env } from "../../src/http/edge/context.ts";
import { limitedAs, noteArrival, type TrustedProxies } from "../../src/http/edge/address.ts";
import { normalizeAddress } from "../../src/lib/net/address.ts";
import { useService } from "../support/service.ts";

const service = useService();

describe("an address", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::FFFF:7f00:1", "127.0.0.1"],
    ["0:0:0:0:0:ffff:203.0.113.7", "203.0.113.7"],
    [" 203.0.113.7 ", "203.0.113.7"],
    ["203.0.113.7:4711", "203.0.113.7"],
    ["[2001:DB8::1]:4711", "2001:db8:0:0:0:0:0:1"],
    ["[2001:db8::1]", "2001:db8:0:0:0:0:0:1"],
    ["2001:0db8:0000::0001", "2001:db8:0:0:0:0:0:1"],
    ["fe80::1%eth0", "fe80:0:0:0:0:0:0:1"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["64:ff9b::203.0.113.7", "64:ff9b:0:0:0:0:cb00:7107"],
    ["unknown", null],
    ["", null],
    ["203.0.113.256", null],
    ["203.0.113.7, 1.1.1.1", null],
    ["1::2::3", null],
    ["acme.example", null],
    ["127.0.0.1\n", "127.0.0.1"],
  ])("%p is %p", (text, expected) => {
    expect(normalizeAddress(text)).toBe(expected);
  });

  test.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8:1:3::", "2001:db8:1:3::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
  ])("%p is limited as %p", (text, expected) => {
    expect(limitedAs(normalizeAddress(text)!)).toBe(expected);
  });
});

const socket = { requestIP: () => ({ address: "::ffff:10.0.0.9" }) };
const ask = async (trustedProxies: TrustedProxies, headers: Record<string, string>, env: object = socket) => {
  const app = new Hono<Env>().use(noteArrival(trustedProxies)).get("/", (c) => c.json(c.get("arrival")));
  const arrival: any = await (await app.request("/", { headers }, env)).json();
  return [arrival.address, arrival.usedHttps] as [string, boolean | null];
};

describe("the caller's address", () => {
  test.each([
    ["no header", 0, undefined, "10.0.0.9"],
    ["a header that nobody is trusted for", 0, "1.1.1.1", "10.0.0.9"],
    ["one proxy", 1, "203.0.113.7", "203.0.113.7"],
    ["one proxy, and what the caller made up before it", 1, "1.1.1.1, 2.2.2.2, 203.0.113.7", "203.0.113.7"],
    ["two proxies", 2, "203.0.113.7, 10.0.0.1", "203.0.113.7"],
    ["two proxies, and what the caller made up", 2, "1.1.1.1, 203.0.113.7, 10.0.0.1", "203.0.113.7"],
    ["fewer entries than proxies, of which one may be made up", 2, "203.0.113.7", "10.0.0.9"],
    ["one entry less than proxies", 3, "203.0.113.7, 10.0.0.1", "10.0.0.9"],
    ["a proxy that adds the port", 1, "203.0.113.7:4711", "203.0.113.7"],
    ["IPv6", 1, "2001:db8::1", "2001:db8:0:0:0:0:0:1"],
    ["IPv4 as IPv6", 1, "::ffff:203.0.113.7", "203.0.113.7"],
    ["an entry that is no address", 1, "203.0.113.7, unknown", "10.0.0.9"],
    ["an empty entry", 1, "203.0.113.7,", "10.0.0.9"],
    ["an empty header", 1, "", "10.0.0.9"],
  ])("with %s", async (_name, trustedProxies, header, expected) => {
    const [address] = await ask(trustedProxies, header === undefined ? {} : { "x-forwarded-for": header });
    expect(address).toBe(expected);
  });

  test.each([
    ["a peer in them", ["10.0.0.0/8"], "203.0.113.7", "203.0.113.7"],
    ["a peer that isn't in them", ["192.0.2.0/24"], "203.0.113.7", "10.0.0.9"],
    ["a peer in them that says nothing", ["10.0.0.0/8"], undefined, "10.0.0.9"],
    ["two proxies", ["10.0.0.0/8"], "203.0.113.7, 10.0.0.1", "203.0.113.7"],
    ["two proxies of different networks", ["10.0.0.9/32", "2001:db8::/32"], "203.0.113.7, 2001:DB8::1", "203.0.113.7"],
    ["what the caller made up", ["10.0.0.0/8"], "1.1.1.1, 10.0.0.2, 203.0.113.7, 10.0.0.1", "203.0.113.7"],
    ["a caller in them", ["10.0.0.0/8"], "10.0.0.5", "10.0.0.5"],
    ["an entry of a proxy that is no address", ["10.0.0.0/8"], "1.1.1.1, unknown, 10.0.0.1", "10.0.0.9"],
    ["a proxy that adds the port", ["10.0.0.0/8"], "203.0.113.7:4711, 10.0.0.1:443", "203.0.113.7"],
  ])("with networks of proxies and %s", async (_name, networks, header, expected) => {
    const [address] = await ask(networks, header === undefined ? {} : { "x-forwarded-for": header });
    expect(address).toBe(expected);
  });

  test("the caller's address isn't read from other headers", async () => {
    const headers = { forwarded: "for=1.1.1.1", "x-real-ip": "1.1.1.1", "cf-connecting-ip": "1.1.1.1" };
    expect((await ask(1, headers))[0]).toBe("10.0.0.9");
  });

  test("is unknown without a socket", async () => {
    expect((await ask(0, {}, {}))[0]).toBe("unknown");
  });

  test("is the same when the body comes in chunks: in sessions, for allow-lists and on record", async () => {
    const inChunks = (text: string) =>
      new ReadableStream({
        start(controller) {
          for (const character of text) controller.enqueue(new TextEncoder().encode(character));
          controller.close();
        },
      });
    const ask = (method: string, path: string, body: unknown, token = "") =>
      fetch(service.url + path, {
        method,
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: inChunks(JSON.stringify(body)),
      });
    const who = await service.join("chunked");
    const signedIn: any = await (
      await ask("POST", "/admin/login", { email: who.email, password: who.password })
    ).json();
    const token: string = signedIn.access_token;
    expect((await ask("PUT", "/org/allow-list", { cidrs: ["127.0.0.1"] }, token)).status).toBe(200);
    expect((await ask("POST", "/org/documents", { _id: 1 }, token)).status).toBe(201);
    expect((await ask("PATCH", "/org/documents/1", { a: 1 }, token)).status).toBe(200);
    const { sessions } = (await service.send("GET", "/admin/sessions", { token })).body;
    expect(sessions.map(({ address }: { address: string }) => address)).toEqual(["127.0.0.1", "127.0.0.1"]);
    const { entries } = (await service.send("GET", "/org/audit", { token })).body;
    const addresses = entries.map(({ act, address }: { act: string; address: string }) => ({ act, address }));
    expect(addresses).toContainEqual({ act: "organization.allow_list", address: "127.0.0.1" });
    expect(new Set(addresses.map(({ address }: { address: string }) => address))).toEqual(new Set(["127.0.0.1"]));
  });
});

describe("whether the caller used HTTPS", () => {
  test.each([
    ["nobody is trusted", 0, "https", null],
    ["the proxy doesn't say", 1, undefined, null],
    ["the proxy says so", 1, "https", true],
    ["the proxy says so in capitals", 1, "HTTPS", true],
    ["the proxy says no", 1, "http", false],
    ["the caller said so and the proxy says no", 1, "https, http", false],
    ["two proxies, the outer one by HTTP", 2, "https, http, https", false],
    ["it is something else", 1, "wss", null],
    ["a peer in the networks says so", ["10.0.0.0/8"], "https", true],
    ["a peer in the networks says so after the caller", ["10.0.0.0/8"], "https, http", false],
    ["a peer that isn't in the networks says so", ["192.0.2.0/24"], "https", null],
  ] as const)("when %s", async (_name, trustedProxies, header, expected) => {
    const [, https] = await ask(trustedProxies, header === undefined ? {} : { "x-forwarded-proto": header });
    expect(https).toBe(expected);
  });

  test("the entry is of the same proxy as the caller's address", async () => {
    const headers = { "x-forwarded-for": "203.0.113.7, 10.0.0.1", "x-forwarded-proto": "https, http" };
    expect(await ask(["10.0.0.0/8"], headers)).toEqual(["203.0.113.7", true]);
  });
});
