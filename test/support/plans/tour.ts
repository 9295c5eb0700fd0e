import { type Document, ObjectId } from "mongodb";
import { flows } from "../../../src/flows/index.ts";
import { createApp } from "../../../src/app.ts";
import { beginning, join } from "../../../src/audit/chain.ts";
import { findMissing, findNextChain, findStray } from "../../../src/audit/store.ts";
import { createAuditChores } from "../../../src/audit/tend.ts";
import { verify } from "../../../src/audit/verify.ts";
import { prepare } from "../../../src/prepare.ts";
import { createChores } from "../../../src/chores.ts";
import { depsOfCommand } from "../command-deps.ts";
import type { Deps } from "../../../src/deps.ts";
import { doctor } from "../../../src/fleet/doctor.ts";
import { driveAbandoned } from "../../../src/operation/drive.ts";
import { createRecountChore } from "../../../src/quota/count.ts";
import { scopes } from "../../../src/operator/key.ts";
import { createKey } from "../../../src/operator/create-key.ts";
import { revokeKey } from "../../../src/operator/revoke-key.ts";
import { listAll } from "../../../src/operator/store.ts";
import { chainedOrganizations } from "../../../src/organization/all/chained.ts";
import { createExpiryChore } from "../../../src/expiry.ts";
import { recoverByEmail } from "../../../src/session/recovery/create-recovery.ts";
import { inspect } from "../../../src/takeover/inspect.ts";
import { isTakenOver } from "../../../src/takeover/take-over.ts";
import { offerPlace, tiers } from "../../../src/tenant/placement.ts";
import { postponeRetired } from "../../../src/tenant/place/retired.ts";
import { settleNotes } from "../../../src/tenant/copy/journal.ts";
import { createInspectChore } from "../../../src/takeover/tend.ts";
import * as adminStore from "../../../src/admin/store.ts";
import { awaitBuildTurn } from "../../../src/operation/build-turn.ts";
import { findProvision, hasEnded } from "../../../src/operation/ended.ts";
import * as operationStore from "../../../src/operation/store.ts";
import { isInUse } from "../../../src/organization/store.ts";
import * as usageStore from "../../../src/quota/store.ts";
import * as processStore from "../../../src/process/store.ts";
import { plantLegacy } from "../legacy.ts";
import { newcomer, readAnswer } from "../service.ts";

const longAgo = new Date("2020-01-01T00:00:00Z");

