import type { Command } from "commander";

export function addHealth(program: Command, defaultUrl: string): void {
  program
    .command("health")
    .description(
      "check the health of the service on this machine; exit code 0 if it is healthy, else 1 (for container health checks)",
    )
    .option("--url <url>", "address of the service", defaultUrl)
    .action(async ({ url }: { url: string }) => {
      const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(4_000) }).catch(() => null);
      console.log(answer ? await answer.text() : "no answer");
      process.exit(answer?.ok ? 0 : 1);
    });
}
