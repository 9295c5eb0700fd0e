import { afterAll, describe, expect, test } from "bun:test";
import { createPasswordHasher } from "../../src/admin/password-hasher.ts";
import { createApp } from "../../src/app.ts";
import { expectProblem } from "../support/problem.ts";
import { head, sendRaw } from "../support/raw.ts";
import { joinAs } from "../support/tenants.ts";
import { until } from "../support/crash.ts";
import { readAnswer, testConfig, useService } from "../support/service.ts";

const behind = useService({ ENFORCE_HTTPS: "true", TRUSTED_PROXIES: "1", PUBLIC_ORIGIN: "https://api.example" });
const timeoutMs = 400;
const service = useService({ REQUEST_TIMEOUT_MS: String(timeoutMs) });
const plain = useService();
const http = { "x-forwarded-proto": "http" };
const https = { "x-forwarded-proto": "https" };

describe("with ENFORCE_HTTPS", () => {
  const ask = async (method: string, path: string, headers: Record<string, string>) =>
    readAnswer(await fetch(behind.url + path, { method, headers, redirect: "manual" }));

  test("with ENFORCE_HTTPS what came by HTTPS passes, and browsers are told to use nothing else", async () => {
    for (const path of ["/", "/docs", "/nothing", "/org/get"]) {
      const { headers, status } = await ask("GET", path, https);
      expect(status).not.toBe(308);
      expect(headers.get("strict-transport-security")).toBe("max-age=31536000; includeSubDomains");
    }
  });

  test("what only reads is sent on, with its path and query, to the public origin, whatever Host says", async () => {
    for (const method of ["GET", "HEAD"]) {
      for (const headers of [http, {}, { "x-forwarded-proto": "https, http" }, { ...http, host: "evil.example" }]) {
        const path = "/org/get?organization_name=a%2Fb&x=1";
        const answer = await ask(method, path, headers);
        expect([answer.status, answer.headers.get("location")]).toEqual([308, `https://api.example${path}`]);
        expect(answer.headers.get("strict-transport-security")).toBeNull();
      }
    }
  });

  test("what changes something is refused, and never redirected", async () => {
    for (const [method, path] of [
      ["POST", "/admin/login"],
      ["POST", "/org/create"],
      ["PUT", "/org/update"],
      ["DELETE", "/org/delete"],
      ["PATCH", "/org/documents/1"],
    ] as const) {
      expectProblem(await ask(method, path, http), { status: 403, type: "https_required", path });
    }
  });

  test("neither is kept by anybody on the way where a token may have been sent", async () => {
    for (const [method, path, status] of [
      ["GET", "/admin/me", 308],
      ["GET", "/platform/organizations", 308],
      ["POST", "/admin/login", 403],
      ["POST", "/org/documents", 403],
    ] as const) {
      const answer = await ask(method, path, http);
      expect([answer.status, answer.headers.get("cache-control")]).toEqual([status, "no-store"]);
    }
  });

  test("without a host it is sent on as well", async () => {
    const answer = await sendRaw(behind.url, head("GET //x/admin/me?a=b HTTP/1.0"));
    expect(answer).toStartWith("HTTP/1.1 308");
    expect(/^location: (.*)\r$/im.exec(answer)?.[1]).toBe("https://api.example//x/admin/me?a=b");
  });

  test("without PUBLIC_ORIGIN what only reads is refused", async () => {
    const config = { ...behind.running.deps.config, publicOrigin: null };
    const answer = await createApp({ ...behind.running.deps, config }).request("/admin/me", { headers: http });
    expectProblem(await readAnswer(answer), { status: 403, type: "https_required", path: "/admin/me" });
    for (const wrong of ["http://api.example", "https://api.example/", "api.example"])
      expect(() => testConfig({ PUBLIC_ORIGIN: wrong })).toThrow("PUBLIC_ORIGIN must be an origin by HTTPS");
  });

  test("whoever looks after the process may ask it directly", async () => {
    for (const path of ["/health", "/readiness"]) expect((await ask("GET", path, {})).status).toBe(200);
  });

  test("somebody has to be trusted to say what callers use", () => {
    expect(() => testConfig({ ENFORCE_HTTPS: "true" })).toThrow("ENFORCE_HTTPS needs TRUSTED_PROXIES");
  });

  test("without it nothing is promised or redirected", async () => {
    const { status, headers } = await service.send("GET", "/", { headers: http });
    expect([status, headers.get("strict-transport-security")]).toEqual([200, null]);
  });
});

