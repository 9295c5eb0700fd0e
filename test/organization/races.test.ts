import { describe, expect, test } from "bun:test";
import { expectProblem } from "../support/problem.ts";
import { type Answer, goodPassword, newcomer, useService } from "../support/service.ts";
import { counts, snapshot } from "../support/snapshot.ts";

const service = useService();
const create = (body: unknown) => service.send("POST", "/org/create", { body });
const update = (token: string, body: unknown) => service.send("PUT", "/org/update", { token, body });
const remove = (token: string) => service.send("DELETE", "/org/delete", { token });
const get = (name: string) => service.send("GET", `/org/get?organization_name=${name}`);
const signIn = (email: string, password = goodPassword) =>
  service.send("POST", "/admin/login", { body: { email, password } });
const atOnce = <T>(count: number, run: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => run(n)));
const statuses = (answers: Answer[]) => {
  const each = Object.groupBy(answers, ({ status }) => String(status));
  return Object.fromEntries(Object.entries(each).map(([status, list]) => [status, list!.length]));
};

/** What changed in each collection between two counts; only collections that changed. */
const grown = (before: Record<string, number>, after: Record<string, number>) =>
  Object.fromEntries(
    [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .filter((name) => before[name] !== after[name])
      .map((name) => [name, after[name] === undefined ? "gone" : after[name] - (before[name] ?? 0)]),
  );

describe("50 creates at once", () => {
  test("of one name, in both cases: one is made, 49 are told 'already exists', nothing else is left", async () => {
    const before = await counts(service.db);
    const name = newcomer("wanted").organization_name;
    const answers = await atOnce(50, (n) =>
      create({ ...newcomer(), organization_name: n % 2 ? name : name.toUpperCase() }),
    );
    expect(statuses(answers)).toEqual({ 201: 1, 400: 49 });
    for (const answer of answers.filter(({ status }) => status === 400)) {
      expectProblem(answer, { status: 400, type: "organization_name_taken", path: "/org/create" });
      expect(answer.body.detail).toContain("already exists");
    }
    const made = answers.find(({ status }) => status === 201)!.body;
    expect((await get(name)).body).toEqual(made);
    expect((await signIn(made.email)).body.organization_id).toBe(made.id);
    expect(grown(before, await counts(service.db))).toEqual({
      organizations: 1,
      admin_users: 1,
      sessions: 1,
      [`org_${name}`]: 0,
    });
  });

  test("of one email, in both cases: one is made, 49 are told 'already exists', their names stay free", async () => {
    const before = await counts(service.db);
    const { email } = newcomer("wanted");
    const wanted = Array.from({ length: 50 }, () => newcomer("name"));
    const answers = await atOnce(50, (n) =>
      create({ ...wanted[n], email: n % 2 ? email : email.replace("wanted", "WANTED") }),
    );
    expect(statuses(answers)).toEqual({ 201: 1, 400: 49 });
    for (const answer of answers.filter(({ status }) => status === 400)) {
      expectProblem(answer, { status: 400, type: "email_taken", path: "/org/create" });
    }
    const made = answers.find(({ status }) => status === 201)!.body;
    expect((await signIn(email)).body.organization_id).toBe(made.id);
    expect(grown(before, await counts(service.db))).toEqual({
      organizations: 1,
      admin_users: 1,
      // Of the sign-in.
      sessions: 1,
      [`org_${made.organization_name}`]: 0,
    });
    const free = wanted.find(({ organization_name }) => organization_name !== made.organization_name)!;
    expect((await create(free)).body.connection_details).toBe(`Collection: org_${free.organization_name}`);
  }, 60_000);

  test("of one and the same request: one is made", async () => {
    const before = await counts(service.db);
    const who = newcomer("twin");
    const answers = await atOnce(50, () => create(who));
    expect(statuses(answers)).toEqual({ 201: 1, 400: 49 });
    expect(grown(before, await counts(service.db))).toEqual({
      organizations: 1,
      admin_users: 1,
      [`org_${who.organization_name}`]: 0,
    });
  });

  test("of different organizations: all are made, each with its own", async () => {
    const wanted = Array.from({ length: 50 }, () => newcomer("many"));
    const answers = await atOnce(50, (n) => create(wanted[n]));
    expect(statuses(answers)).toEqual({ 201: 50 });
    for (const [n, { body }] of answers.entries()) {
      expect(body.connection_details).toBe(`Collection: org_${wanted[n]!.organization_name}`);
    }
  }, 60_000);
});

describe("renames at once", () => {
  test("of two organizations to one name: one gets it, the other stays whole", async () => {
    for (let round = 0; round < 3; round++) {
      const both = [await service.join("left"), await service.join("right")];
      for (const { organization_name } of both) {
        const collection = service.db.collection<{ _id: number }>(`org_${organization_name}`);
        await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
        await collection.createIndex({ own: 1 }, { name: `own_${organization_name}` });
      }
      const before = await Promise.all(both.map(({ organization_name }) => get(organization_name)));
      const name = newcomer("goal").organization_name;
      const email = newcomer("goal").email;
      const answers = await atOnce(2, (n) =>
        update(both[n]!.token, { organization_name: name, email: `${n}${email}` }),
      );
      expect(statuses(answers)).toEqual({ 200: 1, 400: 1 });
      const won = answers.findIndex(({ status }) => status === 200);
      const winner = both[won]!;
      const loser = both[1 - won]!;
      expectProblem(answers[1 - won]!, { status: 400, type: "organization_name_taken", path: "/org/update" });

      expect((await get(loser.organization_name)).body).toEqual(before[1 - won]!.body);
      expect((await signIn(loser.email)).body.organization_id).toBe(loser.id);
      expect((await signIn(`${1 - won}${email}`)).status).toBe(401);
      expect((await get(name)).body).toMatchObject({ id: winner.id, connection_details: `Collection: org_${name}` });
      expect((await get(winner.organization_name)).status).toBe(404);
      for (const [who, collection] of [
        [loser, `org_${loser.organization_name}`],
        [winner, `org_${name}`],
      ] as const) {
        expect(await service.db.collection(collection).countDocuments()).toBe(2);
        expect(await service.db.collection(collection).indexExists(`own_${who.organization_name}`)).toBe(true);
      }
      expect((await update(loser.token, { email: `${1 - won}${email}` })).status).toBe(200);
    }
  }, 60_000);

  test("of 20 organizations to one name: one gets it, 19 are told 'already exists' and stay", async () => {
    const all = await atOnce(20, () => service.join("crowd"));
    const before = await counts(service.db);
    const name = newcomer("goal").organization_name;
    const answers = await atOnce(20, (n) => update(all[n]!.token, { organization_name: name }));
    expect(statuses(answers)).toEqual({ 200: 1, 400: 19 });
    const winner = all[answers.findIndex(({ status }) => status === 200)]!;
    expect(grown(before, await counts(service.db))).toEqual({
      [`org_${winner.organization_name}`]: "gone",
      [`org_${name}`]: 0,
      retired_places: 1,
    });
    for (const { organization_name } of all.filter((each) => each !== winner)) {
      expect((await get(organization_name)).body.connection_details).toBe(`Collection: org_${organization_name}`);
    }
  }, 60_000);

  test("of 20 admins to one email, in both cases: one gets it, 19 are told 'already exists' and keep theirs", async () => {
    const all = await atOnce(20, () => service.join("crowd"));
    const { email } = newcomer("goal");
    const answers = await atOnce(20, (n) =>
      update(all[n]!.token, { email: n % 2 ? email : email.replace("goal", "GOAL") }),
    );
    expect(statuses(answers)).toEqual({ 200: 1, 400: 19 });
    for (const answer of answers.filter(({ status }) => status === 400)) {
      expectProblem(answer, { status: 400, type: "email_taken", path: "/org/update" });
    }
    const winner = all[answers.findIndex(({ status }) => status === 200)]!;
    expect((await signIn(email)).body.organization_id).toBe(winner.id);
    for (const each of all) expect((await signIn(each.email)).status).toBe(each === winner ? 401 : 200);
  }, 60_000);

  test("of two that swap their names by way of a third: every document stays with its organization", async () => {
    const a = await service.join("swap");
    const b = await service.join("swap");
    for (const { organization_name, id } of [a, b]) {
      await service.db.collection(`org_${organization_name}`).insertOne({ of: id });
    }
    // Each takes the other's name as soon as it is free.
    const take = async (token: string, name: string) => {
      for (;;) {
        const answer = await update(token, { organization_name: name });
        if (answer.status !== 400) return answer;
      }
    };
    const third = newcomer("third").organization_name;
    const [first, second] = await Promise.all([
      update(a.token, { organization_name: third }).then(() => take(a.token, b.organization_name)),
      take(b.token, a.organization_name),
    ]);
    expect([first.status, second.status]).toEqual([200, 200]);
    for (const { body } of [first, second]) {
      const collection = (await get(body.organization_name)).body.connection_details.replace("Collection: ", "");
      expect(
        await service.db
          .collection(collection)
          .find()
          .map(({ of }) => of)
          .toArray(),
      ).toEqual([body.id]);
    }
  }, 60_000);

  test("and a create of the old name: the data goes along, and the newcomer starts empty", async () => {
    for (let round = 0; round < 5; round++) {
      const old = await service.join("moving");
      await service.db.collection(`org_${old.organization_name}`).insertOne({ of: old.id });
      const name = newcomer("moved").organization_name;
      const request = { ...newcomer(), organization_name: old.organization_name };
      const taking = (async () => {
        for (;;) {
          const answer = await create(request);
          if (answer.status !== 400) return answer;
        }
      })();
      const [renamed, made] = await Promise.all([update(old.token, { organization_name: name }), taking]);
      expect([renamed.status, made.status]).toEqual([200, 201]);
      const holds = async (details: string) =>
        (await service.db.collection(details.replace("Collection: ", "")).find().toArray()).map(({ of }) => of);
      expect(renamed.body.connection_details).not.toBe(made.body.connection_details);
      expect(await holds(renamed.body.connection_details)).toEqual([old.id]);
      expect(await holds(made.body.connection_details)).toEqual([]);
    }
  }, 60_000);
});

describe("an update is all or nothing:", () => {
  test("a free name with a taken email changes neither, and the name stays free", async () => {
    const other = await service.join();
    const who = await service.join();
    const before = await snapshotWithoutOperations();
    const free = newcomer("free");
    const answer = await update(who.token, {
      organization_name: free.organization_name,
      email: other.email.toUpperCase(),
      password: "Another-Horse-8",
    });
    expectProblem(answer, { status: 400, type: "email_taken", path: "/org/update" });
    expect(await snapshotWithoutOperations()).toBe(before);
    expect((await signIn(who.email)).status).toBe(200);
    expect((await create(free)).body.connection_details).toBe(`Collection: org_${free.organization_name}`);
  });

  test("a taken name with a free email changes neither, and the email is free afterwards", async () => {
    const other = await service.join();
    const who = await service.join();
    const before = await snapshotWithoutOperations();
    const free = newcomer("free");
    const answer = await update(who.token, {
      organization_name: other.organization_name,
      email: free.email,
      password: "Another-Horse-8",
    });
    expectProblem(answer, { status: 400, type: "organization_name_taken", path: "/org/update" });
    expect(await snapshotWithoutOperations()).toBe(before);
    expect((await signIn(who.email)).status).toBe(200);
    expect((await signIn(free.email)).status).toBe(401);
    expect((await create(free)).status).toBe(201);
  });

  test("a taken name with the own email in another case changes neither, and the email stays taken", async () => {
    const other = await service.join();
    const who = await service.join();
    const before = await snapshotWithoutOperations();
    const email = who.email.toUpperCase();
    const answer = await update(who.token, { organization_name: other.organization_name, email });
    expectProblem(answer, { status: 400, type: "organization_name_taken", path: "/org/update" });
    expect(await snapshotWithoutOperations()).toBe(before);
    expect((await create({ ...newcomer(), email })).status).toBe(400);
    expect((await signIn(who.email)).status).toBe(200);
  });

  /** Operations record what was tried, and a guard counts who tried; nothing else may differ. */
  const snapshotWithoutOperations = async () => {
    const kept = JSON.parse(await snapshot(service.db), (field, value) => (field === "guard" ? undefined : value));
    return JSON.stringify(kept.filter(({ name }: { name: string }) => name !== "operations"));
  };
});

describe("several clients of one organization at once", () => {
  test("that rename it: each is answered with its own name, in some order, and the last one stays", async () => {
    const who = await service.join("many");
    await service.db.collection(`org_${who.organization_name}`).insertOne({ kept: true });
    const names = Array.from({ length: 20 }, () => newcomer("next").organization_name);
    const answers = await atOnce(20, (n) => update(who.token, { organization_name: names[n] }));
    expect(statuses(answers)).toEqual({ 200: 20 });
    const found = await Promise.all(names.map(get));
    expect(statuses(found)).toEqual({ 200: 1, 404: 19 });
    const { body } = found.find(({ status }) => status === 200)!;
    expect(body.connection_details).toBe(`Collection: org_${body.organization_name}`);
    expect(await service.db.collection(`org_${body.organization_name}`).countDocuments()).toBe(1);
    const left = await service.db.listCollections({}, { nameOnly: true }).toArray();
    const names_ = new Set([who.organization_name, ...names].map((name) => `org_${name}`));
    expect(left.filter(({ name }) => names_.has(name)).map(({ name }) => name)).toEqual([
      `org_${body.organization_name}`,
    ]);
    const admin = await service.db.collection("admin_users").findOne({ organization_id: who.id });
    expect(admin?.organization_name).toBe(body.organization_name);
  }, 60_000);

  test("that change its email and password: the pair of one of them signs in, and no other", async () => {
    const who = await service.join();
    const wanted = Array.from({ length: 6 }, (_, n) => ({ email: newcomer("mail").email, password: `Horse-Nr-${n}` }));
    const answers = await atOnce(6, (n) => update(who.token, wanted[n]));
    expect(statuses(answers)).toEqual({ 200: 6 });
    const attempts = wanted.flatMap(({ email }) => wanted.map(({ password }) => ({ email, password })));
    const signedIn = await Promise.all(attempts.map(({ email, password }) => signIn(email, password)));
    const worked = attempts.filter((_, n) => signedIn[n]!.status === 200);
    expect(worked).toHaveLength(1);
    expect(wanted).toContainEqual(worked[0]!);
    const admin = await service.db.collection("admin_users").findOne({ organization_id: who.id });
    expect(admin).toMatchObject({ email: worked[0]!.email, email_keys: [worked[0]!.email] });
    expect((await service.db.collection("organizations").findOne({ email: worked[0]!.email }))?.organization_name).toBe(
      who.organization_name,
    );
    for (const { email } of wanted.filter(({ email }) => email !== worked[0]!.email)) {
      expect((await create({ ...newcomer(), email })).status).toBe(201);
    }
  }, 60_000);

  test("that delete it: it is deleted once, and the others hear that it is gone", async () => {
    const who = await service.join();
    const answers = await atOnce(6, () => remove(who.token));
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    for (const { status } of answers) expect([204, 401, 404]).toContain(status);
    expect((await get(who.organization_name)).status).toBe(404);
  }, 60_000);

  test("that delete, rename and update it: in the end it is gone, with every name, email and collection", async () => {
    for (let round = 0; round < 4; round++) {
      const who = await service.join("end");
      await service.db.collection(`org_${who.organization_name}`).insertOne({ kept: true });
      const next = [newcomer("end"), newcomer("end")];
      const [removed, ...others] = await Promise.all([
        remove(who.token),
        update(who.token, { organization_name: next[0]!.organization_name, email: next[0]!.email }),
        update(who.token, { organization_name: next[1]!.organization_name }),
        update(who.token, { password: "Another-Horse-8" }),
      ]);
      expect(removed!.status).toBe(204);
      for (const { status } of others) expect([200, 401, 404]).toContain(status);
      const names = [who, ...next].map(({ organization_name }) => organization_name);
      expect(statuses(await Promise.all(names.map(get)))).toEqual({ 404: 3 });
      const left = await service.db.listCollections({}, { nameOnly: true }).toArray();
      expect(left.filter(({ name }) => names.includes(name.replace("org_", "")))).toEqual([]);
      expect(await service.db.collection("admin_users").countDocuments({ organization_id: who.id })).toBe(0);
      for (const { organization_name, email } of [who, ...next]) {
        expect((await create({ organization_name, email, password: goodPassword })).status).toBe(201);
      }
    }
  }, 60_000);

  test("while others read: every answer shows it whole under one of its names", async () => {
    const who = await service.join("seen");
    const names = [who.organization_name, newcomer("seen").organization_name, newcomer("seen").organization_name];
    let renaming = true;
    const reader = async () => {
      while (renaming) {
        for (const name of names) {
          const { status, body } = await get(name);
          expect([200, 404]).toContain(status);
          if (status === 200) expect(body).toMatchObject({ id: who.id, organization_name: name, email: who.email });
        }
      }
    };
    const readers = [reader(), reader()];
    for (const name of [...names.slice(1), ...names]) {
      const answer = await update(who.token, { organization_name: name });
      expect(answer.status).toBe(200);
      // What was answered is seen from then on.
      expect((await get(name)).body).toEqual(answer.body);
    }
    renaming = false;
    await Promise.all(readers);
  }, 60_000);
});
