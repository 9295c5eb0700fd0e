import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { createBudget } from "../../src/lib/limit/budget.ts";
import { head, statusesOf } from "../support/raw.ts";
import { useService } from "../support/service.ts";

const mebibyte = 1_024 * 1_024;
const service = useService({
  MAX_DOCUMENTS_BYTES: String(mebibyte),
  MAX_BODIES_BYTES: String(4 * mebibyte),
  TRUSTED_PROXIES: "1",
});

const open = new Set<Socket>();
afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
});

/** Sends the beginning of a request, and no more. */
function begin(text: string) {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname, () => socket.write(text));
  open.add(socket);
  socket.on("error", () => {});
  let answer = "";
  const answered = new Promise<string>((resolve) => {
    socket.on("data", (data) => {
      answer += data.toString("latin1");
      if (answer.includes("\r\n\r\n")) resolve(answer);
    });
    socket.on("close", () => resolve(answer));
  });
  return { socket, answered };
}

const post = (path: string, ...lines: string[]) =>
  head(`POST ${path} HTTP/1.1`, "Host: croupier.example", "Content-Type: application/json", ...lines);
const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n`;
const chunked = "Transfer-Encoding: chunked";

describe("of somebody who isn't known", () => {
  test.each(["/org/documents", "/org/documents/find", "/org/indexes", "/platform/operations/1/cancel"])(
    "nothing of a stranger's body is read before POST %s says so",
    async (path) => {
      const { answered } = begin(post(path, chunked) + chunk(1));
      expect(statusesOf(await answered)).toEqual([401]);
    },
  );

  test.each(["/org/create", "/admin/login", "/admin/refresh", "/admin/recovery"])(
    "POST %s reads 64 KiB and no more, whether or not it is said how much will come",
    async (path) => {
      for (const text of [post(path, chunked) + chunk(65 * 1_024), post(path, `Content-Length: ${65 * 1_024}`)])
        expect(statusesOf(await begin(text).answered)).toEqual([413]);
    },
  );

  const from = (address: number) => `X-Forwarded-For: 203.0.113.${address}`;
  const signIn = (address: number, sent: number) =>
    begin(post("/admin/login", from(address), `Content-Length: ${64 * 1_024}`) + "x".repeat(sent));

  test("strangers who announce bodies and don't send them keep nobody from inserting and signing in", async () => {
    const { token, email, password } = await service.join();
    for (let address = 1; address <= 6; address++) for (let n = 0; n < 16; n++) signIn(address, 0);
    for (let round = 0; round < 5; round++) {
      const insert = service.send("POST", "/org/documents", { token, body: { some: "x".repeat(900_000) } });
      expect((await insert).status).toBe(201);
      expect((await service.send("POST", "/admin/login", { body: { email, password } })).status).toBe(200);
    }
  });

  test("what is read of strangers is bounded, and one address can't have all of it", async () => {
    const { token, email, password } = await service.join();
    const answers = Array.from({ length: 40 }, () => signIn(9, 60 * 1_024).answered);
    expect(await Promise.race(answers)).toContain("urn:croupier:problem:bodies_busy");
    const headers = { "x-forwarded-for": "203.0.113.10" };
    expect((await service.send("POST", "/admin/login", { headers, body: { email, password } })).status).toBe(200);
    const insert = service.send("POST", "/org/documents", { token, body: { some: "x".repeat(900_000) } });
    expect((await insert).status).toBe(201);
  });
});

describe("what is being read of all requests together", () => {
  const insert = (token: string, bytes: number) =>
    begin(post("/org/documents", `Authorization: Bearer ${token}`, `Content-Length: ${bytes}`) + "[");

  test("all bodies that are being read are bounded together, and one organization can't have all: it is refused, others go on, and later it does too", async () => {
    const [busy, other] = [await service.join(), await service.join()];
    const bodies = [insert(busy.token, mebibyte), insert(busy.token, mebibyte)];
    const refused = insert(busy.token, mebibyte);
    // Which of the three comes last is not known.
    const answer = await Promise.race([...bodies, refused].map(({ answered }) => answered));
    expect(statusesOf(answer)).toEqual([503]);
    expect(answer).toContain("urn:croupier:problem:bodies_busy");
    expect(answer.toLowerCase()).toContain("retry-after: 1");
    const document = { body: { some: "x".repeat(100_000) } };
    expect((await service.send("POST", "/org/documents", { ...document, token: other.token })).status).toBe(201);
    for (const { socket } of [...bodies, refused]) socket.destroy();
    const sendAgain = () => service.send("POST", "/org/documents", { ...document, token: busy.token });
    let again = await sendAgain();
    while (again.status === 503) again = await sendAgain();
    expect(again.status).toBe(201);
  });

  test("is dealt so that whoever has nothing gets a little, and what was given back can be had again", () => {
    const budget = createBudget(64);
    const takes = (key: string) => {
      let taken = 0;
      while (budget.take(key, 1)) taken++;
      return taken;
    };
    expect(["a", "b", "c", "d"].map(takes)).toEqual([32, 16, 8, 4]);
    budget.giveBack("a", 32);
    expect(takes("d")).toBe(16);
    expect(takes("a")).toBe(10);
  });
});