test("nothing that needs or gives a token may be kept by anybody on the way, whatever the answer", async () => {
  const { token, email, password } = await plain.join();
  const answers = [
    await plain.send("POST", "/admin/login", { body: { email, password } }),
    await plain.send("POST", "/admin/login", { body: { email, password: "wrong" } }),
    await plain.send("POST", "/admin/login", { body: "{" }),
    await plain.send("GET", "/org/documents", { token }),
    await plain.send("GET", "/org/documents", {}),
    await plain.send("GET", "/org/indexes", { token }),
    await plain.send("PUT", "/org/update", { token, body: {} }),
    await plain.send("GET", "/platform/operations", { token }),
    await plain.send("GET", "/admin/nothing", { token }),
    await plain.send("DELETE", "/org/delete", { token }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 422, 200, 401, 200, 422, 401, 404, 204]);
  for (const { headers } of answers) expect(headers.get("cache-control")).toBe("no-store");
});

/** Sends a head and then byte after byte, and returns what came back and when the connection was closed. */
async function trickle(head: string, byteEveryMs: number, forMs: number) {
  const { hostname, port } = new URL(service.url);
  const closed = Promise.withResolvers<void>();
  let text = "";
  const startedMs = performance.now();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_socket, data) => void (text += data),
      close: () => closed.resolve(),
      error: () => closed.resolve(),
    },
  });
  socket.write(head);
  const timer = setInterval(() => socket.write("1"), byteEveryMs);
  await Promise.race([closed.promise, Bun.sleep(forMs)]);
  clearInterval(timer);
  socket.end();
  return { text, ms: performance.now() - startedMs };
}

describe("the time limit", () => {
  test("a client that sends its body byte by byte is cut off, and told why", async () => {
    const head = "POST /admin/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for (const length of ["Content-Length: 900\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n384\r\n"]) {
      const { text, ms } = await trickle(head + length, 20, 10_000);
      expect(text).toStartWith("HTTP/1.1 503 ");
      expect(text).toContain("urn:croupier:problem:timeout");
      expect(ms).toBeWithin(timeoutMs - 50, timeoutMs + 3_000);
    }
  });

  test("ends a query in the database with it, long before the query's own time is up", async () => {
    // Within this service's time limit, which a busy machine may miss.
    const me = await until("an organization", () => joinAs(service).catch(() => null));
    const many = Array.from({ length: 1_000 }, (_, n) => n);
    expect((await me.ask("POST", "/documents", { a: many, b: many, c: many })).status).toBe(201);
    const pipeline = [{ $unwind: "$a" }, { $unwind: "$b" }, { $unwind: "$c" }, { $group: { _id: "$c" } }];
    let closed = 0;
    service.running.deps.documents.deployments.all[0]!.home.client.on("connectionClosed", () => closed++);
    const path = "/documents/aggregate";
    expectProblem(await me.ask("POST", path, { pipeline }), { status: 503, type: "timeout", path: `/org${path}` });
    await until("the connection is closed", async () => closed > 0, 5_000);
  });

  test("answers for a handler that doesn't end, and lets later requests alone", async () => {
    const { deps } = service.running;
    const forever = { ...deps, passwords: { ...deps.passwords, matches: () => new Promise<never>(() => {}) } };
    const body = JSON.stringify({ email: "ada@late.example", password: "x" });
    const headers = { "content-type": "application/json" };
    const late = await createApp(forever).request("/admin/login", { method: "POST", body, headers });
    expectProblem(await readAnswer(late), { status: 503, type: "timeout", path: "/admin/login" });
    expect((await service.send("GET", "/org/get?organization_name=nobody-has-this")).status).toBe(404);
  });
});

describe("passwords that wait", () => {
  const program = new URL("../../src/admin/password-worker.ts", import.meta.url);
  // 2^12 rounds: the first keeps the only thread busy for a while.
  const passwords = createPasswordHasher({ program, workers: 1, queueMax: 2, rounds: 12 });
  afterAll(() => passwords.close());

  test("leave the queue when nobody waits for them any more", async () => {
    const first = passwords.hash("Correct-Horse-7");
    const gone = new AbortController();
    const waiting = [passwords.hash("a", gone.signal), passwords.matches("b", null, gone.signal)];
    await expect(passwords.hash("c")).rejects.toMatchObject({ failure: "passwords_busy" });
    const left = Promise.allSettled(waiting);
    gone.abort(new Error("gone"));
    for (const one of await left) expect(one).toMatchObject({ status: "rejected", reason: { message: "gone" } });
    // There is room again, before the first is done.
    const [next, another] = [passwords.hash("d"), passwords.hash("e")];
    await expect(passwords.hash("f")).rejects.toMatchObject({ failure: "passwords_busy" });
    await expect(passwords.hash("g", gone.signal)).rejects.toThrow("gone");
    for (const hash of [first, next, another]) expect(await hash).toStartWith("$2b$12$");
  });
});

test("a head of more than 16 KiB is refused", async () => {
  const answer = await service.send("GET", "/", { headers: { "x-much": "x".repeat(17_000) } });
  expect(answer.status).toBe(431);
  expect((await service.send("GET", "/", { headers: { "x-much": "x".repeat(12_000) } })).status).toBe(200);
});
