import { failure } from "../lib/failure.ts";
import type { AdminFailure } from "./admin.ts";
import { bcryptRounds, bcryptRoundsMax, passwordBytes, passwordCandidates } from "./password.ts";
import type { PasswordAnswer, PasswordJob } from "./password-worker.ts";

export type PasswordHasher = {
  /**
   * @param signal takes it out of the queue when nobody waits for it any more; its reason is thrown
   * @returns a bcrypt hash of the configured rounds. @throws Failure `passwords_busy`
   */
  hash(password: string, signal?: AbortSignal): Promise<string>;
  /** Takes as long for no hash (an unknown email) as for the one of most rounds so far. @throws Failure `passwords_busy` */
  matches(password: string, hash: string | null, signal?: AbortSignal): Promise<boolean>;
  rounds: number;
  close(): void;
};

type Waiting = { job: PasswordJob; resolve: (answer: PasswordAnswer) => void; reject: (error: unknown) => void };
type Thread = { worker: Worker; busy: Waiting | null };

/**
 * Hashes and checks passwords on threads of their own, one for each core, so that sign-ins use every core and no other
 * request waits for them.
 *
 * @param program what a thread runs: `password-worker.ts`
 * @param queueMax how many may wait; beyond it a call is refused at once, with how many seconds to stay away.
 */
export function createPasswordHasher(options: {
  program: URL;
  workers: number;
  queueMax: number;
  rounds: number;
}): PasswordHasher {
  const { program, workers, queueMax, rounds } = options;
  const queue: Waiting[] = [];
  const threads: Thread[] = [];
  let jobMs = 250;
  /** The most of the hashes that were checked: some are older than the configuration, and made with more. */
  let roundsMet = rounds;
  let closed = false;

  const startThread = (): Thread => {
    const thread: Thread = { worker: new Worker(program.href), busy: null };
    thread.worker.onmessage = ({ data }: MessageEvent<PasswordAnswer>) =>
      settle(thread, (waiting) => waiting.resolve(data));
    thread.worker.onerror = (event) => {
      // The thread is lost, its caller is told, and another takes its place.
      threads.splice(threads.indexOf(thread), 1);
      settle(thread, (waiting) => waiting.reject(new Error(`password thread failed: ${event.message}`)));
      thread.worker.terminate();
    };
    threads.push(thread);
    return thread;
  };

  const settle = (thread: Thread, tell: (waiting: Waiting) => void) => {
    const waiting = thread.busy;
    thread.busy = null;
    if (waiting) tell(waiting);
    next();
  };

  const next = () => {
    while (!closed && queue.length > 0) {
      const thread = threads.find(({ busy }) => !busy) ?? (threads.length < workers ? startThread() : null);
      if (!thread) return;
      const waiting = queue.shift()!;
      thread.busy = waiting;
      thread.worker.postMessage(waiting.job);
    }
  };

  const submit = async (job: PasswordJob, signal?: AbortSignal): Promise<PasswordAnswer> => {
    signal?.throwIfAborted();
    if (queue.length >= queueMax) {
      throw failure<AdminFailure>("passwords_busy", "Too many sign-ins are waiting; try again later.", {
        retryAfterSeconds: Math.ceil((queue.length * jobMs) / workers / 1000) || 1,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<PasswordAnswer>();
    const waiting: Waiting = { job, resolve, reject };
    queue.push(waiting);
    const leave = () => {
      const place = queue.indexOf(waiting);
      if (place !== -1) queue.splice(place, 1);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    const startedMs = performance.now();
    const ahead = queue.length;
    next();
    const answer = await promise.finally(() => signal?.removeEventListener("abort", leave));
    jobMs += ((performance.now() - startedMs) / Math.max(1, Math.ceil(ahead / workers)) - jobMs) / 16;
    if ("error" in answer) throw new Error(answer.error);
    return answer;
  };

  return {
    rounds,
    async hash(password, signal) {
      const answer = await submit({ kind: "hash", password: passwordBytes(password), rounds }, signal);
      if (!("hash" in answer)) throw new Error("unexpected answer of a password thread");
      return answer.hash;
    },
    async matches(password, hash, signal) {
      const found = hash === null ? null : bcryptRounds(hash);
      if (found !== null && found <= bcryptRoundsMax) roundsMet = Math.max(roundsMet, found);
      const candidates = passwordCandidates(password);
      const answer = await submit({ kind: "check", candidates, hash, rounds: roundsMet }, signal);
      return "matches" in answer && answer.matches;
    },
    close() {
      closed = true;
      for (const { worker } of threads.splice(0)) worker.terminate();
    },
  };
}
