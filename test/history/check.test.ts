import { describe, expect, test } from "bun:test";
import { check } from "../support/history/check.ts";
import type { Content, Event, Final, History, Seen } from "../support/history/history.ts";

const document = (base: string, fields: Record<string, string> = {}, key = "1"): Seen => ({
  ...{ key, owner: "m", base, echo: base, fields, strange: [] },
});
type Times = [startMs: number, endMs: number];
type More = Partial<Event>;
const event = (kind: Event["kind"], [startMs, endMs]: Times, more: More): Event => ({
  ...{ client: "a", process: 0, kind, key: "1", startMs, endMs, outcome: "ok", status: 200 },
  ...more,
});
// A value of the hand-made histories is its name, after the tenant's.
const insert = (value: string, at: Times, more: More = {}) => event("insert", at, { value: `m/${value}`, ...more });
const replace = (value: string, at: Times, more: More = {}) => event("replace", at, { value: `m/${value}`, ...more });
const patch = (field: string, value: string, at: Times, more: More = {}) =>
  event("patch", at, { field, value: `m/${value}`, ...more });
const remove = (at: Times, more: More = {}) => event("delete", at, more);
const get = (base: string | null, at: Times, more: More & { fields?: Content["fields"] } = {}) => {
  const { fields, ...rest } = more;
  return event("get", at, {
    seen: base === null ? null : document(`m/${base}`, fields, more.key ?? "1"),
    ...(base === null && { outcome: "failed", status: 404 }),
    ...rest,
  });
};
const list = (documents: Seen[], at: Times, more: More = {}) =>
  event("list", at, { key: null, pages: [{ startMs: at[0], endMs: at[1], documents }], ...more });
const unknown = { outcome: "unknown", status: null } as const;
const refused = (status: number) => ({ outcome: "failed", status }) as const;
const b = { client: "b" };

const clean = { leftBehind: [], indexesBefore: ["a_1"], indexesAfter: ["a_1"] };
const history = (events: Event[], stored: Seen[], final: Partial<Final> = {}): History => ({
  ...{ owner: "m", others: ["n"], events },
  final: { stored: { startMs: 1_000, endMs: 1_001, documents: stored }, ...clean, ...final },
});
const [one, two] = [document("m/1"), document("m/2")];

const good: Record<string, History> = {
  "a write, its read, its delete": history(
    [insert("1", [0, 1]), get("1", [2, 3]), remove([4, 5]), get(null, [6, 7])],
    [],
  ),
  "a read while a replace is under way sees the old": history(
    [insert("1", [0, 1]), replace("2", [2, 10]), get("1", [3, 4], b), get("2", [5, 6], b)],
    [two],
  ),
  "two replaces at once, in either order": history(
    [insert("1", [0, 1]), replace("2", [2, 10]), replace("3", [2, 10], b), get("3", [11, 12])],
    [document("m/3")],
  ),
  "patches of different fields add up, a replace clears them": history(
    [
      insert("1", [0, 1]),
      patch("x", "2", [2, 9]),
      patch("y", "3", [2, 9], b),
      get("1", [10, 11], { fields: { x: "m/2", y: "m/3" } }),
      replace("4", [12, 13]),
    ],
    [document("m/4")],
  ),
  "a write without an answer that is never done": history(
    [insert("1", [0, 1]), replace("2", [2, 3], unknown), get("1", [4, 5])],
    [one],
  ),
  "a write without an answer that is done much later": history(
    [insert("1", [0, 1]), replace("2", [2, 3], unknown), get("1", [4, 5]), get("1", [6, 7], b)],
    [two],
  ),
  "a delete without an answer lets the next insert in": history(
    [insert("1", [0, 1]), remove([2, 3], unknown), insert("2", [4, 5])],
    [two],
  ),
  "an insert without an answer and never seen refuses another's, then goes": history(
    [insert("1", [0, 1], unknown), insert("2", [4, 5], refused(409)), remove([6, 7])],
    [],
  ),
  "a delete without an answer explains a 404 and the write after it doesn't happen": history(
    [insert("1", [0, 1]), remove([2, 3], unknown), replace("2", [4, 5], refused(404)), get(null, [6, 7])],
    [],
  ),
  "a replace without an answer, never seen, explains that the version is another": history(
    [
      insert("1", [0, 1], { seen: one, etag: '"1"' }),
      replace("2", [2, 3], unknown),
      replace("3", [4, 5], { ...refused(412), ifMatch: '"1"' }),
      replace("4", [6, 7]),
    ],
    [document("m/4")],
  ),
  "two inserts at once, one is refused": history(
    [insert("1", [0, 9]), insert("2", [0, 9], { ...b, ...refused(409) })],
    [one],
  ),
  "a delete and an insert at once, after which it is there": history(
    [insert("1", [0, 1]), remove([2, 9]), insert("2", [2, 9], b)],
    [two],
  ),
  "a list that overlaps a delete may show it or not": history(
    [
      insert("1", [0, 1]),
      remove([2, 9]),
      list([], [3, 4], b),
      insert("2", [20, 21]),
      remove([30, 39]),
      list([two], [31, 32], b),
    ],
    [],
  ),
  "a list that overlaps the delete and the insert again": history(
    [insert("1", [0, 1]), remove([2, 3]), list([], [2.5, 5], b), insert("2", [4, 6])],
    [two],
  ),
  "an insert whose id the server chose and whose answer was lost": history(
    [insert("1", [0, 1], { ...unknown, key: null }), get("1", [5, 6])],
    [one],
  ),
  "one that was lost before it was done": history([insert("1", [0, 1], { ...unknown, key: null })], []),
  "If-Match on the version that is there": history(
    [insert("1", [0, 1], { seen: one, etag: '"1"' }), replace("2", [2, 3], { ifMatch: '"1"', seen: two, etag: '"2"' })],
    [two],
  ),
};

