/** What was read is garbage at once, and Bun gathers it late: a walk over 100,000 records would hold 200 MiB of it. */
const gatherEvery = 2_500;

function createGatherer(): (read: number) => void {
  let since = 0;
  return (read) => {
    since += read;
    if (since < gatherEvery) return;
    since = 0;
    Bun.gc(true);
  };
}

/** What comes one by one, some at a time: never more than `size` are held. */
export async function* inBatches<T>(all: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  const gather = createGatherer();
  let batch: T[] = [];
  for await (const one of all) {
    batch.push(one);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
    gather(size);
  }
  if (batch.length > 0) yield batch;
}

/**
 * Records in the order of their `_id`, page by page, however many there are.
 *
 * @param read gives those after one of them; fewer than `size` are the last
 */
export async function* inPages<Id, T extends { _id: Id }>(
  read: (after: Id | null) => Promise<T[]>,
  size: number,
): AsyncGenerator<T[]> {
  const gather = createGatherer();
  for (let after: Id | null = null; ;) {
    const page: T[] = await read(after);
    yield page;
    if (page.length < size) return;
    after = page.at(-1)!._id;
    gather(size);
  }
}
