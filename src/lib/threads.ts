import { type Failure, failure, isFailure } from "./failure.ts";
import { wordsOf } from "./scrub.ts";

/** What a thread says of a job: what came out, why it is refused, or what went wrong, in words that may be logged. */
type Told<Answer> = { answer: Answer } | { refused: Refused } | { error: string };
type Refused = { failure: string; message: string } & Pick<Failure, "errors">;

/** Runs jobs of one kind on threads. */
export type Threads<Job extends object, Answer extends object> = {
  /**
   * @param key whose job it is: those who have many wait for themselves
   * @param make makes the job when a thread takes it, so that nothing is copied for it before. The memory of what is bytes in it
   * goes over to the thread, and is gone here
   * @param isHeavy it may take long: others must not wait for many of these
   * @param signal takes it out of the queue when nobody waits for it any more; its reason is thrown
   * @throws Failure that the job ends with; `late` when it took too long, Error when the thread ended
   */
  run(key: string, make: () => Job, isHeavy: boolean, signal?: AbortSignal): Promise<Answer>;
  close(): void;
};

type Waiting = { isHeavy: boolean; start(thread: Thread): void; reject(error: unknown): void };
type Busy = { key: string; isHeavy: boolean; resolve(told: never): void; reject(error: unknown): void };
type Thread = {
  worker: Worker;
  busy: Busy | null;
  timer?: Timer;
  end(error: Error): void;
};

/**
 * Threads for work that would hold up all other requests. One job at a time is on a thread, so that one which ends it takes no
 * other job with it; whose turn it is goes round, a key at a time. One thread is always for jobs that aren't heavy, and one key
 * has one heavy job at a time, so that it alone can't keep other keys' heavy ones waiting.
 *
 * @param options.program what a thread runs: it calls `serveJobs`
 * @param options.threadsMax where there are heavy jobs at least 2
 * @param options.jobMsMax so long a job may take: then its thread is replaced, and whoever waits is told `late`
 */
export function createThreads<Job extends object, Answer extends object>(options: {
  program: URL;
  threadsMax: number;
  jobMsMax: number;
  late: () => Error;
}): Threads<Job, Answer> {
  const threads: Thread[] = [];
  /** Whose turn it is stands first. */
  const waiting = new Map<string, Waiting[]>();
  let closed = false;

  function startThread(): Thread {
    const worker = new Worker(options.program.href);
    const end = (error: Error) => {
      const place = threads.indexOf(thread);
      if (place === -1) return;
      threads.splice(place, 1);
      clearTimeout(thread.timer);
      thread.busy?.reject(error);
      worker.terminate();
      deal();
    };
    const thread: Thread = { worker, busy: null, end };
    worker.onmessage = ({ data }) => {
      const { busy } = thread;
      thread.busy = null;
      clearTimeout(thread.timer);
      busy?.resolve(data as never);
      deal();
    };
    worker.onerror = ({ message }) => end(new Error(`a thread failed: ${message}`));
    worker.addEventListener("close", () => end(new Error("a thread ended")));
    threads.push(thread);
    return thread;
  }

  function deal(): void {
    while (!closed && waiting.size > 0) {
      const free = threads.find(({ busy }) => !busy);
      if (!free && threads.length === options.threadsMax) return;
      const found = findNext();
      if (!found) return;
      const { key, queue, next } = found;
      // First, as it may fail: then the job waits on.
      const thread = free ?? startThread();
      leave(key, next);
      // Its next one is behind those of all others.
      if (queue.length > 0) {
        waiting.delete(key);
        waiting.set(key, queue);
      }
      next.start(thread);
    }
  }

  /** The first key's whose turn it is and that has a job which may go now. */
  function findNext(): { key: string; queue: Waiting[]; next: Waiting } | null {
    const heavy = threads.flatMap(({ busy }) => (busy?.isHeavy ? [busy.key] : []));
    for (const [key, queue] of waiting) {
      const mayBeHeavy = heavy.length < options.threadsMax - 1 && !heavy.includes(key);
      const next = queue.find(({ isHeavy }) => mayBeHeavy || !isHeavy);
      if (next) return { key, queue, next };
    }
    return null;
  }

  function leave(key: string, one: Waiting): void {
    const queue = waiting.get(key);
    const place = queue?.indexOf(one) ?? -1;
    if (place === -1) return;
    queue!.splice(place, 1);
    if (queue!.length === 0) waiting.delete(key);
  }

  return {
    async run(key, make, isHeavy, signal) {
      signal?.throwIfAborted();
      if (closed) throw ended();
      const { promise, resolve, reject } = Promise.withResolvers<Told<Answer>>();
      const one: Waiting = {
        isHeavy,
        start(thread) {
          try {
            const job = make();
            thread.worker.postMessage(job, memoryOf(job));
            thread.busy = { key, isHeavy, resolve, reject };
            thread.timer = setTimeout(() => thread.end(options.late()), options.jobMsMax);
          } catch (error) {
            reject(error);
          }
        },
        reject,
      };
      const giveUp = () => {
        leave(key, one);
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      waiting.set(key, [...(waiting.get(key) ?? []), one]);
      deal();
      const told = await promise.finally(() => signal?.removeEventListener("abort", giveUp));
      if ("error" in told) throw new Error(told.error);
      if ("answer" in told) return told.answer;
      const { failure: code, message, ...more } = told.refused;
      throw failure(code, message, more);
    },
    close() {
      closed = true;
      for (const { worker, busy, timer } of threads.splice(0)) {
        clearTimeout(timer);
        busy?.reject(ended());
        worker.terminate();
      }
      for (const one of [...waiting.values()].flat()) one.reject(ended());
    },
  };
}

const ended = () => new Error("the threads are closed");

/** What a thread that does such jobs is: `self` of its program. */
type Self = {
  onmessage: unknown;
  postMessage(told: unknown, given: ArrayBuffer[]): void;
};

/** Does the jobs that come to a thread, one after the other; what is bytes in an answer is gone here then. */
export function serveJobs<Job extends object, Answer extends object>(
  self: Self,
  act: (job: Job) => Promise<Answer>,
): void {
  self.onmessage = async ({ data }: MessageEvent<Job>) => {
    const told = await act(data).then(
      (answer): Told<Answer> => ({ answer }),
      (error): Told<Answer> => (isFailure(error) ? { refused: refusedOf(error) } : { error: wordsOf(error) }),
    );
    self.postMessage(told, "answer" in told ? memoryOf(told.answer) : []);
  };
}

const refusedOf = ({ failure: code, message, errors }: Failure): Refused => ({
  failure: code,
  message,
  ...(errors && { errors }),
});

/** The parts of a message that are bytes and all of their memory: others may have a part of it, and those are copied. */
const memoryOf = (message: object): ArrayBuffer[] =>
  Object.values(message).flatMap((part): ArrayBuffer[] => {
    if (part instanceof ArrayBuffer) return [part];
    return part instanceof Uint8Array && part.byteLength === part.buffer.byteLength ? [part.buffer as ArrayBuffer] : [];
  });
