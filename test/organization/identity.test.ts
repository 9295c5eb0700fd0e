import { describe, expect, test } from "bun:test";
import { expectProblem } from "../support/problem.ts";
import { newcomer, useService } from "../support/service.ts";
import { makeToken, readClaims } from "../support/token.ts";

const service = useService();
const create = (body: unknown) => service.send("POST", "/org/create", { body });
const update = (token: string, body: unknown) => service.send("PUT", "/org/update", { token, body });
const remove = (token: string) => service.send("DELETE", "/org/delete", { token });
const get = (name: string) => service.send("GET", `/org/get?organization_name=${name}`);
const signIn = (email: string, password: string) => service.send("POST", "/admin/login", { body: { email, password } });

/** Another organization under a name that is free again, with a document of its own. */
async function successor(organization_name: string, email = newcomer().email) {
  const who = { organization_name, email, password: "Successor-Horse-9" };
  const made = await create(who);
  expect(made.status).toBe(201);
  await service.db.collection(`org_${organization_name}`).insertOne({ of: made.body.id });
  const check = async () => {
    expect((await get(organization_name)).body).toEqual(made.body);
    expect(await service.db.collection(`org_${organization_name}`).countDocuments({ of: made.body.id })).toBe(1);
    expect((await signIn(email, who.password)).body.organization_id).toBe(made.body.id);
  };
  return { ...who, id: made.body.id, check };
}

describe("a token means an organization, never a name:", () => {
  test("after A is renamed and B takes the name, A's old token changes and deletes A, and B stays", async () => {
    const a = await service.join("acme");
    const moved = newcomer("moved").organization_name;
    await update(a.token, { organization_name: moved });
    const b = await successor(a.organization_name);

    const changed = await update(a.token, { email: newcomer().email });
    expect(changed.body).toMatchObject({ id: a.id, organization_name: moved });
    expectProblem(await update(a.token, { organization_name: b.organization_name }), {
      status: 400,
      type: "organization_name_taken",
      path: "/org/update",
    });
    await b.check();
    expect((await remove(a.token)).status).toBe(204);
    await b.check();
    expect((await get(moved)).status).toBe(404);
  });

  test("after A is deleted and B takes name, email and password, A's old token is refused and B stays", async () => {
    const a = await service.join("acme");
    await remove(a.token);
    const b = await successor(a.organization_name, a.email);
    for (const answer of [
      await update(a.token, { organization_name: "stolen-name" }),
      await update(a.token, { email: "eve@example.com", password: "Stolen-Horse-1" }),
      await remove(a.token),
    ]) {
      expectProblem(answer, { status: 401, type: "token_invalid", path: answer.body.instance });
    }
    await b.check();
    expect((await get("stolen-name")).status).toBe(404);
  });

  test("after A renames, B takes the name and renames too, A takes it back: each token means its own", async () => {
    const a = await service.join("acme");
    const name = a.organization_name;
    await service.db.collection(`org_${name}`).insertOne({ of: a.id });
    await update(a.token, { organization_name: newcomer().organization_name });
    const b = await service.join("other");
    await service.db.collection(`org_${b.organization_name}`).insertOne({ of: b.id });
    expect((await update(b.token, { organization_name: name })).body.id).toBe(b.id);
    expect((await update(b.token, { organization_name: newcomer().organization_name })).body.id).toBe(b.id);
    const { body: back } = await update(a.token, { organization_name: name });
    expect(back.id).toBe(a.id);
    const collection = back.connection_details.replace("Collection: ", "");
    expect(
      await service.db
        .collection(collection)
        .find()
        .map(({ of }) => of)
        .toArray(),
    ).toEqual([a.id]);
    expect((await remove(b.token)).status).toBe(204);
    expect(
      await service.db
        .collection(collection)
        .find()
        .map(({ of }) => of)
        .toArray(),
    ).toEqual([a.id]);
    expect((await get(name)).body.id).toBe(a.id);
  });

  test("after A hands its email to B, each signs in to its own", async () => {
    const a = await service.join("acme");
    const email = newcomer().email;
    await update(a.token, { email });
    const b = await successor(newcomer().organization_name, a.email);
    expect((await signIn(email, a.password)).body.organization_id).toBe(a.id);
    expect((await signIn(a.email, a.password)).status).toBe(401);
    expect((await update(a.token, { password: "Another-Horse-8" })).status).toBe(200);
    await b.check();
    expect((await remove(a.token)).status).toBe(204);
    await b.check();
  });

  test("a name in a token, even one that is signed, decides nothing", async () => {
    const a = await service.join("acme");
    const b = await successor(newcomer("target").organization_name);
    const secret = service.running.deps.config.jwt.secrets[0]!;
    const claims = { ...readClaims(a.token), organization_name: b.organization_name, email: b.email, sub: b.id };
    const token = makeToken(claims, secret, { alg: "HS256" });
    expect((await update(token, { password: "Another-Horse-8" })).body.id).toBe(a.id);
    expect((await remove(token)).status).toBe(204);
    await b.check();
  });

  test("ids of two organizations in one token are refused, whichever is named first", async () => {
    const a = await service.join("acme");
    const b = await service.join("other");
    const secret = service.running.deps.config.jwt.secrets[0]!;
    for (const [first, second] of [
      [a, b],
      [b, a],
    ] as const) {
      const claims = { ...readClaims(first.token), organization_id: second.id };
      const answer = await remove(makeToken(claims, secret, { alg: "HS256" }));
      expectProblem(answer, { status: 401, type: "token_invalid", path: "/org/delete" });
    }
    expect((await get(a.organization_name)).status).toBe(200);
    expect((await get(b.organization_name)).status).toBe(200);
  });

  test("while A deletes and B creates under the same name again and again, no request of A touches a B", async () => {
    const name = newcomer("hot").organization_name;
    const first = { ...newcomer(), organization_name: name };
    await create(first);
    let token = (await signIn(first.email, first.password)).body.access_token as string;
    for (let round = 0; round < 6; round++) {
      const next = { ...newcomer(), organization_name: name };
      const old = token;
      const taking = (async () => {
        for (;;) {
          const answer = await create(next);
          // The name isn't free yet, or the create was undone as its process was too slow.
          if (answer.status !== 400 && answer.status !== 503) return answer;
        }
      })();
      const [removed, made, ...late] = await Promise.all([
        remove(old),
        taking,
        update(old, { password: "Stolen-Horse-1" }),
        remove(old),
        taking.then(() => remove(old)),
        taking.then(() => update(old, { email: newcomer("stolen").email })),
      ]);
      expect(made.status).toBe(201);
      expect([removed.status, late[1]!.status].filter((status) => status === 204)).toHaveLength(1);
      expect(late.slice(2).map(({ status }) => status)).toEqual([401, 401]);
      expect((await get(name)).body).toEqual(made.body);
      token = (await signIn(next.email, next.password)).body.access_token;
      expect(token).toBeString();
    }
  }, 60_000);
});
