import { type Db, type Document, ObjectId } from "mongodb";
import { admins } from "../../src/admin/store.ts";
import { operations } from "../../src/operation/store.ts";
import { organizations } from "../../src/organization/store.ts";
import { firstMeta, toStored } from "../../src/tenant/stored.ts";
import { type Belongings, findViolations } from "./invariants.ts";
import { type Answer, goodPassword, newcomer, send } from "./service.ts";

/** A service to send requests to, and its database. */
export type Target = { url: string; db: Db };
export type Credentials = { organization_name: string; email: string; password: string };
export type Tenant = Credentials & { id: string; token: string; belongings: Belongings };

/** Sends a create and returns what came back. */
export const create = ({ url }: Pick<Target, "url">, { organization_name, email, password }: Credentials) =>
  send(url, "POST", "/org/create", { body: { organization_name, email, password } });

export const signIn = ({ url }: Pick<Target, "url">, { email, password }: Pick<Credentials, "email" | "password">) =>
  send(url, "POST", "/admin/login", { body: { email, password } });

const get = ({ url }: Target, name: string) =>
  send(url, "GET", `/org/get?organization_name=${encodeURIComponent(name)}`);

const fail = (what: string, ...answers: Answer[]) =>
  new Error([what, ...answers.map(({ status, text }) => `${status} ${text}`)].join("; "));

/** Puts documents and an index of a tenant's own where the tenant is; in the shared collection, documents only. */
export async function furnish(db: Db, organizationId: string): Promise<Belongings> {
  const organization = await organizations(db).findOne({ _id: new ObjectId(organizationId) });
  const placement = organization!.placement!;
  const collection = db.client.db(placement.database).collection<Document>(placement.collection);
  const documents = [1, 2, 3].map((n) =>
    toStored(placement, {
      id: `${organizationId}-${n}`,
      fields: { n, created_at: new Date(n) },
      meta: firstMeta("furnished"),
    }),
  );
  await collection.insertMany(documents);
  const indexes = placement.tier === "starter" ? [] : ["by_n"];
  for (const name of indexes) await collection.createIndex({ n: 1 }, { name, unique: true });
  return { organizationId, documents, indexes };
}

/** Makes an organization with documents and signs its admin in. @throws Error when any of it is refused */
export async function settle(at: Target, who: Credentials = newcomer()): Promise<Tenant> {
  const made = await create(at, who);
  if (made.status !== 201) throw fail(`${who.organization_name} could not be created`, made);
  const signedIn = await signIn(at, who);
  if (signedIn.status !== 200) throw fail(`${who.email} could not sign in`, signedIn);
  const belongings = await furnish(at.db, made.body.id);
  return { ...who, id: made.body.id, token: signedIn.body.access_token, belongings };
}

/** Shows that name and email aren't burned: an organization can be made with them, and removed again. */
export async function assertReusable(at: Target, who: Credentials): Promise<void> {
  const made = await create(at, who);
  if (made.status !== 201) throw fail(`${who.organization_name} with ${who.email} is burned`, made);
  const signedIn = await signIn(at, who);
  const gone = await send(at.url, "DELETE", "/org/delete", { token: signedIn.body.access_token });
  if (gone.status !== 204) throw fail(`${who.organization_name} can't be removed again`, gone);
}

/** @throws Error that lists the violations if there are any */
export async function assertWhole({ db }: Target, belongings: Belongings[] = []): Promise<void> {
  const violations = await findViolations(db, belongings);
  if (violations.length > 0) throw new Error(violations.join("; "));
}

export type World = {
  /** Who is made, changed or removed. */
  tenant: Credentials & Partial<Tenant>;
  /** What the update asks for. */
  changes: Partial<Credentials>;
  /** Others, who must not notice. */
  others: Tenant[];
};

export type Scenario = {
  name: string;
  /** Every step that is passed when nothing fails, in order: `kind/step`. */
  path: string[];
  status: number;
  prepare(at: Target): Promise<World>;
  loseBefore?: string;
  request(url: string, world: World): Promise<Answer>;
  /** Looks at what is left once it is quiet. @returns what became of it @throws Error when it is neither of the two allowed */
  outcome(at: Target, world: World): Promise<string>;
};

