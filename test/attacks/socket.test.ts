import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { head as lines, sendRaw, statusesOf } from "../support/raw.ts";
import { useService } from "../support/service.ts";

setDefaultTimeout(60_000);
const service = useService();
let token: string;
let count = 0;
beforeAll(async () => {
  token = (await service.join()).token;
});
afterAll(() => console.log(`attacks by bytes on the socket: ${count}`));

function raw(text: string | Uint8Array): Promise<string> {
  count++;
  return sendRaw(service.url, text);
}

test("spellings of a path lead nowhere without a token, whatever proxies make of them", async () => {
  const paths = [
    "/admin/me",
    "//admin/me",
    "/admin//me",
    "/admin/me/",
    "/./admin/me",
    "/docs/../admin/me",
    "/docs/%2e%2e/admin/me",
    "/docs/..%2fadmin/me",
    "/docs/..;/admin/me",
    "/%61dmin/me",
    "/ADMIN/ME",
    "/admin/me%00",
    "/admin/me%20",
    "/admin/me;a=b",
    "/admin\\me",
    "/admin/me?x=/health",
    "/health/../admin/me",
    "/admin/me#/health",
    "http://evil.example/admin/me",
    `${service.url}/admin/me`,
    "/org/documents/..%2f..%2fplatform%2foperations",
    "/platform/operations",
    "//platform/operations",
    "/Platform/operations",
  ];
  const answers = await Promise.all(
    paths.map(
      async (path) => [path, await raw(lines(`GET ${path} HTTP/1.1`, "Host: x", "Connection: close"))] as const,
    ),
  );
  for (const [path, answer] of answers) {
    const statuses = statusesOf(answer);
    expect({ path, statuses, ok: statuses.every((status) => [400, 401, 403, 404].includes(status)) }).toMatchObject({
      path,
      ok: true,
    });
    expect({ path, answers: statuses.length }).toEqual({ path, answers: 1 });
  }
});

test("requests that hide a second one, and headers that aren't any, are answered once or not at all, never with a 5xx", async () => {
  const hidden = lines("DELETE /org/delete HTTP/1.1", "Host: x", `Authorization: Bearer ${token}`);
  const post = (...headers: string[]) =>
    lines("POST /admin/login HTTP/1.1", "Host: x", "Content-Type: application/json", ...headers);
  const me = (...headers: string[]) => lines("GET /admin/me HTTP/1.1", "Host: x", ...headers);
  const attacks = {
    "both lengths": post("Content-Length: 5", "Transfer-Encoding: chunked") + `0\r\n\r\n${hidden}`,
    "both lengths, the other way":
      post("Transfer-Encoding: chunked", `Content-Length: ${hidden.length + 5}`) + `0\r\n\r\n${hidden}`,
    "two lengths": post("Content-Length: 2", `Content-Length: ${hidden.length + 2}`) + `{}${hidden}`,
    "a length that is none": post("Content-Length: 0x2") + `{}${hidden}`,
    "a negative length": post("Content-Length: -1") + hidden,
    "a length with a sign": post("Content-Length: +2") + `{}${hidden}`,
    "another encoding": post("Transfer-Encoding: xchunked") + `0\r\n\r\n${hidden}`,
    "a space before the colon": post("Transfer-Encoding : chunked") + `0\r\n\r\n${hidden}`,
    "a chunk of no size": `${post("Transfer-Encoding: chunked")}zz\r\n{}\r\n0\r\n\r\n`,
    "a folded header": me("Authorization: Bearer", ` ${token}`),
    "a header with a bare line feed": me(`X-A: b\nAuthorization: Bearer ${token}`),
    "a header with NUL": me(`Authorization: Bearer ${token}\u0000`),
    "two tokens in two headers": me("Authorization: Bearer x", "Authorization: Bearer y"),
    "no host": lines("GET /admin/me HTTP/1.1"),
    "two hosts": me("Host: evil.example"),
    "another protocol": lines("GET /admin/me HTTP/9.9", "Host: x"),
    "another method": lines("TRACE /admin/me HTTP/1.1", "Host: x"),
    "a method of lower case": lines("get /admin/me HTTP/1.1", "Host: x"),
    connect: lines("CONNECT evil.example:443 HTTP/1.1", "Host: evil.example"),
    "a header of 100,000 characters": me(`X-Long: ${"x".repeat(100_000)}`),
    "2,000 headers": me(...Array.from({ length: 2_000 }, (_, n) => `X-${n}: y`)),
    "no HTTP at all": "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
  };
  const answers = await Promise.all(
    Object.entries(attacks).map(async ([what, text]) => [what, statusesOf(await raw(text))] as const),
  );
  for (const [what, statuses] of answers) {
    const refused = statuses.every((status) => (status >= 400 && status < 500) || status === 505);
    expect({ what, statuses, refused }).toMatchObject({ what, refused: true });
    expect(statuses.length).toBeLessThanOrEqual(1);
  }
  expect((await service.send("GET", "/admin/me", { token })).status).toBe(200);
});

test("a request id that a caller makes up is not repeated unless it is a plain one", async () => {
  for (const id of ["evil id", "a<script>", "{}", "x".repeat(1_000), "\u00e9vil"]) {
    count++;
    const { headers, body } = await service.send("GET", "/nothing", { headers: { "x-request-id": id } });
    expect(headers.get("x-request-id")).toMatch(/^[\w=-]{1,255}$/);
    expect(body.request_id).toBe(headers.get("x-request-id"));
    expect(body.request_id).not.toBe(id);
  }
});
