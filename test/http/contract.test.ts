import { describe, expect, test } from "bun:test";
import { expectProblem } from "../support/problem.ts";
import { goodPassword, newcomer, useService } from "../support/service.ts";
import { readClaims } from "../support/token.ts";

const service = useService();

const rfc3339 = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const id = expect.stringMatching(/^[0-9a-f]{24}$/);
const signIn = (email: string, password: string) => service.send("POST", "/admin/login", { body: { email, password } });
const get = (name: string) => service.send("GET", `/org/get?organization_name=${encodeURIComponent(name)}`);

describe("POST /org/create", () => {
  test("creating answers 201 with the whole organization, and stores no password in clear", async () => {
    const who = newcomer("made");
    const { status, headers, body, text } = await service.send("POST", "/org/create", { body: who });
    expect(status).toBe(201);
    expect(headers.get("content-type")).toStartWith("application/json");
    expect(body).toEqual({
      id,
      organization_name: who.organization_name,
      email: who.email,
      connection_details: `Collection: org_${who.organization_name}`,
      created_at: rfc3339,
      updated_at: null,
      tier: "professional",
      region: "default",
      status: "active",
    });
    expect(text).not.toContain(who.password);
    const admin = await service.db.collection("admin_users").findOne({ email: who.email });
    expect(admin?.password).toMatch(/^\$2b\$04\$/);
    expect(admin?.organization_id).toBe(body.id);
    expect(JSON.stringify(await service.db.collection("operations").find().toArray())).not.toContain("$2b$");
  });

  test("makes a collection with its index, and the named unique indexes are there", async () => {
    const { organization_name } = await service.join("indexes");
    const keys = async (collection: string) =>
      (await service.db.collection(collection).indexes()).map(({ key, unique }) => ({ key, unique: unique === true }));
    expect(await keys(`org_${organization_name}`)).toContainEqual({ key: { created_at: 1 }, unique: false });
    expect(await keys("organizations")).toContainEqual({ key: { organization_name: 1 }, unique: true });
    expect(await keys("admin_users")).toContainEqual({ key: { email: 1 }, unique: true });
    expect((await keys("admin_users")).map(({ key }) => key)).toContainEqual({ email: 1, organization_id: 1 });
  });

  test.each([
    ["3 characters", "a-b"],
    ["50 characters", "x".repeat(50)],
    ["only digits", "12345"],
    ["only signs", "_-_"],
    ["a name that objects inherit", "__proto__"],
    ["another", "constructor"],
    ["a name of its own collections", "organizations"],
  ])("takes a name of %s", async (_what, organization_name) => {
    const made = await service.send("POST", "/org/create", { body: { ...newcomer(), organization_name } });
    expect(made.status).toBe(201);
    expect((await get(organization_name)).body).toEqual(made.body);
  });

  test.each([
    ["8 characters", "Abcdef-7"],
    ["72 bytes", `Aa1${"x".repeat(69)}`],
    ["72 bytes of 38 characters", `Aé1${"é".repeat(33)}xy`],
    ["white space and quotes", ` "Ab'1\t\n{}$`],
    ["other scripts", "Ωмega-٣-密码"],
    ["emoji", "Aa1😀😀😀😀😀"],
  ])("a password of %s is taken, and signs in", async (_what, password) => {
    const who = { ...newcomer(), password };
    expect((await service.send("POST", "/org/create", { body: who })).status).toBe(201);
    expect((await signIn(who.email, password)).status).toBe(200);
    expect((await signIn(who.email, `${password}x`.slice(1))).status).toBe(401);
  });

  test.each(["first.last+tag@mail.example.com", "o'brien@example.ie", "jürgen@müller.example", "用户@例子.广告"])(
    "takes the email %s and signs in with it",
    async (email) => {
      const made = await service.send("POST", "/org/create", { body: { ...newcomer(), email } });
      expect(made.status).toBe(201);
      expect(made.body.email).toBe(email);
      expect((await signIn(email, goodPassword)).status).toBe(200);
    },
  );

  test("reads application/json with parameters, in any case, and other +json types", async () => {
    for (const type of ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"]) {
      const made = await service.send("POST", "/org/create", { body: newcomer(), headers: { "content-type": type } });
      expect(made.status).toBe(201);
    }
  });

  const taken = { status: 400, path: "/org/create" };
  test.each([
    ["the name", {}],
    ["the name in another case", { upper: true }],
  ])(
    "answers 400 when %s is taken, and detail holds 'already exists'",
    async (_what, { upper = false }: { upper?: boolean }) => {
      const { organization_name: name } = await service.join("taken");
      const organization_name = upper ? name.toUpperCase() : name;
      const answer = await service.send("POST", "/org/create", { body: { ...newcomer(), organization_name } });
      expectProblem(answer, { ...taken, type: "organization_name_taken" });
      expect(answer.body.detail).toContain("already exists");
    },
  );

  test.each([
    ["the email", (email: string) => email],
    ["the email in upper case", (email: string) => email.toUpperCase()],
    ["the email with a domain in another case", (email: string) => email.replace("example.com", "Example.COM")],
    ["the email, decomposed", (email: string) => email.normalize("NFD")],
  ])("answers 400 when %s is taken, keeping the name free", async (_what, change) => {
    const first = { ...newcomer(), email: `zoë-${crypto.randomUUID()}@example.com` };
    await service.send("POST", "/org/create", { body: first });
    const second = { ...newcomer(), email: change(first.email) };
    const answer = await service.send("POST", "/org/create", { body: second });
    expectProblem(answer, { ...taken, type: "email_taken" });
    expect(answer.body.detail).toContain("already exists");
    expect((await get(second.organization_name)).status).toBe(404);
    const again = await service.send("POST", "/org/create", { body: { ...second, email: newcomer().email } });
    expect(again.status).toBe(201);
    expect(again.body.connection_details).toBe(`Collection: org_${second.organization_name}`);
  });
});