const asked = (world: World): Credentials => ({ ...world.tenant, ...world.changes });
const belongingsOf = (tenants: Tenant[]) => tenants.map(({ belongings }) => belongings);

/** Made and working, or nothing of it there and the same create succeeds. */
async function createdOrNot(at: Target, { tenant, others }: World): Promise<string> {
  const found = await get(at, tenant.organization_name);
  if (found.status === 200) {
    await assertWhole(at, belongingsOf(others));
    const signedIn = await signIn(at, tenant);
    if (signedIn.status !== 200) throw fail("made, but its admin can't sign in", signedIn);
    const again = await create(at, tenant);
    if (again.status !== 400) throw fail("made twice", again);
    return "made";
  }
  await assertWhole(at, belongingsOf(others));
  await settle(at, { ...tenant });
  return "undone, the same create succeeds";
}

/** An update was refused or is undone: everything is as before, and what it asked for is as free as before. */
async function unchanged(at: Target, world: World): Promise<string> {
  const { tenant, others } = world;
  await assertWhole(at, belongingsOf([tenant as Tenant, ...others]));
  const found = await get(at, tenant.organization_name);
  if (found.body?.id !== tenant.id) throw fail("not found by its old name", found);
  const old = await signIn(at, tenant);
  if (old.status !== 200) throw fail("can't sign in as before", old);
  const wanted = asked(world);
  // An email that is another's is not to be tried: it may well sign that other in.
  const emails = [tenant.email, wanted.email].filter((email) => !others.some((other) => other.email === email));
  for (const email of new Set(emails)) {
    for (const password of new Set([tenant.password, wanted.password])) {
      const expected = email === tenant.email && password === tenant.password ? 200 : 401;
      const signedIn = await signIn(at, { email, password });
      if (signedIn.status !== expected) throw fail(`half changed: ${email} ${password}`, signedIn);
    }
  }
  return "unchanged";
}

/** Name, email, password, documents, indexes: all changed, and what was given up is free. */
async function changed(at: Target, world: World): Promise<string> {
  const { tenant, others } = world;
  const wanted = asked(world);
  await assertWhole(at, belongingsOf([tenant as Tenant, ...others]));
  const found = await get(at, wanted.organization_name);
  if (found.body?.id !== tenant.id || found.body.email !== wanted.email) throw fail("not found as asked for", found);
  if (found.body.connection_details !== `Collection: org_${wanted.organization_name}`)
    throw fail("stays behind", found);
  for (const email of new Set([tenant.email, wanted.email])) {
    for (const password of new Set([tenant.password, wanted.password])) {
      const expected = email === wanted.email && password === wanted.password ? 200 : 401;
      const signedIn = await signIn(at, { email, password });
      if (signedIn.status !== expected) throw fail(`half changed: ${email} ${password}`, signedIn);
    }
  }
  const email = wanted.email === tenant.email ? newcomer().email : tenant.email;
  if (wanted.organization_name !== tenant.organization_name) await assertReusable(at, { ...tenant, email });
  return "changed";
}

async function changedOrNot(at: Target, world: World): Promise<string> {
  const found = await get(at, asked(world).organization_name);
  const outcome = found.body?.id === world.tenant.id ? await changed(at, world) : await unchanged(at, world);
  // It isn't stuck: it can be removed, and then nothing of it is left.
  const { body } = await signIn(at, outcome === "changed" ? asked(world) : world.tenant);
  const gone = await send(at.url, "DELETE", "/org/delete", { token: body.access_token });
  if (gone.status !== 204) throw fail("can't be removed", gone);
  await assertWhole(at, belongingsOf(world.others));
  return outcome;
}

async function refused(at: Target, world: World): Promise<string> {
  const outcome = await unchanged(at, world);
  const { organization_name } = newcomer();
  // What was asked for and is nobody's is free.
  const email = world.others.some(({ email }) => email === world.changes.email)
    ? newcomer().email
    : world.changes.email;
  await assertReusable(at, { organization_name, email: email ?? newcomer().email, password: goodPassword });
  return outcome;
}

