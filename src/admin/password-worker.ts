/// <reference lib="webworker" />
// A thread that does nothing but bcrypt, with the calls that block it. The calls that don't would share Bun's one pool with
// crypto.subtle, files and DNS, and every token that is checked would wait behind the passwords.
import { setPriority } from "node:os";
import { bcryptRounds } from "./password.ts";

// A thread of Linux has a priority of its own: what answers at once goes before what takes a quarter of a second.
if (process.platform === "linux") setPriority(10);

declare const self: DedicatedWorkerGlobalScope;

export type PasswordJob =
  | { kind: "hash"; password: Uint8Array; rounds: number }
  | { kind: "check"; candidates: Uint8Array[]; hash: string | null; rounds: number };
export type PasswordAnswer = { hash: string } | { matches: boolean } | { error: string };

/** A hash that nothing is known to match, to spend the time of a check on. */
const nobodysHash = (rounds: number) =>
  `$2b$${String(rounds).padStart(2, "0")}$C6UzMDM.H6dfI/f/IKcEeO7ZBpD6Jv6ZQm1k7m9rF0dJYb1rQx9bK`;

/**
 * Takes the same time whether there is a hash or none, and when the password is wrong also for a hash of fewer rounds than
 * are asked for: 2^c + (2^c + 2^(c+1) + … + 2^(rounds-1)) = 2^rounds, for each candidate.
 */
function check({ candidates, hash, rounds }: Extract<PasswordJob, { kind: "check" }>): boolean {
  const found = hash === null ? null : bcryptRounds(hash);
  let matches = false;
  for (const candidate of candidates) {
    const equal = Bun.password.verifySync(candidate, found === null ? nobodysHash(rounds) : hash!);
    matches ||= found !== null && equal;
  }
  if (!matches) {
    // Not with an empty password: Bun refuses that at once.
    for (const _candidate of candidates) {
      for (let cost = found ?? rounds; cost < rounds; cost++) Bun.password.verifySync("x", nobodysHash(cost));
    }
  }
  return matches;
}

const answer = (job: PasswordJob): PasswordAnswer =>
  job.kind === "hash"
    ? { hash: Bun.password.hashSync(job.password, { algorithm: "bcrypt", cost: job.rounds }) }
    : { matches: check(job) };

self.onmessage = ({ data }: MessageEvent<PasswordJob>) => {
  try {
    self.postMessage(answer(data));
  } catch (error) {
    self.postMessage({ error: String(error) } satisfies PasswordAnswer);
  }
};
