import type { Hold, LateProxy, Statement } from "../late-proxy.ts";
import type { Random } from "../random.ts";
import type { Fleet } from "./fleet.ts";

/** What faults hit: the first process of the fleet; what hits all of them goes by the proxies of all. */
export type LifeWorld = {
  fleet: Fleet;
  proxies: LateProxy[];
  random: Random;
  /** How many organizations were made by now. */
  made(): number;
};

/** Does it once, and ends when nothing of it is left. @returns whether it came about */
type Round = (world: LifeWorld, isOver: () => boolean) => Promise<boolean>;

/** Statements by which tenants' places are made, filled, changed and removed; `merge` is an aggregate that writes. */
const statements = [
  ...["drop", "dropDatabase", "renameCollection", "create", "createIndexes", "dropIndexes"],
  ...["insert", "update", "delete", "merge"],
];

const isAboutPlace = ({ database, collection, command }: Statement, master: string): boolean =>
  database !== master && database !== "admin"
    ? true
    : /^(org_|tenant_documents)/.test(collection ?? "") || command.renameCollection !== undefined;

/** Longer than a lease of an operation, and until the next organization has come; but less than is waited for strays. */
const lateMs: [number, number] = [3_000, 8_000];
const lateMsMax = 20_000;

async function caught({ caught }: { caught: Promise<Statement> }, isOver: () => boolean): Promise<boolean> {
  let seen = false;
  void caught.then(() => (seen = true));
  while (!seen && !isOver()) await Bun.sleep(20);
  return seen;
}

/** A statement that is sent in time and arrives seconds later; its process stalls meanwhile, dies, or goes on. */
const late =
  (which: Hold["which"], what: "request" | "answer"): Round =>
  async ({ fleet, proxies, random, made }, isOver) => {
    const how = random.pick(["stalls", "stalls", "dies", "dies", "goes on"]);
    const held = proxies[0]!.hold({ which, what, whole: how === "stalls" });
    const seen = await caught(held, isOver);
    if (seen && how === "dies") {
      fleet.child(0).signal("SIGKILL");
      await fleet.child(0).died;
      await fleet.restart(0);
    }
    const [madeBefore, untilMs] = [made(), performance.now() + lateMsMax];
    if (seen) await Bun.sleep(random.between(...lateMs));
    while (seen && made() === madeBefore && !isOver() && performance.now() < untilMs) await Bun.sleep(100);
    if (seen) await Bun.sleep(random.between(0, 2_000));
    await held.release();
    return seen;
  };

const busyMs = 25_000;

/** Somebody else holds collections, so that no process gets an answer to its renames. */
const busy =
  (name: string): Round =>
  async ({ proxies }, isOver) => {
    const which = (statement: Statement) => statement.name === name;
    const all = proxies.map((proxy) => proxy.hold({ which, what: "lock", timesMax: Infinity }));
    const seen = await caught({ caught: Promise.race(all.map(({ caught }) => caught)) }, isOver);
    if (seen) await Bun.sleep(busyMs);
    await Promise.all(all.map((held) => held.release()));
    return seen;
  };

const kill: Round = async ({ fleet, random }) => {
  fleet.child(0).signal("SIGKILL");
  await fleet.child(0).died;
  await Bun.sleep(random.between(0, 1_000));
  await fleet.restart(0);
  await Bun.sleep(random.between(500, 3_000));
  return true;
};

const stop: Round = async ({ fleet, random }) => {
  fleet.child(0).signal("SIGSTOP");
  await Bun.sleep(random.between(1_500, 6_000));
  fleet.child(0).signal("SIGCONT");
  await Bun.sleep(random.between(500, 2_000));
  return true;
};

/** Every fault by its name, but for `none` and `everything`. */
const rounds = (master: string, random: Random): Record<string, Round> => ({
  ...Object.fromEntries(
    statements.flatMap((name) => {
      const which = (statement: Statement) => statement.name === name && isAboutPlace(statement, master);
      return [
        [`late@${name}`, late(which, "request")],
        [`answer@${name}`, late(which, "answer")],
      ];
    }),
  ),
  /** Croupier's own records: a claim, a switch, an end that is written late. */
  "late@records": late(
    ({ name, collection }) =>
      /^(insert|update|delete|findAndModify)$/.test(name) &&
      /^(organizations|operations|retired_places)$/.test(collection ?? "") &&
      random.next() < 0.1,
    "request",
  ),
  "busy@renameCollection": busy("renameCollection"),
  kill,
  stop,
});

export const lifeFaults: string[] = ["none", ...Object.keys(rounds("", { next: () => 0 } as Random)), "everything"];

/** Goes on with a fault until it is told to stop; `end` resolves with how often it came about. */
export function startFault(name: string, master: string, world: LifeWorld): { end(): Promise<number> } {
  const all = rounds(master, world.random);
  if (!lifeFaults.includes(name)) throw new Error(`No such fault: ${name}; there are ${lifeFaults.join(", ")}`);
  let over = false;
  const running = (async () => {
    let count = 0;
    while (!over && name !== "none") {
      const round = name === "everything" ? world.random.pick(Object.values(all)) : all[name]!;
      // One that doesn't come about mustn't keep the others from it.
      const untilMs = performance.now() + (name === "everything" ? 3_000 : Infinity);
      if (await round(world, () => over || performance.now() > untilMs)) count++;
      await Bun.sleep(world.random.between(50, 500));
    }
    return count;
  })();
  return {
    end: () => {
      over = true;
      return running;
    },
  };
}