/** Uses all that the service does at least once: every route, what a worker does beside, and the commands. */
export async function tour(deps: Deps): Promise<{ visited: Set<string>; routes: string[] }> {
  const app = createApp(deps);
  const { db } = deps;
  await deps.revocations.start();
  const visited = new Set<string>();
  const routes = app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`);
  const patterns = [...new Set(routes)].map((route) => {
    const [method, path] = route.split(" ") as [string, string];
    return { route, method, matches: new RegExp(`^${path.replaceAll(".", "\\.").replace(/:\w+/g, "[^/]+")}/?$`) };
  });
  const ask = async (method: string, path: string, token?: string, body?: unknown, headers: Document = {}) => {
    const plain = path.split("?")[0]!;
    for (const one of patterns) if (one.method === method && one.matches.test(plain)) visited.add(one.route);
    const init = {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    for (let attempt = 1; ; attempt++) {
      const answer = await readAnswer(await app.request(path, init));
      if (answer.status < 500 || path === "/readiness") return answer;
      if (attempt === 3) throw new Error(`${method} ${path} answered ${answer.status} ${answer.text}`);
    }
  };
  const join_ = async (hint: string) => {
    const who = newcomer(hint);
    const made = await ask("POST", "/org/create", undefined, who);
    const { body } = await ask("POST", "/admin/login", undefined, { email: who.email, password: who.password });
    if (!body?.access_token) throw new Error(`not signed in: ${JSON.stringify(body)}`);
    return { ...who, id: made.body.id as string, ...(body as { access_token: string; refresh_token: string }) };
  };
  const drive = () => driveAbandoned(deps, 60_000);
  const sweepNow = async () => {
    await db
      .collection("retired_places")
      .updateMany({ place: { $exists: true }, due_at: { $exists: true } }, { $set: { due_at: longAgo } });
    await createChores(deps)();
    await drive();
  };

  for (const path of ["/", "/health", "/readiness", "/.well-known/jwks.json", "/openapi.json", "/docs", "/redoc"]) {
    await ask("GET", path);
  }
  await ask("GET", "/docs/swagger-ui-dist/swagger-ui.css");

  // An admin, of the first name to the last.
  const one = await join_("tour");
  const token = one.access_token;
  await ask("POST", "/org/create", undefined, whoIs(one));
  await ask("GET", `/org/get?organization_name=${one.organization_name}`);
  await ask("POST", "/admin/login", undefined, { email: one.email, password: "Wrong-Horse-1" });
  await ask("GET", "/admin/me", token);
  await ask("PUT", "/org/allow-list", token, { cidrs: [] });
  await ask("GET", "/org/allow-list", token);
  await ask("GET", "/org/usage", token);
  const sent = { "idempotency-key": "tour-1" };
  for (const _ of [1, 2]) await ask("POST", "/org/documents", token, { _id: "kept", n: 1 }, sent);
  await ask("POST", "/org/documents", token, [
    { _id: "a", n: 1 },
    { _id: "b", n: 2 },
  ]);
  await ask("GET", "/org/documents?limit=1", token);
  await ask("POST", "/org/documents/find", token, { filter: { n: { $gt: 0 } } });
  await ask("POST", "/org/documents/count", token, {});
  await ask("POST", "/org/documents/aggregate", token, { pipeline: [{ $match: { n: 1 } }] });
  await ask("GET", "/org/documents/a", token);
  await ask("PUT", "/org/documents/a", token, { n: 3 });
  await ask("PATCH", "/org/documents/a", token, { n: 4 }, { "content-type": "application/merge-patch+json" });
  await ask("DELETE", "/org/documents/kept", token);
  await ask("POST", "/org/indexes", token, { key: { n: 1 } });
  await ask("GET", "/org/indexes", token);
  for (const query of [
    "",
    "?kind=index",
    "?act=session.sign_in",
    "?outcome=failure",
    "?kind=session&outcome=refused",
  ]) {
    await ask("GET", `/org/audit${query}`, token);
  }

  // Operators.
  const commands = depsOfCommand(db);
  const { key } = await createKey(commands, { name: "tour", scopes: [...scopes] });
  const other = await createKey(commands, { name: "another", scopes: ["organizations:read" as never] });
  await listAll(db);
  await revokeKey(commands, other.record._id);
  await revokeKey(commands, other.record._id);
  await ask("GET", "/platform/operations", key);
  const organization = `/platform/organizations/${one.id}`;
  const regions = [[], ["region=default"]];
  for (const region of regions) {
    for (const tier of [[], ...tiers.map((each) => [`tier=${each}`])]) {
      for (const status of [[], ["status=suspended"], ["status=active"]]) {
        await ask("GET", `/platform/organizations?${["limit=20", ...region, ...tier, ...status].join("&")}`, key);
      }
    }
  }
  await ask("GET", `/platform/organizations?name_prefix=tour-&tier=starter`, key);
  await ask("GET", `/platform/organizations?limit=5&cursor=${one.id}`, key);
  await ask("GET", organization, key);
  await ask("PUT", `${organization}/allow-list`, key, { cidrs: [] });
  for (const tier of ["starter", "enterprise", "starter"]) {
    const moved = await ask("POST", `${organization}/moves`, key, { tier });
    const id = moved.body?.id;
    await ask("GET", `/platform/operations/${id}`, key);
    await ask("POST", `/platform/operations/${id}/resume`, key);
    if (tier === "enterprise") await ask("POST", `/platform/operations/${id}/cancel`, key);
    await drive();
    await sweepNow();
  }
  // Now in the shared collection: indexes in common, and of one alone.
  const again = (await ask("POST", "/admin/login", undefined, { email: one.email, password: one.password })).body;
  await ask("POST", "/org/indexes", again.access_token, { key: { m: 1 } });
  await ask("POST", "/org/indexes", again.access_token, { key: { o: 1 }, unique: true });
  await ask("DELETE", "/org/indexes/m_1", again.access_token);
  const statuses = ["running", "stopped", "succeeded", "failed", "cancelled"].map((each) => [`status=${each}`]);
  for (const whose of [[], [`organization_id=${one.id}`]]) {
    for (const kind of [[], ["kind=move"], ["kind=discard"]]) {
      for (const status of [[], ...statuses]) {
        await ask("GET", `/platform/operations?${["limit=5", ...whose, ...kind, ...status].join("&")}`, key);
      }
    }
  }
  const chains = [[], [`organization_id=${one.id}`]];
  for (const chain of chains) {
    for (const act of [[], ["act=move.end"], ["kind=key"], ["act=access.refused"]]) {
      for (const outcome of [[], ["outcome=unknown"], ["outcome=success"]]) {
        const query = ["limit=5", ...chain, ...act, ...outcome].join("&");
        const { body } = await ask("GET", `/platform/audit?${query}`, key);
        if (body?.next_cursor)
          await ask("GET", `/platform/audit?${query}&cursor=${encodeURIComponent(body.next_cursor)}`, key);
      }
    }
  }
  await ask("GET", "/platform/audit?from=2026-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", key);
  await ask("POST", `${organization}/suspend`, key, {});
  await ask("POST", `${organization}/reactivate`, key);
  await ask("POST", `${organization}/revoke-tokens`, key);

  // A lost password.
  await recoverByEmail({ ...commands, config: deps.config }, one.email);
  const recovery = await ask("POST", `${organization}/recovery`, key);
  await ask("GET", "/admin/recovery");
  await ask("POST", "/admin/recovery", undefined, { token: recovery.body.token, password: one.password });
  await ask("POST", `${organization}/recovery`, key);

  // Sessions.
  const signIn = async () =>
    (await ask("POST", "/admin/login", undefined, { email: one.email, password: one.password })).body;
  const third = await signIn();
  const renew = () => ask("POST", "/admin/refresh", undefined, { refresh_token: third.refresh_token });
  const { body: refreshed } = await renew();
  await renew();
  const now = refreshed?.access_token ?? third.access_token;
  const listed = await ask("GET", "/admin/sessions", now);
  await ask("DELETE", `/admin/sessions/${listed.body?.sessions?.at(-1)?.id}`, now);
  await renew();
  const changed = await signIn();
  const update = {
    organization_name: `${one.organization_name}-x`,
    email: `x-${one.email}`,
    password: "Better-Horse-8",
  };
  await ask("PUT", "/org/update", changed.access_token, update);
  one.email = `y-${one.email}`;
  const { access_token } = (await ask("POST", "/admin/login", undefined, { ...update, organization_name: undefined }))
    .body;
  await ask("PUT", "/org/update", access_token, { email: one.email });
  one.password = update.password;
  await ask("POST", "/admin/logout", (await signIn()).access_token);
  await ask("POST", "/admin/logout-all", (await signIn()).access_token);
  await db.collection("sessions").updateMany({ admin_id: new ObjectId() }, { $set: { ended_at: longAgo } });
  await createExpiryChore(deps)();

  // Names that are taken, and what a create that failed has left.
  const left = await join_("left");
  await db
    .collection("operations")
    .updateOne({ organization_id: new ObjectId(left.id), kind: "provision" }, { $set: { status: "failed" } });
  await db.collection("organizations").updateOne({ _id: new ObjectId(left.id) }, { $set: { status: "provisioning" } });
  await ask("POST", "/org/create", undefined, { ...whoIs(left), email: newcomer("tour").email });

  await plantDamage(deps, one.id);
  await doctor(deps, { repair: true }, () => {});
  await plantLegacy(db, "tour-legacy", "Tour-Legacy@example.com");
  await plantLegacy(db, "tour-twin", "TOUR-LEGACY@example.com");
  await prepare(deps);
  await createInspectChore(deps)();
  await isTakenOver(db);
  await inspect(deps);
  await createChores(deps)();
  await drive();
  await createAuditChores(deps)();
  await db.collection("usage").updateMany({}, { $set: { due_at: longAgo, changed_at: longAgo } });
  await createRecountChore(deps, deps.usage!, 60_000)();
  await verify(deps, one.id, () => {});
  await askedRarely(deps, one.id);
  // What verifying all chains asks beside, a chain at a time.
  await findNextChain(db, await findNextChain(db, null));
  await findMissing(db, [one.id, new ObjectId().toHexString()]);
  await findStray(db);
  for await (const _ of chainedOrganizations(db).all()) break;
  await chainedOrganizations(db).mustHave(one.id);

  await ask("DELETE", "/org/delete", (await signIn()).access_token);
  await sweepNow();
  await deps.audit.flush();
  return { visited, routes: [...new Set(routes)] };
}

const nowhere = { masterDatabase: "nowhere", organizationId: "nobody", organizationName: "nobody" };

/** What is asked only in the middle of something long, or when something fails. */
async function askedRarely({ db }: Deps, id: string): Promise<void> {
  const operation = (await findProvision(db, new ObjectId(id)))!;
  await operationStore.extend(db, operation, 1);
  await awaitBuildTurn(db, operation);
  await operationStore.release(db, operation, 1);
  await operationStore.releaseFailed(db, operation, {
    pauseMs: 1,
    message: "",
    counts: true,
    stops: false,
    attemptsMax: 1,
  });
  await settleNotes(db, [new ObjectId()]);
  const admin = (await adminStore.findByEmail(db, "tour-legacy@example.com"))!;
  await adminStore.releaseEmail(db, { id: admin._id, guard: 0 }, "another@example.com");
  await adminStore.renewPassword(db, admin._id, "before", "after");
  await hasEnded(db, flows, new ObjectId());
  await operationStore.supersede(db, operation, { kind: "remove", step: "hide", input: {} }, "nobody", 1);
  await isInUse(db, "enterprise");
  const left = { _id: new ObjectId(), organization_id: operation.organization_id, due_at: longAgo };
  await postponeRetired(db, { ...left, placement: offerPlace("starter", nowhere, 1) }, "found");
  await processStore.remove(db, "nobody");
  const uncounted = { _id: new ObjectId(), documents: 0, bytes: 0, counting: { by: "nobody", until: longAgo } };
  await usageStore.postponeCount(db, uncounted, longAgo, 1);
  await usageStore.giveBack(db, [{ id: uncounted._id, less: { documents: 1, bytes: 1 } }], longAgo);
  await usageStore.removeAll(db);
}

const whoIs = ({ organization_name, email, password }: ReturnType<typeof newcomer>) => ({
  organization_name,
  email,
  password,
});

/** What chores and the doctor have to do something about. */
async function plantDamage({ db }: Deps, id: string): Promise<void> {
  const organizations = db.collection("organizations");
  const _id = new ObjectId(id);
  const dead = new ObjectId();
  await db.createCollection("org_nobody");
  await organizations.updateOne({ _id }, {
    $push: { place_keys: "default/nowhere/org_x" },
    $set: { move: { operation_id: dead, phase: "journal" } },
  } as never);
  const claim = { organization_name: `~claim~${dead}`, status: "deleting", place_keys: ["x/y/z"], placement: null };
  await organizations.insertOne({ _id: dead, ...claim, created_at: longAgo } as never);
  await db.collection("tenant_documents").dropIndex("tenant_id_1_created_at_1");
  const who = { kind: "system" as const, id: null };
  const act = {
    chain: new ObjectId().toHexString(),
    act: "session.sign_in" as const,
    outcome: "success" as const,
    who,
  };
  const entry = { ...act, at: longAgo, act_id: `tour-${dead}`, address: null, request_id: null, details: {} };
  await db.collection("audit_entries").insertMany(join(beginning, [entry]) as never);
  const { act_id: pending, ...rest } = { ...entry, act_id: `pending-${dead}` };
  await db.collection("audit_pending").insertOne({ ...rest, _id: pending, pending_since: longAgo } as never);
  const session = (await db.collection("sessions").findOne({}))!;
  await db.collection("sessions").updateOne({ _id: session._id }, { $set: { ended_at: longAgo } });
}
