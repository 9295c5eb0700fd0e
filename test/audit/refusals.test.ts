import { describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import type { Entry } from "../../src/audit/audit.ts";
import { createRefusals } from "../../src/audit/refusals.ts";
import { limitedAs } from "../../src/http/edge/address.ts";
import { createLogger } from "../../src/log.ts";

const organizationId = new ObjectId();
function make(append?: (entry: Entry) => Promise<void>) {
  const entries: Entry[] = [];
  const kept = async (entry: Entry) => {
    await append?.(entry);
    entries.push(entry);
  };
  const options = { append: kept, sourceOf: limitedAs, now: () => new Date(), log: createLogger("silent") };
  const { note, flush } = createRefusals(options);
  return {
    entries,
    flush,
    refuse: (address: string, id: ObjectId | null = organizationId) =>
      note(
        { who: { kind: "anonymous", id: null }, address, request_id: "r" },
        { act: "access.refused", organizationId: id, details: { code: "token_invalid" } },
        "refused",
      ),
  };
}
const countOf = (entries: Entry[]) => entries.reduce((sum, { details }) => sum + Number(details.count ?? 1), 0);

describe("refused requests", () => {
  test("of one network are ten entries and a number, in each chain; the next minute begins anew", async () => {
    const { entries, flush, refuse } = make();
    for (let n = 0; n < 50; n++) {
      refuse(`2001:db8:0:1:0:0:0:${n}`);
      refuse(`2001:db8:0:1:0:0:0:${n}`, null);
    }
    refuse("192.0.2.1");
    await flush();
    expect(entries).toHaveLength(23);
    expect(countOf(entries)).toBe(101);
    const counted = entries.filter(({ details }) => details.count !== undefined);
    expect(counted.map(({ address, details }) => [address, details.count])).toEqual([
      ["2001:db8:0:1::/64", 40],
      ["2001:db8:0:1::/64", 40],
    ]);
    refuse("2001:db8:0:1:0:0:0:1");
    await flush();
    expect(entries).toHaveLength(24);
  });

  test("of very many addresses are counted, and none is left out of the number", async () => {
    const { entries, flush, refuse } = make();
    for (let n = 0; n < 20_000; n++) refuse(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    await flush();
    expect(countOf(entries)).toBe(20_000);
    expect(entries.length).toBeLessThan(2_100);
    expect(entries.find(({ address }) => address === "many")!.details.count).toBe(18_000);
  });

  test("that can't be recorded are counted, and the number is recorded when that is possible again", async () => {
    let isAway = true;
    const { entries, flush, refuse } = make(async () => {
      if (isAway) throw new Error("away");
    });
    for (let n = 0; n < 5; n++) refuse("192.0.2.1");
    await Bun.sleep(0);
    isAway = false;
    await flush();
    expect(entries.map(({ details }) => details.count)).toEqual([5]);
    expect(new Set(entries.map(({ act_id }) => act_id)).size).toBe(1);
  });
});
