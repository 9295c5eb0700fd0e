import { commandLine, type Origin } from "../audit/audit.ts";
import { type CoreDeps, createCore } from "../boot.ts";
import type { Config } from "../config.ts";
import { createClient } from "../lib/mongo/client.ts";
import { assertFollowsPrimary } from "../lib/mongo/primary.ts";
import { createLogger } from "../log.ts";

/** What a command has: it may run beside services, and says nothing but what it finds. */
export type CommandDeps = CoreDeps & { origin: Origin };

/** Opens the database for a command and closes it after. @throws what `act` throws */
export async function withDeps<T>(config: Config, act: (deps: CommandDeps) => Promise<T>): Promise<T> {
  const core = createCore(config, createClient(config.mongodbUrl), createLogger("silent"));
  try {
    await assertFollowsPrimary(core.db);
    return await act({ ...core, origin: commandLine });
  } finally {
    await core.close();
  }
}

export const printLine = (value: unknown): void => console.log(JSON.stringify(value));
