import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp } from "../../src/app.ts";
import { createTokenIssuer } from "../../src/session/token/token.ts";
import {
  type Attack,
  createTarget,
  fill,
  inLanes,
  nameOf,
  offence,
  type Route,
  type Target,
} from "../support/attack.ts";
import { until } from "../support/crash.ts";
import { useOperatorKey } from "../support/operator.ts";
import { readAnswer, testConfig, useService } from "../support/service.ts";
import { signInTo } from "../support/session.ts";
import { snapshot } from "../support/snapshot.ts";
import { makeToken, readClaims } from "../support/token.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

setDefaultTimeout(120_000);
const service = useService();
const operatorKey = useOperatorKey(service);
const rows = wrongAuthorizations(service, {});

let target: Target;
let closed: Route[];
let own: { token: string; refresh: string };
const secret = () => service.running.deps.config.jwt.secrets[0]!;
beforeAll(async () => {
  target = await createTarget(service);
  closed = target.routes.filter(({ wants }) => wants !== "nobody");
  const who = await service.join("own");
  own = { token: who.token, refresh: (await signInTo(service, who)).refresh_token };
}, 60_000);
let forgeries = 0;
afterAll(() => console.log(`attacks with wrong credentials: ${target.count() + forgeries}`));

/** Written by the service itself, whatever is asked of it. */
const heartbeats = ["primaries"];

/** RFC 6750, 3; why it is none any more is said of a token that was rightly signed. */
const invalidToken = /^Bearer error="invalid_token"(, error_description="The access token has (expired|ended)")?$/;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const signed = (header: Record<string, unknown>, changes: object = {}) =>
  makeToken({ ...readClaims(own.token), ...changes }, secret(), { alg: "HS256", ...header });

/** More than `wrongAuthorizations` has: what is put beside the header, and into the token's. */
const more = (): Attack[] => {
  const token = own.token;
  const headers: Record<string, Record<string, string>> = {
    "typ: at+jwt": bearer(signed({ typ: "at+jwt" })),
    "typ: JWE": bearer(signed({ typ: "JWE" })),
    "alg in lower case": bearer(signed({ alg: "hs256" })),
    "alg: HS256 in a list": bearer(makeToken(readClaims(token), secret(), { alg: ["HS256"] as never })),
    "no alg": bearer(makeToken(readClaims(token), secret(), { alg: undefined as never })),
    "kid: a path": bearer(signed({ kid: "../../../../dev/null" })),
    "kid: an operator": bearer(signed({ kid: { $ne: null } })),
    "kid: SQL": bearer(signed({ kid: "' UNION SELECT 'k" })),
    "jku and x5u, signed with another secret": bearer(
      makeToken(readClaims(token), "k".repeat(32), {
        alg: "HS256",
        jku: "http://127.0.0.1:1/k",
        x5u: "http://127.0.0.1:1/c",
      }),
    ),
    "b64: false": bearer(signed({ b64: false, crit: ["b64"] })),
    "aud in a list with ours": bearer(signed({}, { aud: ["croupier", "other"] })),
    "sub and role of an operator": bearer(
      makeToken({ ...readClaims(token), role: "operator", sub: "root" }, "x".repeat(40), { alg: "HS256" }),
    ),
    "gen: Infinity": bearer(
      signed({}, { gen: 1e308 }).replace(/^([^.]+)\.[^.]+/, `$1.${Buffer.from('{"exp":1e999}').toString("base64url")}`),
    ),
    "a refresh token": bearer(own.refresh),
    "a token of an empty payload": bearer(makeToken({}, secret(), { alg: "HS256" })),
    "a token of null": bearer(makeToken(null as never, secret(), { alg: "HS256" })),
    "a token of a list": bearer(makeToken([readClaims(token)], secret(), { alg: "HS256" })),
    "a proxy's header": { "proxy-authorization": `Bearer ${token}` },
    "x-authorization": { "x-authorization": `Bearer ${token}`, "x-forwarded-user": "root" },
    "a cookie": { cookie: `access_token=${token}; token=${token}; Authorization=Bearer ${token}` },
    "an operator's key in a header of its own": { "x-api-key": operatorKey(), "croupier-operator-key": operatorKey() },
    "a local address": { "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", forwarded: "for=127.0.0.1" },
    "Basic with the key": { authorization: `Basic ${btoa(`admin:${operatorKey()}`)}` },
    "another method in a header": { "x-http-method-override": "GET", "x-method-override": "GET" },
  };
  return [
    ...Object.entries(headers).map(([what, given]) => ({ what, headers: given })),
    {
      what: "the token in the query (RFC 6750, 2.3)",
      query: `?access_token=${token}&token=${token}&key=${operatorKey()}`,
    },
    { what: "HEAD", method: "HEAD" },
  ];
};

