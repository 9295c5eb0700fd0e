import { expect, test } from "bun:test";
import { useService } from "../support/service.ts";

const service = useService({ MAX_LARGE_BYTES: String(34 * 1_048_576) });

/** An organization with a page of 12 MB, none of whose documents is large. */
async function joinWithPage() {
  const { token } = await service.join();
  const documents = Array.from({ length: 700 }, (_, n) => ({ _id: n, n: 700 - n, text: "x".repeat(17_000) }));
  expect((await service.send("POST", "/org/documents", { token, body: documents })).status).toBe(201);
  const list = (query: string) => service.send("GET", `/org/documents?${query}`, { token });
  const aggregate = () => service.send("POST", "/org/documents/aggregate", { token, body: { pipeline: [] } });
  return { list, aggregate };
}

test("pages of many small documents that are being printed are bounded together: one organization can't have all, and small pages always go", async () => {
  const [busy, other] = [await joinWithPage(), await joinWithPage()];
  const pages = Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? busy.list("limit=1000") : busy.aggregate()));
  const small = busy.list("limit=10");
  const answers = await Promise.all(pages);
  expect((await small).status).toBe(200);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(8);
  for (const { status, headers, body } of refused) {
    expect({ status, type: body.type }).toEqual({ status: 503, type: "urn:croupier:problem:documents_busy" });
    expect(headers.get("retry-after")).toBe("1");
  }
  for (const { body } of answers.filter(({ status }) => status === 200)) expect(body.documents).toHaveLength(700);
  expect((await other.list("limit=1000")).body.documents).toHaveLength(700);
  expect((await busy.aggregate()).status).toBe(200);
}, 60_000);

test("a large page of small documents is what the small ones are together, and the next one begins after it", async () => {
  const { list } = await joinWithPage();
  const seen: number[] = [];
  for (let cursor = ""; ;) {
    const { body } = await list(`limit=300&sort=n&projection={"text":0}&cursor=${cursor}`.replace(/&cursor=$/, ""));
    const page = await list(`limit=300&sort=n&cursor=${cursor}`.replace(/&cursor=$/, ""));
    expect(page.body.next_cursor).toBe(body.next_cursor);
    expect(page.body.documents.map(({ text, ...rest }: any) => ({ ...rest }))).toEqual(body.documents);
    seen.push(...page.body.documents.map(({ n }: any) => n));
    if (body.next_cursor === null) break;
    cursor = body.next_cursor;
  }
  expect(seen).toEqual(Array.from({ length: 700 }, (_, n) => n + 1));
}, 60_000);
