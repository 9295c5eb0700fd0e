import { expect, test } from "bun:test";
import { check, type Verdict } from "../support/history/check.ts";
import { list } from "../support/history/client.ts";
import { type Lie, startFake } from "../support/history/fake.ts";
import { createRecorder } from "../support/history/history.ts";
import { preload, startWorkload } from "../support/history/workload.ts";

const seed = Number(process.env.HISTORY_SEED || 1);

/** The workload on a store in memory, and what the checker says of it. */
async function judge(lie?: Lie): Promise<Verdict> {
  const fake = startFake(lie);
  const recorder = createRecorder();
  const access = { token: "m", targets: [{ url: fake.url }, { url: fake.url }], recorder };
  const otherKeys = await preload(access, "m", 50);
  const workload = startWorkload(access, { owner: "m", seed, clients: 5, otherKeys, pauseMs: 4 });
  await Bun.sleep(1_500);
  await workload.stop();
  const end = await list(access, { client: "end", process: 0 }, 10_000);
  await fake.stop();
  const final = { stored: end.pages![0]!, leftBehind: [], indexesBefore: [], indexesAfter: [] };
  return check({ owner: "m", others: ["n"], events: [...recorder.events], final });
}

test("all that the workload does is recorded and judged right", async () => {
  const { violations, counts } = await judge();
  expect(violations).toEqual([]);
  expect(counts.ok).toBeGreaterThan(300);
  expect(counts.unknown).toBe(0);
});

for (const lie of ["lost write", "foreign document", "pages by number"] as const) {
  test(`a store with ${lie} is found out`, async () => {
    const { violations } = await judge(lie);
    expect(violations.map(({ rule }) => rule).join()).toMatch(
      /lost write|stale read|time went back|delete undone|foreign|missing in list/,
    );
  });
}
