import type { Document } from "bson";
import type { Random } from "../random.ts";
import { goodPassword } from "../service.ts";
import { type Access, type Answer, ask, type Targets } from "./client.ts";
import { createRecorder, type Recorder } from "./history.ts";
import { listIndexes, type Platform, startMove, type Tier } from "./tenant.ts";
import { preload, startWorkload, type Workload } from "./workload.ts";

/** One organization from its making to its removal. What its documents name as their owner is its alone. */
export type Instance = {
  owner: string;
  id: string;
  name: string;
  email: string;
  access: Access;
  workload: Workload;
  /** Its indexes, as they are listed, by name. */
  indexes: Map<string, string>;
  /** Names of indexes that were asked for, or to be dropped, without an answer: it may come to that later. */
  doubtful: Set<string>;
  bulks: Bulk[];
  /** From when on nobody needs to be let in: it was asked for its removal. */
  removingMs: number;
  /** When it was said to be removed. */
  removedMs: number | null;
};

/** Many documents in one request. They are counted, and have no history of their own. */
export type Bulk = { number: number; size: number; outcome: "ok" | "unknown"; ended: Promise<void> };

/** A request about an organization as a whole. */
export type Call = { of: string; what: string; status: number | null; code: string; startMs: number; endMs: number };

/** What the lines of a run share. */
export type World = {
  seed: number;
  platform: Platform;
  /** Those that a request may go to; one of them is the one that faults hit. */
  targets: Targets;
  recorder: Recorder;
  instances: Instance[];
  nextNumber(): number;
  wrong(rule: string, message: string): void;
  calls: Call[];
  /** How many things happen to each line; fewer when it is over before. */
  actions: number;
  isOver(): boolean;
};

const names = ["acme", "bolt", "crux", "dune"];
/** One name is always free, the one that was given up last: so whoever wants another takes that. */
export const lines = names.length - 1;
/** The process that faults hit may not answer for long; the others do, in the end. */
const [hitMs, callMs] = [4_000, 25_000];
/** An organization that is being moved answers only when the move has ended. */
const insistMs = 5 * 60_000;

const expected: Record<string, number[]> = {
  create: [201, 400, 503],
  "sign in": [200, 401, 503],
  rename: [200, 400, 503],
  remove: [204, 401, 503],
  "create index": [201, 409, 503],
  "drop index": [204, 404, 503],
  bulk: [201, 503],
};

/** What no caller could expect. */
export const isOdd = ({ what, status }: Call, removing: boolean): boolean =>
  status !== null && !expected[what]!.includes(status) && !(removing && (status === 401 || status === 404));

type Asked = { of: string; what: string; token?: string; body?: unknown; withinMs?: number; process?: number };

/** The one that faults hit is asked often. */
const someProcess = ({ targets }: World, random: Random): number =>
  random.next() < 0.4 ? 0 : Math.floor(random.next() * targets.length);

async function call(world: World, random: Random, route: [string, string], asked: Asked): Promise<Answer> {
  const { of, what, token = "", body, process = someProcess(world, random) } = asked;
  const { withinMs = process === 0 ? hitMs : callMs } = asked;
  const access = { token, targets: world.targets, recorder: world.recorder };
  const answer = await ask(access, { client: of, process }, route, { withinMs, ...(body !== undefined && { body }) });
  const { startMs, endMs, status, code } = answer;
  world.calls.push({ of, what, status, code, startMs, endMs });
  return answer;
}

/** Asks one process after the other until one says what has become of it. @throws Error when none does in time */
async function insist(world: World, random: Random, route: [string, string], asked: Asked): Promise<Answer> {
  const deadline = performance.now() + insistMs;
  let process = someProcess(world, random);
  for (;;) {
    const answer = await call(world, random, route, { ...asked, process });
    if (answer.status !== null && answer.status !== 503) return answer;
    if (performance.now() > deadline) throw new Error(`${asked.what} of ${asked.of} was never answered`);
    process = (process + 1) % world.targets.length;
    await Bun.sleep(random.between(20, 150));
  }
}

/** Makes an organization of this name, or of one that nobody has when it isn't to be had, and begins to use it. */
async function bear(world: World, random: Random, wanted: string): Promise<Instance> {
  const number = world.nextNumber();
  const owner = `i${number}`;
  const who = { email: `${owner}@example.com`, password: goodPassword };
  const patience = performance.now() + 8_000;
  let name = wanted;
  let signedIn: Answer | null = null;
  while (!signedIn) {
    const body = { organization_name: name, ...who };
    const made = await insist(world, random, ["POST", "/org/create"], { of: owner, what: "create", body });
    const answer = await insist(world, random, ["POST", "/admin/login"], { of: owner, what: "sign in", body: who });
    if (answer.status === 200) signedIn = answer;
    else if (made.status === 201) throw new Error(`${owner} was made and can't sign in`);
    else if (performance.now() > patience) name = `${wanted}-${number}`;
    else if (random.next() < 0.3) name = random.pick(names);
  }
  const { access_token: token, organization_id: id } = signedIn.body;
  const { targets, recorder, seed } = world;
  const access: Access = {
    token,
    targets,
    recorder: createRecorder(recorder.now),
    listed: { size: { $exists: true } },
  };
  const instance: Instance = {
    ...{
      owner,
      id,
      name,
      access,
      email: who.email,
      indexes: new Map(),
      doubtful: new Set(),
      bulks: [],
      removingMs: Infinity,
      removedMs: null,
    },
    workload: { stop: async () => {}, hotKeys: [] },
  };
  world.instances.push(instance);
  // What isn't acknowledged here may be there or not.
  const otherKeys = await preload(access, owner, 20).catch(() => ['"before-0000"']);
  await compareIndexes(world, instance);
  instance.workload = startWorkload(access, { owner, seed: seed * 31 + number, clients: 2, otherKeys, pauseMs: 25 });
  return instance;
}