async function removed(at: Target, { tenant, others }: World): Promise<string> {
  await assertWhole(at, belongingsOf(others));
  const found = await get(at, tenant.organization_name);
  if (found.status !== 404) throw fail("still there", found);
  await assertReusable(at, { ...tenant });
  await assertWhole(at, belongingsOf(others));
  return "gone, name and email free";
}

async function nothingLeft(at: Target, world: World): Promise<string> {
  // The process died before it was lost.
  if ((await get(at, asked(world).organization_name)).status === 200) return await changedOrNot(at, world);
  // Its collection was lost sight of together with its record: that was done by hand.
  await at.db.dropCollection(`org_${world.tenant.organization_name}`).catch(() => {});
  await assertWhole(at, belongingsOf(world.others));
  await assertReusable(at, asked(world));
  return "nothing left, name and email free";
}

/** What a process leaves that stalls in the middle of a create and goes on after another has undone it. */
export async function leaveBehind(
  db: Db,
  who: Credentials,
  what: { organization?: boolean; admin?: boolean; collection?: boolean; provision?: "failed" | "succeeded" | "none" },
): Promise<{ organizationId: ObjectId; adminId: ObjectId }> {
  const [organizationId, adminId, now] = [new ObjectId(), new ObjectId(), new Date()];
  const { organization_name, email } = who;
  const collection = `org_${organization_name}`;
  const place = { region: "default", database: db.databaseName, collection };
  if (what.provision !== "none") {
    await operations(db).insertOne({
      _id: new ObjectId(),
      organization_id: organizationId,
      kind: "provision",
      step: "undo",
      status: what.provision ?? "failed",
      input: { admin_id: adminId },
      progress: {},
      lease: { owner: "stalled", token: "stalled", until: now, fence: 2 },
      error: null,
      history: what.collection ? [{ step: "storage", at: now, fence: 1 }] : [],
      created_at: now,
      finished_at: now,
    });
  }
  if (what.organization) {
    await organizations(db).insertOne({
      _id: organizationId,
      organization_name,
      email,
      created_at: now,
      updated_at: null,
      tier: "professional",
      region: "default",
      status: "provisioning",
      placement: { ...place, tier: "professional", key: organizationId.toHexString(), epoch: 1 },
      place_keys: [`default/${db.databaseName}/${collection}`],
    });
  }
  if (what.admin) {
    await admins(db).insertOne({
      _id: adminId,
      email,
      email_keys: [email.normalize("NFC").toLowerCase()],
      password: "$2b$04$LKV7wDCQhpCTRm6xW2DrC.Lr5c38dNkNjHJt3u4oKc3iUUu0sNzme",
      organization_id: organizationId.toHexString(),
      organization_name,
      created_at: now,
      updated_at: null,
    });
  }
  if (what.collection) await db.createCollection(collection);
  return { organizationId, adminId };
}

const steps = (kind: string, ...names: string[]) => names.map((name) => `${kind}/${name}`);
const put = (url: string, { tenant, changes }: World) =>
  send(url, "PUT", "/org/update", { body: changes, token: tenant.token ?? "" });

