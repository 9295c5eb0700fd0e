import type { Progress } from "../lib/progress.ts";
import { createScope, type Scope } from "../lib/scope.ts";
import { dockerLink } from "./docker.ts";
import { ferretdbLink } from "./ferretdb.ts";
import type { Link, Settings } from "./link.ts";
import { memoryServerLink } from "./memory-server.ts";
import { mongodLink } from "./mongod.ts";
import { urlLink } from "./url.ts";

export const links: Link[] = [urlLink, mongodLink, dockerLink, memoryServerLink, ferretdbLink];

export type OpenDatabase = { url: string; name: string; stop(): Promise<void> };

/**
 * Tries the links in order and returns the first database that answers. Says for each what it is and why the one
 * before did not serve; throws what to install when none does. `scope` closes what was started, at any moment.
 */
export async function openDatabase(
  settings: Settings,
  scope: Scope,
  progress: Progress,
  candidates: Link[] = candidatesFor(process.env.MONGODB_URL),
): Promise<OpenDatabase> {
  let before = "";
  for (const link of candidates) {
    progress.line(`trying ${link.does}${before}`);
    const attempt = createScope();
    scope.defer(attempt.close);
    const startedAt = performance.now();
    try {
      const url = await link.open(settings, attempt, progress);
      progress.done();
      progress.line(`ready in ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${withoutPassword(url)}`);
      return { url, name: link.name, stop: attempt.close };
    } catch (error) {
      progress.done();
      await attempt.close();
      // Interrupted: what failed is what the interruption ended, and no other link is wanted.
      if (scope.isClosed()) throw new Error("interrupted");
      before = `, as ${inOneLine(error)}`;
    }
  }
  throw new Error(advice(candidates, before));
}

/** A database that was named must serve: to take another in silence could mean to work on the wrong data. */
function candidatesFor(givenUrl: string | undefined): Link[] {
  return givenUrl ? [urlLink] : links;
}

function advice(candidates: Link[], before: string): string {
  const remedies = candidates.map((link) => `  - ${link.remedy}`).join("\n");
  return `there is no database${before}.\nAny one of these helps:\n${remedies}`;
}

function inOneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s*\n\s*/g, " ").replace(/[\s.]+$/, "");
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//…@");
}
