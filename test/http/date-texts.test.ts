import { beforeAll, expect, test } from "bun:test";
import { useService } from "../support/service.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  token = (await service.join()).token;
  const starts = { $date: "2026-11-24T09:30:00Z" };
  const documents = [
    { _id: 1, starts, day: "2026-11-24", times: [starts], room: "a" },
    { _id: 2, starts: { $date: "2026-11-25T09:30:00Z" }, day: "2026-11-25", room: "b" },
  ];
  await service.send("POST", "/org/documents", { token, body: documents });
});

const text = "2026-11-24T09:30:00Z";
const ask = async (what: string, body: object) => {
  const answer = await service.send("POST", `/org/documents/${what}`, { token, body });
  expect({ status: answer.status, text: answer.status === 200 ? "" : answer.text }).toEqual({ status: 200, text: "" });
  return answer.body;
};
const pointersOf = ({ warnings = [] }: { warnings?: { pointer: string }[] }) => warnings.map(({ pointer }) => pointer);

test.each([
  [{ starts: text }, ["/starts"]],
  [{ starts: { $gte: text, $lt: "2026-11-25" } }, ["/starts/$gte", "/starts/$lt"]],
  [{ starts: { $in: [1, "2026-11-24T09:30:00.000+01:00"] } }, ["/starts/$in/1"]],
  [{ starts: { $not: { $lt: "9999-12-31T23:59" }, $gt: "2026-11-24 09:30:00" } }, ["/starts/$not/$lt", "/starts/$gt"]],
  [{ $and: [{ room: "a" }, { starts: { $eq: text } }] }, ["/$and/1/starts/$eq"]],
  [{ times: { $elemMatch: { $gte: text } } }, ["/times/$elemMatch/$gte"]],
  [{ booking: { starts: text } }, ["/booking/starts"]],
  [{ "a/b": text }, ["/a~1b"]],
] as [object, string[]][])(
  "a filter that compares text with dates and finds nothing is answered with a warning: %j",
  async (filter, at) => {
    const inFilter = at.map((pointer) => `#/filter${pointer}`);
    const found = await ask("find", { filter });
    expect(found).toEqual({ documents: [], next_cursor: null, warnings: expect.any(Array) });
    expect(pointersOf(found)).toEqual(inFilter);
    for (const { message, code } of found.warnings) {
      expect(message).toContain('{"$date": "');
      expect(code).toBe("date_as_text");
    }
    const counted = await ask("count", { filter });
    expect([counted.count, pointersOf(counted)]).toEqual([0, inFilter]);
    const results = await ask("aggregate", { pipeline: [{ $sort: { _id: 1 } }, { $match: filter }] });
    expect([results.documents, pointersOf(results)]).toEqual([
      [],
      at.map((pointer) => `#/pipeline/1/$match${pointer}`),
    ]);
    const listed = await service.send("GET", `/org/documents?filter=${encodeURIComponent(JSON.stringify(filter))}`, {
      token,
    });
    expect(pointersOf(listed.body)).toEqual(at.map((pointer) => `?filter${pointer}`));
  },
);

test.each([
  [{ starts: { $date: text } }, 1],
  [{ starts: { $gte: { $date: text } } }, 2],
  // Text that is compared with text: a day, say.
  [{ day: "2026-11-24" }, 1],
  [{ day: { $gte: "2026-11-24" } }, 2],
  [{ room: "c" }, 0],
  [{ room: "2026-11" }, 0],
  [{ room: "at 2026-11-24" }, 0],
  [{ room: { $regex: "2026-11-24" } }, 0],
  [{ room: 20261124 }, 0],
  [{ starts: { $date: "2030-01-01T00:00:00Z" } }, 0],
  [{ [text]: 1 }, 0],
] as [object, number][])("no warning comes with %j", async (filter, count) => {
  expect(await ask("count", { filter })).toEqual({ count });
  expect(Object.keys(await ask("find", { filter }))).toEqual(["documents", "next_cursor"]);
  expect(Object.keys(await ask("aggregate", { pipeline: [{ $match: filter }] }))).toEqual(["documents"]);
});

test("no warning comes with the last page, which has nothing left, nor of what a pipeline makes a date of", async () => {
  const first = await ask("find", { filter: { day: { $gte: "2026-11-24" } }, limit: 2 });
  expect(first.documents.length).toBe(2);
  const last = await ask("find", { filter: { day: { $gte: "2026-11-24" } }, limit: 2, cursor: first.next_cursor });
  expect(last).toEqual({ documents: [], next_cursor: null });
  const later = { $match: { $expr: { $gt: ["$starts", { $dateFromString: { dateString: "2027-01-01" } }] } } };
  expect(await ask("aggregate", { pipeline: [later] })).toEqual({ documents: [] });
});

test("a filter of thousands of dates in text is answered with twenty warnings", async () => {
  const { documents, warnings } = await ask("find", { filter: { starts: { $in: Array(5_000).fill(text) } } });
  expect([documents, warnings.length]).toEqual([[], 20]);
});