/** Every way through every flow. A test holds that no step of `flows` is missing here. */
export const scenarios: Scenario[] = [
  {
    name: "create",
    path: steps("provision", "organization", "admin", "storage", "activate"),
    status: 201,
    prepare: async (at) => ({ tenant: newcomer(), changes: {}, others: [await settle(at)] }),
    request: (url, { tenant }) => create({ url }, tenant),
    outcome: createdOrNot,
  },
  {
    name: "create, name taken",
    path: steps("provision", "organization", "undo"),
    status: 400,
    prepare: async (at) => {
      const other = await settle(at);
      return { tenant: { ...newcomer(), organization_name: other.organization_name }, changes: {}, others: [other] };
    },
    request: (url, { tenant }) => create({ url }, tenant),
    outcome: async (at, { tenant, others }) => {
      await assertWhole(at, belongingsOf(others));
      await assertReusable(at, { ...tenant, organization_name: newcomer().organization_name });
      return "undone, the email is free";
    },
  },
  {
    name: "create, email taken",
    path: steps("provision", "organization", "admin", "undo"),
    status: 400,
    prepare: async (at) => {
      const other = await settle(at);
      return { tenant: { ...newcomer(), email: other.email }, changes: {}, others: [other] };
    },
    request: (url, { tenant }) => create({ url }, tenant),
    outcome: async (at, { tenant, others }) => {
      await assertWhole(at, belongingsOf(others));
      await assertReusable(at, { ...tenant, email: newcomer().email });
      return "undone, the name is free";
    },
  },
  {
    name: "create over leftovers",
    path: [
      ...steps("provision", "organization", "undo"),
      ...steps("discard", "discard"),
      ...steps("provision", "organization", "admin", "storage", "activate"),
    ],
    status: 201,
    prepare: async (at) => {
      const tenant = newcomer();
      await leaveBehind(at.db, tenant, { organization: true, admin: true, collection: true });
      return { tenant, changes: {}, others: [] };
    },
    request: (url, { tenant }) => create({ url }, tenant),
    outcome: async (at, world) => {
      // Before anybody wants the name again, leftovers may stay.
      const found = await get(at, world.tenant.organization_name);
      if (found.status === 200) return await createdOrNot(at, world);
      const settled = await settle(at, { ...world.tenant });
      await assertWhole(at, [settled.belongings]);
      return "undone, the same create succeeds";
    },
  },
  {
    name: "rename",
    path: steps("update", "email", "organization", "admin", "place", "close", "seal", "rename", "placement"),
    status: 200,
    prepare: async (at) => ({
      tenant: await settle(at),
      changes: { organization_name: newcomer("new").organization_name },
      others: [await settle(at)],
    }),
    request: put,
    outcome: changedOrNot,
  },
  {
    name: "rename to the name that it has",
    path: steps("update", "email", "organization", "admin", "place", "open"),
    status: 200,
    prepare: async (at) => {
      const tenant = await settle(at);
      const changes = { organization_name: tenant.organization_name, password: "Another-Horse-8" };
      return { tenant, changes, others: [await settle(at)] };
    },
    request: put,
    outcome: changedOrNot,
  },
  {
    name: "rename with email and password",
    path: steps("update", "email", "organization", "admin", "place", "close", "seal", "rename", "placement"),
    status: 200,
    prepare: async (at) => ({
      tenant: await settle(at),
      changes: { ...newcomer("new"), password: "Another-Horse-8" },
      others: [await settle(at)],
    }),
    request: put,
    outcome: changedOrNot,
  },
  {
    name: "rename, name taken, with a new email",
    path: steps("update", "email", "organization", "undo_name_taken"),
    status: 400,
    prepare: async (at) => {
      const other = await settle(at);
      return {
        tenant: await settle(at),
        changes: { ...newcomer("new"), organization_name: other.organization_name, password: "Another-Horse-8" },
        others: [other],
      };
    },
    request: put,
    outcome: refused,
  },
  {
    name: "rename, email taken",
    path: steps("update", "email"),
    status: 400,
    prepare: async (at) => {
      const other = await settle(at);
      return { tenant: await settle(at), changes: { ...newcomer("new"), email: other.email }, others: [other] };
    },
    request: put,
    outcome: refused,
  },
  {
    name: "rename of an organization that is lost meanwhile",
    path: steps("update", "email", "organization", "undo_missing"),
    status: 404,
    loseBefore: "update/organization",
    prepare: async (at) => ({ tenant: await settle(at), changes: newcomer("new"), others: [await settle(at)] }),
    request: put,
    outcome: nothingLeft,
  },
  {
    name: "delete",
    path: steps("remove", "hide", "locate", "storage", "admins", "organization"),
    status: 204,
    prepare: async (at) => ({ tenant: await settle(at), changes: {}, others: [await settle(at)] }),
    request: (url, { tenant }) => send(url, "DELETE", "/org/delete", { token: tenant.token ?? "" }),
    outcome: removed,
  },
];