const bad: Record<string, [rule: string, History]> = {
  "an acknowledged insert isn't there at the end": ["lost write", history([insert("1", [0, 1])], [])],
  "an acknowledged replace isn't there at the end": [
    "lost write",
    history([insert("1", [0, 1]), replace("2", [2, 3])], [one]),
  ],
  "an acknowledged patch isn't there at the end": [
    "lost write",
    history([insert("1", [0, 1]), patch("x", "2", [2, 3])], [one]),
  ],
  "an older patch at the end": [
    "lost write",
    history([insert("1", [0, 1]), patch("x", "2", [2, 3]), patch("x", "3", [4, 5])], [document("m/1", { x: "m/2" })]),
  ],
  "a replace keeps what was patched before": [
    "no order",
    history([insert("1", [0, 1]), patch("x", "2", [2, 3]), replace("3", [4, 5])], [document("m/3", { x: "m/2" })]),
  ],
  "an acknowledged delete is undone": ["delete undone", history([insert("1", [0, 1]), remove([2, 3])], [one])],
  "a deleted document is seen for a moment": [
    "delete undone",
    history([insert("1", [0, 1]), remove([2, 3]), get("1", [4, 5]), get(null, [6, 7])], []),
  ],
  "a delete that one has seen is not so for another": [
    "dirty read",
    history([insert("1", [0, 1]), remove([2, 9]), get(null, [3, 4]), get("1", [5, 6], b)], []),
  ],
  "an older value after a newer one, for another client": [
    "stale read",
    history([insert("1", [0, 1]), replace("2", [2, 3]), get("1", [4, 5], b)], [two]),
  ],
  "an older value after a newer one that is not acknowledged yet": [
    "dirty read",
    history([insert("1", [0, 1]), replace("2", [2, 9]), get("2", [3, 4], b), get("1", [5, 6], b)], [two]),
  ],
  "a client sees its own write disappear": [
    "time went back",
    history([insert("1", [0, 1]), replace("2", [2, 3]), get("1", [4, 5])], [two]),
  ],
  "a write without an answer is seen, and then isn't": [
    "dirty read",
    history([insert("1", [0, 1]), replace("2", [2, 3], unknown), get("2", [4, 5]), get("1", [6, 7], b)], [two]),
  ],
  "a value comes back after it was replaced": [
    "dirty read",
    history(
      [insert("1", [0, 1]), replace("2", [2, 9], unknown), get("2", [3, 4]), replace("3", [5, 6]), get("2", [7, 8])],
      [document("m/3")],
    ),
  ],
  "a value comes back after it was replaced, long after its client gave up": [
    "time went back",
    history(
      [
        insert("1", [0, 1]),
        replace("2", [2, 9], unknown),
        get("2", [3, 4]),
        replace("3", [5, 6]),
        get("2", [20_007, 20_008]),
      ],
      [document("m/3")],
      { stored: { startMs: 30_000, endMs: 30_001, documents: [document("m/3")] } },
    ),
  ],
  "an insert over a document that is there": [
    "double insert",
    history([insert("1", [0, 1]), insert("2", [2, 3])], [two]),
  ],
  "two inserts at once, both acknowledged": ["no order", history([insert("1", [0, 9]), insert("2", [0, 9], b)], [two])],
  "an insert is refused and there is nothing": ["no order", history([insert("1", [0, 1], refused(409))], [])],
  "a replace of a document that isn't there": ["no order", history([replace("1", [0, 1])], [one])],
  "a 404 for a document that is there": [
    "lost write",
    history([insert("1", [0, 1]), replace("2", [2, 3], { ...refused(404), ...b }), get("1", [4, 5])], [one]),
  ],
  "a write that was refused is done": [
    "refused write done",
    history([insert("1", [0, 1]), replace("2", [2, 3], refused(409)), get("2", [4, 5])], [two]),
  ],
  "If-Match lets a write over a newer version": [
    "no order",
    history(
      [
        insert("1", [0, 1], { seen: one, etag: '"1"' }),
        replace("2", [2, 3], { seen: two, etag: '"2"' }),
        replace("3", [4, 5], { ifMatch: '"1"' }),
      ],
      [document("m/3")],
    ),
  ],
  "If-Match refuses the version that is there": [
    "no order",
    history(
      [insert("1", [0, 1], { seen: one, etag: '"1"' }), replace("2", [2, 3], { ifMatch: '"1"', ...refused(412) })],
      [one],
    ),
  ],
  "one version stands for two contents": [
    "mixed versions",
    history([insert("1", [0, 1], { seen: one, etag: '"1"' }), replace("2", [2, 3], { seen: two, etag: '"1"' })], [two]),
  ],
  "the version changes and nobody wrote": [
    "mixed versions",
    history([insert("1", [0, 1], { seen: one, etag: '"1"' }), get("1", [2, 3], { etag: '"2"' })], [one]),
  ],
  "a document of another tenant, by its owner": [
    "foreign document",
    history([list([{ ...document("n/1"), owner: "n" }], [0, 1])], []),
  ],
  "a document of another tenant, by its value": [
    "foreign document",
    history([insert("1", [0, 1]), get("1", [2, 3], { seen: document("n/7") })], [one]),
  ],
  "a document of another tenant in the database": [
    "foreign document",
    history([], [{ ...document("n/1"), owner: "n" }]),
  ],
  "a value that nobody wrote": ["unknown value", history([insert("1", [0, 1]), get("7", [2, 3])], [one])],
  "a value that was written to another document": [
    "unknown value",
    history(
      [insert("1", [0, 1]), insert("2", [0, 1], { key: "2" }), get("2", [2, 3])],
      [one, document("m/2", {}, "2")],
    ),
  ],
  "a document that is half of one write and half of another": [
    "half-written",
    history([insert("1", [0, 1]), replace("2", [2, 9]), get("1", [3, 4], { seen: { ...one, echo: "m/2" } })], [two]),
  ],
  "a field that Croupier keeps": [
    "kept field shown",
    history([insert("1", [0, 1]), get("1", [2, 3], { seen: { ...one, strange: ["tenant_id"] } })], [one]),
  ],
  "a list without a document that was there all the time": [
    "missing in list",
    history([insert("1", [0, 1]), list([], [2, 5], b)], [one]),
  ],
  "a list without one that a replace is writing to": [
    "missing in list",
    history([insert("1", [0, 1]), replace("2", [1.5, 9]), list([], [2, 5], b)], [two]),
  ],
  "a list that shows a document twice": [
    "listed twice",
    history([insert("1", [0, 1]), list([one, one], [2, 5], b)], [one]),
  ],
  "a list that shows a deleted document": [
    "delete undone",
    history([insert("1", [0, 1]), remove([2, 3]), list([one], [4, 5], b)], []),
  ],
  "a list that shows an old value": [
    "stale read",
    history([insert("1", [0, 1]), replace("2", [2, 3]), list([one], [4, 5], b)], [two]),
  ],
  "an insert whose answer was lost is done twice, under two ids": [
    "unknown value",
    history([insert("1", [0, 1], { ...unknown, key: null })], [one, document("m/1", {}, "2")]),
  ],
  "a document is stored twice": ["stored twice", history([insert("1", [0, 1])], [one, one])],
  "something is left at the old placement": [
    "left behind",
    history([insert("1", [0, 1])], [one], { leftBehind: ["3 documents in org_old"] }),
  ],
  "an index is lost": ["indexes differ", history([insert("1", [0, 1])], [one], { indexesAfter: [] })],
};

describe("the checker accepts", () => {
  for (const [what, some] of Object.entries(good)) {
    test(what, () => expect(check(some).violations).toEqual([]));
  }
});

describe("the checker finds", () => {
  for (const [what, [rule, some]] of Object.entries(bad)) {
    test(what, () => expect(check(some).violations.map((one) => one.rule)).toContain(rule));
  }
});
