import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/**
 * Runs a command of the program as an operator does, on a database of the tests.
 *
 * @param words the command and its options
 * @returns what it printed and what it said beside it, when it has ended
 */
export async function croupier(
  databaseName: string,
  words: readonly string[],
  settings: Record<string, string> = {},
): Promise<{ code: number; out: string; errors: string }> {
  const child = Bun.spawn([process.execPath, program, ...words], {
    env: {
      ...process.env,
      MONGODB_DB_NAME: databaseName,
      JWT_SECRET_KEY: "a-secret-of-the-tests-and-of-nothing-else",
      ...settings,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, errors };
}

/** What a command printed that prints one JSON object a line. */
export const linesOf = (out: string): any[] => out.split("\n").flatMap((line) => (line ? [JSON.parse(line)] : []));
