import type { Moment } from "../crash.ts";
import type { Proxy } from "../proxy.ts";
import type { Random } from "../random.ts";
import type { Fleet } from "./fleet.ts";

/** What a fault may lay hands on. */
export type World = {
  fleet: Fleet;
  random: Random;
  /** Stands between the processes and the database when the fault asks for it. */
  proxy: Proxy | null;
  /** Kills the primary of the replica set and starts it again later; from outside, as the project doesn't run one. */
  killPrimary?: () => Promise<void>;
};

/** `happened`: whether it came to it. `heal`: undoes what it left, once the move has ended. */
export type Injected = { happened(): boolean; heal(): Promise<void> };
export type Fault = {
  name: string;
  throughProxy?: true;
  leaseMs?: number;
  /** Settings of single processes. */
  configOf?: (index: number) => Record<string, string>;
  inject(world: World): Promise<Injected>;
};

/** A moment of a move: `copy/before`, or some milliseconds later, `gate/before+150`. */
type When = Pick<Moment, "step" | "moment"> & { delayMs?: number };

function parseWhen(text: string): When {
  const [, step, moment = "before", delay] = /^([a-z]+)(?:\/(before|after|recorded))?(?:\+(\d+))?$/.exec(text) ?? [];
  if (!step) throw new Error(`Not a moment of a move: ${text}`);
  return { step, moment: moment as Moment["moment"], ...(delay && { delayMs: Number(delay) }) };
}

/** Does something once, when the first process comes to the moment. */
function once(
  { fleet }: World,
  when: When,
  act: (driver: number) => Promise<void>,
): Injected & { done: Promise<void> } {
  let happened = false;
  const done = Promise.withResolvers<void>();
  const unwatch = fleet.watch((driver, { kind, step, moment }) => {
    if (happened || kind !== "move" || step !== when.step || moment !== when.moment) return;
    happened = true;
    unwatch();
    void Bun.sleep(when.delayMs ?? 0)
      .then(() => act(driver))
      .then(done.resolve, done.reject);
  });
  return { happened: () => happened, heal: async () => void (happened && (await done.promise)), done: done.promise };
}

/** Arms every process with a signal to itself, so that it comes at that very moment; only the first gets it. */
async function armed(
  world: World,
  when: When,
  signal: "SIGKILL" | "SIGSTOP",
  after: (driver: number) => Promise<void>,
): Promise<Injected> {
  const { fleet } = world;
  const { step, ...rest } = when;
  for (const index of fleet.indexes) await fleet.child(index).arm({ at: `move/${step}`, ...rest, signal });
  const { delayMs: _, ...moment } = when;
  return once(world, moment, async (driver) => {
    const others = fleet.indexes.filter((index) => index !== driver);
    await Promise.all(others.map((index) => fleet.child(index).arm(null)));
    await after(driver);
  });
}

const other = ({ fleet, random }: World, driver: number) =>
  random.pick(fleet.indexes.filter((index) => index !== driver));

/** Killed with -9 and started again a little later. */
async function reborn({ fleet, random }: World, index: number): Promise<void> {
  await fleet.child(index).died;
  await Bun.sleep(random.between(0, 1_000));
  await fleet.restart(index);
}

type Kind = (when: When) => Omit<Fault, "name">;

const kinds: Record<string, Kind> = {
  /** The process that drives the move dies. */
  kill: (when) => ({ inject: (world) => armed(world, when, "SIGKILL", (driver) => reborn(world, driver)) }),
  /** Another process dies, with requests in it. */
  "kill-other": (when) => ({
    inject: async (world) =>
      once(world, when, async (driver) => {
        const index = other(world, driver);
        world.fleet.child(index).signal("SIGKILL");
        await reborn(world, index);
      }),
  }),
  /** The process that drives the move stands still until another has ended it, and then goes on where it was. */
  stop: (when) => ({
    inject: async (world) => {
      let stopped = -1;
      const injected = await armed(world, when, "SIGSTOP", async (driver) => void (stopped = driver));
      return { ...injected, heal: async () => void (await injected.heal(), goOn(world, stopped)) };
    },
  }),
  /** Another process stands still with requests in it, and answers them when the move has ended. */
  "stop-other": (when) => ({
    inject: async (world) => {
      let stopped = -1;
      const injected = once(world, when, async (driver) => {
        stopped = other(world, driver);
        world.fleet.child(stopped).signal("SIGSTOP");
      });
      return { ...injected, heal: async () => void (await injected.heal(), goOn(world, stopped)) };
    },
  }),
  /** The database takes no connection for a while. */
  away: (when) => ({ throughProxy: true, inject: async (world) => once(world, when, () => away(world, "refuse")) }),
  /** The database takes requests and doesn't answer for a while; some of them it has done. */
  silent: (when) => ({ throughProxy: true, inject: async (world) => once(world, when, () => away(world, "hang")) }),
  primary: (when) => ({
    inject: async (world) => {
      if (!world.killPrimary) throw new Error("Nobody says how to kill the primary here");
      return once(world, when, world.killPrimary);
    },
  }),
};

