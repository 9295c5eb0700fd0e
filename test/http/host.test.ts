import { describe, expect, test } from "bun:test";
import { head, sendRaw, statusesOf } from "../support/raw.ts";
import { useService } from "../support/service.ts";

const service = useService();
/** One answer is waited for, and no second one. */
const ask = (text: string) => sendRaw(service.url, text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
const bodyOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
const find = "/org/get?organization_name=nobody-has-this";

describe("a request without a host", () => {
  test.each([
    ["HTTP/1.0 and no Host", "HTTP/1.0", []],
    ["HTTP/1.0 and an empty Host", "HTTP/1.0", ["Host:"]],
    ["HTTP/1.1 and an empty Host", "HTTP/1.1", ["Host: "]],
  ])("a request of %s without a host is found by its path, and by no part of it", async (_name, protocol, headers) => {
    const get = (path: string) => ask(head(`GET ${path} ${protocol}`, ...headers));
    expect(statusesOf(await get("/health"))).toEqual([200]);
    expect(bodyOf(await get("/")).name).toBe("croupier");
    expect(bodyOf(await get("/nothing")).instance).toBe("/nothing");
    for (const path of ["/xx/platform/organizations", "//x/health", "/xx/health"])
      expect(statusesOf(await get(path))).toEqual([404]);
    expect(bodyOf(await get("/docs/../admin/me")).instance).toBe("/admin/me");
    expect(bodyOf(await get(find)).type).toBe("urn:croupier:problem:organization_not_found");
    expect(bodyOf(await get("/org/get")).errors[0].pointer).toBe("?organization_name");
  });

  test("has its body read, whole or in chunks", async () => {
    const post = (protocol: string, ...rest: string[]) =>
      head(`POST /admin/login ${protocol}`, "Host:", "Content-Type: application/json", ...rest);
    const body = '{"email":"nobody@host.example","password":"Wrong-Horse-7"}';
    const whole = post("HTTP/1.0", `Content-Length: ${body.length}`) + body;
    const chunked = `${post("HTTP/1.1", "Transfer-Encoding: chunked")}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    for (const text of [whole, chunked]) expect(statusesOf(await ask(text))).toEqual([401]);
  });
});

describe("a Host header", () => {
  test.each([
    "a",
    "acme.example",
    "acme.example:8000",
    "acme.example:",
    "ACME_1.example",
    "192.0.2.1:80",
    "[2001:db8::1]:8000",
    "[::ffff:192.0.2.1]",
    "%61cme.example",
  ])("may be %p", async (host) => {
    expect(statusesOf(await ask(head("GET /health HTTP/1.1", `Host: ${host}`)))).toEqual([200]);
  });

  test.each([
    ["a space", "Host: a b"],
    ["a path", "Host: a/b"],
    ["a query", "Host: a?b"],
    ["a fragment", "Host: a#b"],
    ["a user", "Host: user@a"],
    ["a backslash", "Host: a\\b"],
    ["a tab", "Host: a\tb"],
    ["a quote", 'Host: a"b'],
    ["other letters", "Host: \u00e9.example"],
    ["an encoding that is none", "Host: %4"],
    ["an open bracket", "Host: [::1"],
    ["brackets around no address", "Host: [::g]"],
    ["a port that is none", "Host: a:8000x"],
    ["a port beyond 65535", "Host: a:65536"],
    ["two ports", "Host: a:80:80"],
    ["a list", "Host: a,b"],
    ["a second one", "Host: a\r\nHost: b"],
    ["a second one that is the same", "Host: a\r\nHost: a"],
    ["a second one that is empty", "Host: a\r\nHost:"],
    ["an empty one before it", "Host:\r\nHost: a"],
  ])("a Host header with %s is refused, whatever is asked for", async (_name, lines) => {
    for (const [method, path] of [
      ["GET", "/health"],
      ["GET", "/xx/health"],
      ["GET", find],
      ["DELETE", "/org/delete"],
    ] as const) {
      for (const protocol of ["HTTP/1.1", "HTTP/1.0"]) {
        const answer = await ask(head(`${method} ${path} ${protocol}`, lines));
        expect({ path, protocol, statuses: statusesOf(answer) }).toEqual({ path, protocol, statuses: [400] });
        expect(bodyOf(answer)).toMatchObject({
          type: "urn:croupier:problem:bad_request",
          detail: expect.stringContaining("Host"),
        });
      }
    }
  });

  test("that is missing in HTTP/1.1 is refused", async () => {
    expect(statusesOf(await ask(head("GET /health HTTP/1.1")))).toEqual([400]);
  });
});