describe("GET /org/get", () => {
  test("finds an organization by its name in any case, with no token", async () => {
    const { id, organization_name } = await service.join("MixedCase");
    const lower = await get(organization_name.toLowerCase());
    expect(lower.status).toBe(200);
    expect(lower.body.id).toBe(id);
    expect((await get(organization_name.toUpperCase())).body).toEqual(lower.body);
  });

  test("answers 404 for a name that nobody has", async () => {
    const answer = await get("nobody-has-this");
    expectProblem(answer, { status: 404, type: "organization_not_found", path: "/org/get" });
  });

  test("doesn't show one that is being made or removed", async () => {
    for (const status of ["provisioning", "deleting"]) {
      const { id, organization_name } = await service.join();
      await service.db.collection("organizations").updateOne({ organization_name }, { $set: { status } });
      expect((await get(organization_name)).status).toBe(404);
      expect(id).toBeString();
    }
  });
});

describe("PUT /org/update", () => {
  test("name, email and password are changed together; the new ones work and the old ones don't", async () => {
    const who = await service.join("old");
    const next = { ...newcomer("new"), password: "Another-Horse-8" };
    const { status, body } = await service.send("PUT", "/org/update", { token: who.token, body: next });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: who.id,
      organization_name: next.organization_name,
      email: next.email,
      connection_details: `Collection: org_${next.organization_name}`,
      updated_at: rfc3339,
    });
    expect((await get(who.organization_name)).status).toBe(404);
    expect((await get(next.organization_name)).body).toEqual(body);
    expect((await signIn(who.email, who.password)).status).toBe(401);
    expect((await signIn(next.email, who.password)).status).toBe(401);
    const signedIn = await signIn(next.email, next.password);
    expect(signedIn.body).toMatchObject({ organization_id: who.id, organization_name: next.organization_name });
  });

  test.each(["organization_name", "email", "password"] as const)(
    "changes %s alone when the others are null, and the same when they are left out",
    async (field) => {
      const who = await service.join();
      for (const others of [{ organization_name: null, email: null, password: null }, {}]) {
        const before = (await get(who.organization_name)).body;
        const next = { ...newcomer(), password: `Another-Horse-${crypto.randomUUID()}` };
        const { status, body } = await service.send("PUT", "/org/update", {
          token: who.token,
          body: { ...others, [field]: next[field] },
        });
        expect(status).toBe(200);
        who[field] = next[field];
        const { updated_at, ...rest } = body;
        const { updated_at: _, ...unchanged } = before;
        expect(updated_at).toEqual(rfc3339);
        expect(rest).toEqual({
          ...unchanged,
          ...(field !== "password" && { [field]: next[field] }),
          ...(field === "organization_name" && { connection_details: `Collection: org_${next.organization_name}` }),
        });
        expect((await signIn(who.email, who.password)).status).toBe(200);
      }
    },
  );

  test("stores a name in lower case and takes its own name and email again, in any case", async () => {
    const who = await service.join("same");
    const { status, body } = await service.send("PUT", "/org/update", {
      token: who.token,
      body: { organization_name: who.organization_name.toUpperCase(), email: who.email.toUpperCase() },
    });
    expect(status).toBe(200);
    expect(body.organization_name).toBe(who.organization_name);
    expect(body.connection_details).toBe(`Collection: org_${who.organization_name}`);
    expect(body.email.toLowerCase()).toBe(who.email);
    expect((await signIn(who.email, who.password)).status).toBe(200);
    const other = await service.send("POST", "/org/create", { body: { ...newcomer(), email: who.email } });
    expectProblem(other, { status: 400, type: "email_taken", path: "/org/create" });
  });

  test.each([
    ["name", "organization_name", "organization_name_taken"],
    ["email", "email", "email_taken"],
  ] as const)("answers 400 'already exists' when the %s is another's, in any case", async (_what, field, type) => {
    const other = await service.join();
    const who = await service.join();
    const before = await get(who.organization_name);
    for (const value of [other[field], other[field].toUpperCase()]) {
      const answer = await service.send("PUT", "/org/update", { token: who.token, body: { [field]: value } });
      expectProblem(answer, { status: 400, type, path: "/org/update" });
      expect(answer.body.detail).toContain("already exists");
    }
    expect((await get(who.organization_name)).body).toEqual(before.body);
    expect((await signIn(other.email, other.password)).body.organization_id).toBe(other.id);
  });

  test("frees the old name and the old email for others", async () => {
    const who = await service.join("freed");
    const next = newcomer();
    await service.send("PUT", "/org/update", {
      token: who.token,
      body: { organization_name: next.organization_name, email: next.email },
    });
    const { organization_name, email, password } = who;
    const made = await service.send("POST", "/org/create", { body: { organization_name, email, password } });
    expect(made.status).toBe(201);
    // The collection's name has been another's until just now.
    expect(made.body.connection_details).toBe(`Collection: org_${organization_name}~2`);
  });

  test("takes the token of before the change", async () => {
    const who = await service.join();
    const body = { organization_name: newcomer().organization_name, email: newcomer().email, password: "Another-1" };
    expect((await service.send("PUT", "/org/update", { token: who.token, body })).status).toBe(200);
    expect((await service.send("DELETE", "/org/delete", { token: who.token })).status).toBe(204);
  });
});