test("the table of routes is the app's own, and at least what this service is known to have is protected", () => {
  const names = closed.map(nameOf);
  for (const known of ["PUT /org/update", "DELETE /org/delete", "GET /admin/me", "POST /admin/logout"]) {
    expect(names).toContain(known);
  }
  expect(closed.filter(({ wants }) => wants === "operator").length).toBeGreaterThan(3);
  expect(closed.length).toBeGreaterThan(20);
});

test("every protected route refuses every wrong credential with 401 or 403, and nothing is changed by that", async () => {
  const before = await snapshot(service.db, heartbeats);
  const offences: string[] = [];
  const attacks = [
    ...rows.map(({ name, authorization }): Attack => {
      const value = authorization?.();
      return { what: name, ...(value !== undefined && { headers: { authorization: value } }) };
    }),
    ...more(),
  ];
  await inLanes(
    closed.flatMap((route) => attacks.map((attack) => ({ route, attack }))),
    8,
    async ({ route, attack }) => {
      // What would be accepted with the right credentials; `HEAD` is answered as GET is.
      if (attack.method === "HEAD" && route.method !== "GET") return;
      const body = route.body && attack.method !== "HEAD" ? { body: JSON.stringify(route.body.example) } : {};
      // Header values are bytes: what isn't Latin can't be sent at all.
      const answer = await target.attack(route, { ...attack, ...body });
      const wrong =
        offence(answer) ?? (answer.status === 401 || answer.status === 403 ? null : `let through: ${answer.status}`);
      const told = answer.headers.get("www-authenticate");
      // RFC 6750, 3: the error is named when a token was sent, and only then. HEAD has no body that says which it is.
      const sent = answer.text === "" ? null : !/_missing$/.test(answer.body?.type);
      const right = told === "Bearer" ? sent !== true : invalidToken.test(told ?? "") && sent !== false;
      const challenged = answer.status === 403 || right ? null : `challenged by ${told}`;
      const cached = answer.headers.get("cache-control") === "no-store" ? null : "may be cached";
      for (const each of [wrong, challenged, cached])
        if (each) offences.push(`${nameOf(route)}, ${attack.what}: ${each}`);
    },
  );
  expect(offences).toEqual([]);
  expect(await snapshot(service.db, heartbeats)).toBe(before);
});

test("an admin's token opens no route of operators, and an operator's key none of admins", async () => {
  const offences: string[] = [];
  for (const route of closed) {
    const wrong = route.wants === "operator" ? own.token : operatorKey();
    const body = route.body ? { body: JSON.stringify(route.body.example) } : {};
    const { status } = await target.attack(route, { what: "the other's", headers: bearer(wrong), ...body });
    if (status !== 401 && status !== 403) offences.push(`${nameOf(route)}: ${status}`);
  }
  expect(offences).toEqual([]);
});

