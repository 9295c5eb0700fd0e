// `bun dev/database.ts`: a database by hand; prints its address and keeps it until it is stopped.
import { parseArgs } from "node:util";
import { links, openDatabase } from "./database/chain.ts";
import { createProgress } from "./lib/progress.ts";
import { createScope } from "./lib/scope.ts";
import { onStopSignal } from "./lib/signals.ts";
import { settingsFor } from "./settings.ts";

const names = links.map((link) => link.name).join("|");
const usage = `usage: bun dev/database.ts [--link ${names}] [--purpose dev|test] [--port PORT]`;

const { values } = parseArgs({
  options: {
    link: { type: "string" },
    purpose: { type: "string", default: "dev" },
    port: { type: "string" },
    help: { type: "boolean" },
  },
});
const forced = values.link === undefined ? undefined : links.filter((link) => link.name === values.link);
const purpose = values.purpose === "dev" || values.purpose === "test" ? values.purpose : undefined;
const port = values.port === undefined ? undefined : Number(values.port);
const portIsRight = port === undefined || (Number.isInteger(port) && port > 0 && port < 65_536);
if (values.help || forced?.length === 0 || !purpose || !portIsRight) {
  console.error(usage);
  process.exit(values.help ? 0 : 2);
}

const scope = createScope();
const progress = createProgress();
onStopSignal(async () => {
  progress.done();
  await scope.close();
  process.exit(0);
});
try {
  const settings = settingsFor(purpose, port);
  console.log((await openDatabase(settings, scope, progress, forced)).url);
  // What was started runs in the background; this timer keeps its owner alive.
  setInterval(() => {}, 2 ** 30);
} catch (error) {
  const interrupted = scope.isClosed();
  progress.line(error instanceof Error ? error.message : String(error));
  await scope.close();
  process.exit(interrupted ? 0 : 1);
}
