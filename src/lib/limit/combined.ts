import type { Count, Counters } from "./counters.ts";

type Waiting = {
  by: number;
  windowSeconds: number;
  resolve: (count: Count) => void;
  reject: (error: unknown) => void;
};

/**
 * The same counters, asked once for all that is to be counted on one key while an answer is under way: a crowd at one key costs
 * a few statements, each caller still gets a count of its own, and FerretDB has no rivals to sort out.
 */
export function combineAdds(counters: Counters): Counters {
  const waitingFor = new Map<string, Waiting[]>();

  const send = async (key: string, batch: readonly Waiting[]): Promise<void> => {
    try {
      const sum = batch.reduce((sofar, { by }) => sofar + by, 0);
      const { count, endsMs } = await counters.add(key, sum, batch[0]!.windowSeconds);
      let each = count - sum;
      for (const { by, resolve } of batch) resolve({ count: (each += by), endsMs });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    const next = waitingFor.get(key) ?? [];
    if (next.length === 0) waitingFor.delete(key);
    else {
      waitingFor.set(key, []);
      void send(key, next);
    }
  };

  return {
    ...counters,
    add(key, by, windowSeconds) {
      const { promise, resolve, reject } = Promise.withResolvers<Count>();
      const one = { by, windowSeconds, resolve, reject };
      const waiting = waitingFor.get(key);
      if (waiting) waiting.push(one);
      else {
        waitingFor.set(key, []);
        void send(key, [one]);
      }
      return promise;
    },
  };
}
