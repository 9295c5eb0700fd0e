import type { Command } from "commander";

export function addHealth(program: Command, defaultUrl: string): void {
  program
    .command("health")
    .description(
      "ask the service on this machine whether it is healthy; exit code 0 or 1 (for a container's health check)",
    )
    .option("--url <url>", "where it listens", defaultUrl)
    .action(async ({ url }: { url: string }) => {
      const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(4_000) }).catch(() => null);
      console.log(answer ? await answer.text() : "no answer");
      process.exit(answer?.ok ? 0 : 1);
    });
}
