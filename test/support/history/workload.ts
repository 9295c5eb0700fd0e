import { type Document, EJSON, ObjectId } from "bson";
import { createRandom, type Random } from "../random.ts";
import { type Access, type Caller, change, get, insert, insertMany, list } from "./client.ts";
import { documentOf, idOf, keyOf, patchFields } from "./document.ts";
import type { Event } from "./history.ts";

export type Workload = {
  /** Ends when the last answer has come. */
  stop(): Promise<void>;
  /** The ids that many write to at once. */
  hotKeys: string[];
};

/** Ids that are easily taken for each other, and some that the server has to order among other types. */
const hotIds = (random: Random): unknown[] => [
  ...["alpha", "beta", "42", "true", "with/slash and space", "ünïcode", '"quoted"', "0123456789abcdef01234567"],
  ...[0, 42, -7, 1.5, 2_000_000_000_000, true, new Date(1_700_000_000_000)],
  ...Array.from({ length: 5 }, (_, n) => new ObjectId(`${hex(random, 22)}0${n}`)),
];
const hex = (random: Random, length: number) =>
  Array.from({ length }, () => Math.floor(random.next() * 16).toString(16)).join("");

/** How often each thing is done. */
const weights: [what: keyof Actions, weight: number][] = [
  ["get", 25],
  ["replace", 18],
  ["patch", 16],
  ["delete", 8],
  ["insert", 12],
  ["insertFresh", 6],
  ["insertMany", 3],
  ["list", 5],
];
type Actions = ReturnType<typeof createActions>;

/** What is shared by the clients of one tenant: the ids in use, and the version that each document was last seen at. */
type Shared = { owner: string; hotKeys: string[]; otherKeys: string[]; versions: Map<string, string> };

function createActions(access: Access, shared: Shared, name: string, random: Random) {
  let serial = 0;
  const next = (): { value: string; body: Document } => {
    const value = `${shared.owner}/${name}.${++serial}`;
    return { value, body: documentOf(shared.owner, value, Math.floor(random.next() ** 3 * 2_000)) };
  };
  const caller = (): Caller => ({ client: name, process: Math.floor(random.next() * access.targets.length) });
  const someKey = () => random.pick(random.next() < 0.8 ? shared.hotKeys : shared.otherKeys);
  const freshKey = () => {
    const id = random.next() < 0.5 ? new ObjectId(hex(random, 24)) : `fresh-${name}-${++serial}`;
    shared.otherKeys.push(keyOf(id));
    return keyOf(id);
  };
  const learn = ({ seen, etag, key }: Event) => {
    if (seen && etag) shared.versions.set(seen.key, etag);
    if (seen && !shared.hotKeys.includes(seen.key) && key === null) shared.otherKeys.push(seen.key);
  };
  const withId = (key: string, { value, body }: ReturnType<typeof next>) => ({
    key,
    value,
    body: { _id: idOf(key), ...body },
  });
  /** Sometimes on condition that nobody has written since. */
  const maybeMatching = (key: string) => {
    const ifMatch = shared.versions.get(key);
    return ifMatch && random.next() < 0.3 ? { ifMatch } : {};
  };
  /** Sometimes safe to send again. */
  const maybeAgain = () => (random.next() < 0.5 ? { again: `${shared.owner}-${name}-${++serial}` } : {});

  return {
    get: async () => learn(await get(access, caller(), someKey())),
    replace: async () => {
      const key = someKey();
      learn(await change(access, caller(), { kind: "replace", key, ...next(), ...maybeMatching(key) }));
    },
    patch: async () => {
      const [key, field, { value }] = [someKey(), random.pick(patchFields), next()];
      const body = { [field]: value };
      learn(await change(access, caller(), { kind: "patch", key, field, value, body, ...maybeMatching(key) }));
    },
    delete: async () => {
      const key = someKey();
      learn(await change(access, caller(), { kind: "delete", key, ...maybeMatching(key) }));
    },
    insert: async () =>
      learn(await insert(access, caller(), { ...withId(random.pick(shared.hotKeys), next()), ...maybeAgain() })),
    insertFresh: async () => {
      const wanted = random.next() < 0.5 ? withId(freshKey(), next()) : { key: null, ...next() };
      learn(await insert(access, caller(), { ...wanted, ...maybeAgain() }));
    },
    insertMany: async () => {
      const keys = [freshKey(), random.pick(shared.hotKeys), freshKey()];
      await insertMany(
        access,
        caller(),
        keys.map((key) => withId(key, next())),
      );
    },
    list: async () => void (await list(access, caller(), Math.floor(random.between(60, 200)))),
  };
}

/** Puts documents there before anything begins; they are part of the history. @throws Error when one is refused */
export async function preload(access: Access, owner: string, count: number): Promise<string[]> {
  const wanted = Array.from({ length: count }, (_, n) => {
    const [key, value] = [keyOf(`before-${String(n).padStart(4, "0")}`), `${owner}/before.${n}`];
    return { key, value, body: { _id: idOf(key), ...documentOf(owner, value, n % 500) } };
  });
  const already = access.recorder.events.length;
  for (let from = 0; from < count; from += 100) {
    await insertMany(access, { client: "before", process: 0 }, wanted.slice(from, from + 100));
  }
  const refused = access.recorder.events.slice(already).filter(({ outcome }) => outcome !== "ok");
  if (refused.length > 0) throw new Error(`not preloaded: ${EJSON.stringify(refused[0])}`);
  return wanted.map(({ key }) => key);
}

/** Clients that write and read at random, each one thing after the other, until they are told to stop. */
export function startWorkload(
  access: Access,
  settings: { owner: string; seed: number; clients: number; otherKeys: string[]; pauseMs: number },
): Workload {
  const { owner, seed, clients, otherKeys, pauseMs } = settings;
  const hotKeys = hotIds(createRandom(seed)).map(keyOf);
  const shared: Shared = { owner, hotKeys, otherKeys: [...otherKeys], versions: new Map() };
  const choices = weights.flatMap(([what, weight]) => Array.from({ length: weight }, () => what));
  let stopped = false;
  const running = Array.from({ length: clients }, async (_, index) => {
    const random = createRandom(seed * 101 + index);
    const actions = createActions(access, shared, `${owner}${index}`, random);
    while (!stopped) {
      const before = access.recorder.events.length;
      await actions[random.pick(choices)]();
      const refused = access.recorder.events.slice(before).some(({ outcome }) => outcome === "unknown");
      // Whoever gets no answer doesn't ask again at once: many writes of which nothing is known make the judging hard.
      await Bun.sleep(refused ? random.between(100, 400) : random.next() * pauseMs);
    }
  });
  return {
    hotKeys,
    stop: async () => {
      stopped = true;
      await Promise.all(running);
    },
  };
}
