// `bun run dev`: a database and the service on it, restarted when a file changes.
import { runWithDatabase } from "./run.ts";

const service = [process.execPath, "--watch", "--no-clear-screen", "src/main.ts", "serve", ...process.argv.slice(2)];

process.exit(await runWithDatabase("dev", service, { CROUPIER_ENV: "development" }));