describe("a public key is no secret to sign with:", () => {
  const folder = mkdtempSync(join(tmpdir(), "croupier-attacks-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const pairs = {
    RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
    ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    EdDSA: () => generateKeyPairSync("ed25519").privateKey,
  };

  test.each(Object.keys(pairs) as (keyof typeof pairs)[])("%s", async (algorithm) => {
    const key: KeyObject = pairs[algorithm]();
    const file = join(folder, `${algorithm}.pem`);
    writeFileSync(file, key.export({ type: "pkcs8", format: "pem" }));
    const settings = { JWT_SECRET_KEY: "", JWT_ALGORITHM: algorithm, JWT_PRIVATE_KEY_FILES: file };
    const { deps } = service.running;
    const tokens = await createTokenIssuer(testConfig(settings).jwt, deps.now);
    const app = createApp({ ...deps, tokens });
    const { iat: _iat, exp: _exp, jti: _jti, ...whose } = readClaims(own.token);
    const { token } = await tokens.issue(whose as never);
    const ask = async ({ method, path, body }: Route, given: string) => {
      const content = body && { body: JSON.stringify(body.example) };
      const headers = { ...bearer(given), ...(body && { "content-type": body.contentType }) };
      return (await readAnswer(await app.request(fill(path), { method, headers, ...content }))).status;
    };
    const me = closed.find(({ path }) => path === "/admin/me")!;
    expect(await ask(me, token)).toBe(200);

    const open = createPublicKey(key);
    const pem = open.export({ type: "spki", format: "pem" }) as string;
    const jwk = open.export({ format: "jwk" });
    const [published] = tokens.publicKeys();
    const spellings = [
      pem,
      pem.trimEnd(),
      pem.replaceAll("\n", "\r\n"),
      pem.replace(/-----[^-]+-----|\s/g, ""),
      open.export({ type: "spki", format: "der" }).toString("latin1"),
      JSON.stringify(jwk),
      JSON.stringify(published),
      String(jwk.x ?? jwk.n),
      "",
    ];
    const statuses = new Map<string, number>();
    for (const route of closed) {
      for (const [n, spelling] of spellings.entries()) {
        for (const header of [{}, { kid: published!.kid }]) {
          const forged = makeToken(readClaims(token), spelling, { alg: "HS256", ...header });
          forgeries++;
          const status = await ask(route, forged);
          if (status !== 401) statuses.set(`${nameOf(route)} ${n}`, status);
        }
      }
    }
    expect([...statuses]).toEqual([]);
  });
});

describe("a token and its organization:", () => {
  test.each(["suspended", "deleting", "provisioning"])(
    "the token of an organization that is %s is refused on every route",
    async (status) => {
      const who = await service.join(status);
      const filter = { organization_name: who.organization_name };
      await service.db.collection("organizations").updateOne(filter, { $set: { status } });
      const documents = closed.find((route) => nameOf(route) === "GET /org/documents")!;
      const ask = async (route: Route) => {
        const body = route.body ? { body: JSON.stringify(route.body.example) } : {};
        return (await target.attack(route, { what: status, headers: bearer(who.token), ...body })).status;
      };
      // A placement may be used for the rest of its lease.
      await until("the refusal", async () => (await ask(documents)) !== 200, 5_000);
      const offences: string[] = [];
      for (const route of closed) {
        const answered = await ask(route);
        if (answered !== 401 && answered !== 403) offences.push(`${nameOf(route)}: ${answered}`);
      }
      expect(offences).toEqual([]);
      await service.db.collection("organizations").deleteOne(filter);
    },
  );

  const documents = async (token: string) => (await service.send("GET", "/org/documents", { token })).body.documents;

  test("the token of a renamed organization never reaches the one that took its name since", async () => {
    const renamed = await service.join("renamed");
    await service.send("POST", "/org/documents", { token: renamed.token, body: { _id: 1, of: "the first" } });
    const name = `moved-${renamed.organization_name}`;
    await service.send("PUT", "/org/update", { token: renamed.token, body: { organization_name: name } });
    const taker = {
      organization_name: renamed.organization_name,
      email: "taker@example.com",
      password: renamed.password,
    };
    expect((await service.send("POST", "/org/create", { body: taker })).status).toBe(201);
    const { access_token } = await signInTo(service, taker);
    await service.send("POST", "/org/documents", { token: access_token, body: { _id: 1, of: "the second" } });

    expect((await service.send("GET", "/admin/me", { token: renamed.token })).body.organization_name).toBe(name);
    expect(await documents(renamed.token)).toEqual([{ _id: 1, of: "the first" }]);
    await service.send("PATCH", "/org/documents/1", { token: renamed.token, body: { of: "changed" } });
    expect((await service.send("DELETE", "/org/delete", { token: renamed.token })).status).toBe(204);
    expect(await documents(access_token)).toEqual([{ _id: 1, of: "the second" }]);
  });

  test("of one that was deleted it is worth nothing, on any route, though name and email are another's since", async () => {
    const gone = await service.join("gone");
    await service.send("DELETE", "/org/delete", { token: gone.token });
    expect(
      (await service.send("POST", "/org/create", { body: { ...gone, id: undefined, token: undefined } })).status,
    ).toBe(201);
    const offences: string[] = [];
    for (const route of closed) {
      const body = route.body ? { body: JSON.stringify(route.body.example) } : {};
      const { status } = await target.attack(route, { what: "gone", headers: bearer(gone.token), ...body });
      if (status !== 401) offences.push(`${nameOf(route)}: ${status}`);
    }
    expect(offences).toEqual([]);
    expect((await service.send("GET", `/org/get?organization_name=${gone.organization_name}`)).status).toBe(200);
  });
});
