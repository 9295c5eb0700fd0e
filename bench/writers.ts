/** Clients that write to one tenant at a fixed rate, for as long as they are wanted. */
import { benchDocument, extendedDate } from "./document.ts";

/** When a write was due (milliseconds since 1970), how long after that it was answered, and with what; 0: not at all. */
export interface Write {
  dueAt: number;
  ms: number;
  status: number;
}

/** Three of four writes replace a document, one inserts. A time counts from when the write was due. */
export function startWriters(options: {
  url: string;
  headers: Record<string, string>;
  ids: string[];
  clients: number;
  rate: number;
}) {
  const { url, ids, clients, rate } = options;
  const headers = { ...options.headers, "content-type": "application/json" };
  const writes: Write[] = [];
  let stopped = false;
  let number = 0;

  async function client(index: number) {
    const everyMs = (1000 * clients) / rate;
    const start = Date.now() + (everyMs * index) / clients;
    for (let turn = 0; !stopped; turn++) {
      const dueAt = start + turn * everyMs;
      const waitMs = dueAt - Date.now();
      if (waitMs > 0) await Bun.sleep(waitMs);
      const body = JSON.stringify(benchDocument(number++, extendedDate));
      const isInsert = turn % 4 === 3;
      const id = ids[Math.floor(Math.random() * ids.length)];
      const path = isInsert ? "/org/documents" : `/org/documents/${id}`;
      const answer = await fetch(url + path, { method: isInsert ? "POST" : "PUT", headers, body }).catch(() => null);
      await answer?.arrayBuffer();
      writes.push({ dueAt, ms: Date.now() - dueAt, status: answer?.status ?? 0 });
    }
  }

  const running = Array.from({ length: clients }, (_, index) => client(index));
  return {
    async stop(): Promise<Write[]> {
      stopped = true;
      await Promise.all(running);
      return writes;
    },
  };
}

export function percentileOf(writes: Pick<Write, "ms">[], share: number): number {
  const sorted = writes.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
