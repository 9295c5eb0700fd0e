import { type Child, type Moment, startChild } from "../crash.ts";
import type { Targets } from "./client.ts";

/** Some processes of the service on one database. */
export type Fleet = {
  targets: Targets;
  child(index: number): Child;
  indexes: number[];
  /** Calls back for each moment of an operation that a process passes; returns how to end it. */
  watch(listener: (index: number, moment: Moment) => void): () => void;
  /** Starts a process that died again, at another address. */
  restart(index: number): Promise<void>;
  end(): Promise<void>;
};

export async function startFleet(settings: {
  size: number;
  databaseName: string;
  leaseMs: number;
  config: Record<string, string>;
  /** More settings of one process. */
  configOf?: (index: number) => Record<string, string>;
  /** A crash-child.ts of another copy of the code, for each process. */
  programOf?: (index: number) => string | undefined;
}): Promise<Fleet> {
  const { size, config, configOf, programOf, ...rest } = settings;
  const listeners = new Set<(index: number, moment: Moment) => void>();
  const start = async (index: number) => {
    const onMoment = (moment: Moment) => listeners.forEach((listener) => listener(index, moment));
    const program = programOf?.(index);
    const own = { config: { ...config, ...configOf?.(index) }, ...(program !== undefined && { program }) };
    const child = await startChild({ ...rest, ...own, onMoment });
    if (child.url === "") throw new Error("a process ended before it listened");
    return child;
  };
  const indexes = Array.from({ length: size }, (_, index) => index);
  // The first prepares the database; so the others find it as a fleet that runs does.
  const children = [await start(0)];
  children.push(...(await Promise.all(indexes.slice(1).map(start))));
  const targets = children.map(({ url }) => ({ url }));
  let ended = false;
  return {
    targets,
    indexes,
    child: (index) => children[index]!,
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async restart(index) {
      if (ended) return;
      const child = await start(index);
      children[index] = child;
      targets[index]!.url = child.url;
    },
    async end() {
      ended = true;
      await Promise.all(children.map((child) => child.end()));
    },
  };
}