describe("DELETE /org/delete", () => {
  test("answers 204 without a body; documents, records and the token are gone, name and email are free", async () => {
    const who = await service.join("gone");
    await service.db.collection(`org_${who.organization_name}`).insertMany([{ a: 1 }, { a: 2 }]);
    const answer = await service.send("DELETE", "/org/delete", { token: who.token });
    expect({ status: answer.status, text: answer.text }).toEqual({ status: 204, text: "" });
    expect((await get(who.organization_name)).status).toBe(404);
    expect((await signIn(who.email, who.password)).status).toBe(401);
    const again = await service.send("DELETE", "/org/delete", { token: who.token });
    expectProblem(again, { status: 401, type: "token_invalid", path: "/org/delete" });
    expect(await service.db.listCollections({ name: `org_${who.organization_name}` }).toArray()).toEqual([]);
    expect(
      await service.db.collection("organizations").countDocuments({ organization_name: who.organization_name }),
    ).toBe(0);
    expect(await service.db.collection("admin_users").countDocuments({ email: who.email })).toBe(0);
    const { organization_name, email, password } = who;
    const made = await service.send("POST", "/org/create", { body: { organization_name, email, password } });
    expect(made.status).toBe(201);
    expect(made.body.id).not.toBe(who.id);
    expect(await service.db.collection(`org_${who.organization_name}`).countDocuments()).toBe(0);
  });

  test("reads over a body", async () => {
    const { token } = await service.join();
    const answer = await service.send("DELETE", "/org/delete", { token, body: { organization_name: "other" } });
    expect(answer.status).toBe(204);
  });
});

describe("POST /admin/login", () => {
  test("answers 200 with a token of the right claims, never to be cached, for the email in any case", async () => {
    const who = await service.join();
    const { status, headers, body } = await signIn(who.email.toUpperCase(), who.password);
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: "bearer",
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^crt_[\w-]{64}$/),
      refresh_expires_in: 30 * 86_400,
      admin_id: id,
      organization_id: who.id,
      organization_name: who.organization_name,
    });
    expect(headers.get("cache-control")).toBe("no-store");
    const claims = readClaims(body.access_token);
    expect(claims).toEqual({
      admin_id: body.admin_id,
      organization_id: who.id,
      iat: expect.any(Number),
      exp: claims.iat + 3600,
      iss: "croupier",
      aud: "croupier",
      jti: expect.stringMatching(/.{16,}/),
      gen: 0,
      sid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(Math.abs(claims.iat - Date.now() / 1000)).toBeLessThan(5);
    expect(readClaims((await signIn(who.email, who.password)).body.access_token).jti).not.toBe(claims.jti);
  });

  test.each([
    ["an unknown email", { email: "nobody@example.com" }],
    ["a wrong password", { password: "Wrong-Horse-7" }],
  ])("answers 401 to %s, in the same words", async (_what, changes) => {
    const who = await service.join();
    const answer = await service.send("POST", "/admin/login", {
      body: { email: who.email, password: who.password, ...changes },
    });
    expectProblem(answer, { status: 401, type: "credentials_incorrect", path: "/admin/login" });
    expect(answer.body.detail).toStartWith("Incorrect email or password");
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  });

  test("takes the scheme of a token in any case", async () => {
    const { token } = await service.join();
    for (const scheme of ["bearer", "BEARER"]) {
      const answer = await service.send("PUT", "/org/update", {
        headers: { authorization: `${scheme} ${token}` },
        body: { password: "Another-Horse-8" },
      });
      expect(answer.status).toBe(200);
    }
  });
});