const awayMs = 10_000;
async function away({ proxy }: World, how: "refuse" | "hang"): Promise<void> {
  await proxy![how]();
  await Bun.sleep(awayMs);
  await proxy!.forward();
}

async function goOn({ fleet, random }: World, index: number): Promise<void> {
  await Bun.sleep(random.between(0, 500));
  if (index >= 0) fleet.child(index).signal("SIGCONT");
}

/** Two movers race: leases are short, and whoever drives is held up now and then for longer than one lasts. */
const race: Fault = {
  name: "race",
  leaseMs: 300,
  inject: async (world) => {
    const { fleet, random } = world;
    let [healed, count] = [false, 0];
    const driver = { index: 0 };
    const unwatch = fleet.watch((index, { kind }) => kind === "move" && (driver.index = index));
    const racing = (async () => {
      while (!healed && count < 12) {
        await Bun.sleep(random.between(50, 400));
        const { index } = driver;
        fleet.child(index).signal("SIGSTOP");
        await Bun.sleep(random.between(50, 400));
        fleet.child(index).signal("SIGCONT");
        count++;
      }
    })();
    return {
      happened: () => count > 0,
      heal: async () => {
        healed = true;
        await racing;
        unwatch();
      },
    };
  },
};

const harmless: Fault["inject"] = async () => ({ happened: () => true, heal: async () => {} });

const none: Fault = { name: "none", inject: harmless };

/** Processes are set to leases of different lengths, as in the middle of a restart that changes the setting. */
const leases: Fault = {
  name: "leases",
  configOf: (index) => ({ PLACEMENT_LEASE_MS: index === 0 ? "4000" : "200" }),
  inject: harmless,
};

/** A fault by its name: `none`, `leases`, `race`, or a kind and a moment such as `kill@copy/recorded`. */
export function faultNamed(name: string): Fault {
  if (name === "none") return none;
  if (name === "leases") return leases;
  if (name === "race") return race;
  const [kind = "", when = ""] = name.split("@");
  const fault = kinds[kind];
  if (!fault) throw new Error(`No such fault: ${name}; there are none, leases, race, ${Object.keys(kinds).join(", ")}`);
  return { name, ...fault(parseWhen(when)) };
}

/**
 * Whether requests stand still for longer than a lease: only then may something be seen of a write that isn't acknowledged, and
 * for a while not (docs/moves.md says so).
 */
export const makesDirtyReads = (fault: string): boolean => /^(stop|stop-other|silent)@/.test(fault);

const steps = ["plan", "journal", "copy", "drain", "verify", "gate", "clean"];

/** Every fault that needs nothing from outside. */
export const allFaults: string[] = [
  "none",
  "leases",
  "race",
  ...steps.flatMap((step) => ["before", "after", "recorded"].map((moment) => `kill@${step}/${moment}`)),
  ...["copy", "drain", "gate", "gate/before+100", "clean"].map((when) => `kill-other@${when}`),
  ...["journal/after", "copy/after", "drain", "gate", "gate/before+100", "gate/before+250", "clean"].map(
    (when) => `stop@${when}`,
  ),
  ...["journal", "copy", "drain", "gate", "gate/before+50"].map((when) => `stop-other@${when}`),
  ...["copy", "gate", "gate/before+100"].flatMap((when) => [`away@${when}`, `silent@${when}`]),
];