/** None of them was another's. */
async function compareIndexes({ platform, wrong }: World, { id, name, owner, access }: Instance): Promise<void> {
  const listed = await listIndexes(platform.urls()[0]!, { id, name, token: access.token }).catch(() => []);
  const others = listed.filter((index) => !index.startsWith(`${owner}_`));
  if (others.length > 0) wrong("inherited index", `${owner} has ${others.join(", ")}`);
}

async function rename(world: World, random: Random, instance: Instance): Promise<void> {
  const organization_name = random.pick(names);
  const asked = { of: instance.owner, what: "rename", token: instance.access.token, body: { organization_name } };
  const { status } = await insist(world, random, ["PUT", "/org/update"], asked);
  if (status === 200) instance.name = organization_name;
}

async function remove(world: World, random: Random, instance: Instance): Promise<void> {
  await compareIndexes(world, instance);
  instance.removingMs = world.recorder.now();
  const asked = { of: instance.owner, what: "remove", token: instance.access.token };
  await insist(world, random, ["DELETE", "/org/delete"], asked);
  instance.removedMs = world.recorder.now();
  void instance.workload.stop();
}

/** Tens of thousands of documents in one request, which others don't wait for. */
function bulk(world: World, random: Random, instance: Instance): void {
  const { owner, access, bulks } = instance;
  const [number, size] = [bulks.length + 1, Math.floor(random.between(10_000, 40_000))];
  const body = Array.from({ length: size }, (_, n): Document => {
    return { _id: `bulk-${number}-${n}`, owner, bulk: number, base: `${owner}/bulk.${number}.${n}` };
  });
  const one: Bulk = { number, size, outcome: "unknown", ended: Promise.resolve() };
  one.ended = call(world, random, ["POST", "/org/documents"], {
    ...{ of: owner, what: "bulk", token: access.token, body, withinMs: 60_000 },
  }).then(({ status }) => {
    if (status === 201) one.outcome = "ok";
  });
  bulks.push(one);
}

const tiers: Tier[] = ["starter", "professional", "professional", "enterprise"];
const move = ({ platform }: World, random: Random, { id }: Instance): void =>
  // It goes on by itself, and others come in between.
  void startMove(platform, { id, name: "", token: "" }, random.pick(tiers)).catch(() => {});

/** One organization after the other: each is renamed, moved and filled, and goes when the next of its name comes. */
export async function liveLine(world: World, random: Random, number: number): Promise<void> {
  let instance = await bear(world, random, names[number]!);
  let isDone = false;
  const changing = changeIndexes({ ...world, isOver: () => isDone }, random, () => instance);
  for (let left = world.actions; left > 0 && !world.isOver(); left--) {
    await Bun.sleep(random.between(50, 700));
    const what = random.next();
    if (what < 0.25) {
      bulk(world, random, instance);
      await Bun.sleep(random.between(300, 1_200));
    }
    if (what < 0.55) await rename(world, random, instance);
    else if (what < 0.85) {
      await remove(world, random, instance);
      instance = await bear(world, random, instance.name);
    } else move(world, random, instance);
  }
  isDone = true;
  await changing;
}

/** The values of `base` are all different, so that no document is ever refused by this organization's own index. */
const indexed = [
  { field: "size", unique: false },
  { field: "base", unique: true },
];

async function changeIndexes(world: World, random: Random, of: () => Instance): Promise<void> {
  while (!world.isOver()) {
    await Bun.sleep(random.between(300, 2_000));
    const { field, unique } = random.pick(indexed);
    const { indexes, doubtful, access, owner } = of();
    // By its name it is seen whose it is.
    const body = { key: { [field]: 1 }, unique, name: `${owner}_${field}` };
    const text = `${body.name} ${JSON.stringify(body.key)} ${unique ? "unique" : ""}`;
    const asked = { of: owner, token: access.token };
    const isThere = indexes.has(body.name);
    const { status } = isThere
      ? await call(world, random, ["DELETE", `/org/indexes/${body.name}`], { ...asked, what: "drop index" })
      : await call(world, random, ["POST", "/org/indexes"], { ...asked, what: "create index", body });
    if (status === null || status >= 500) doubtful.add(body.name);
    else if (status === 201) indexes.set(body.name, text);
    else indexes.delete(body.name);
  }
}

/** Drops the indexes of which it isn't known whether they are there. */
export async function settleIndexes(world: World, random: Random, instance: Instance): Promise<void> {
  const { indexes, doubtful, access, owner } = instance;
  for (const name of doubtful) {
    const asked = { of: owner, what: "drop index", token: access.token };
    await insist(world, random, ["DELETE", `/org/indexes/${name}`], asked);
    indexes.delete(name);
  }
}
