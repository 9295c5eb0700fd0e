// `bun run croupier …`: a command on the database of `bun run dev`, which may run meanwhile.
import { runWithDatabase } from "./run.ts";

const command = [process.execPath, "src/main.ts", ...process.argv.slice(2)];

process.exit(await runWithDatabase("dev", command, { CROUPIER_ENV: "development" }));
