import { beforeAll, describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { withPlaceClaimed } from "../../src/organization/store.ts";
import { useOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row, wrongBodies } from "../support/wrong-input.ts";

const service = useService();
const operatorKey = useOperatorKey(service);
const path = "/platform/organizations";
const ask = (query = "") => service.send("GET", path + query, { token: operatorKey() });
const noId = "0123456789abcdef01234567";

const names: string[] = [];
const ids: string[] = [];
beforeAll(async () => {
  for (const hint of ["list-a", "list-b", "list-c", "other"]) {
    const { id, organization_name } = await service.join(hint);
    ids.push(id);
    names.push(organization_name);
  }
  await service.db
    .collection("organizations")
    .updateOne({ _id: new ObjectId(ids[1]) }, { $set: { tier: "starter", region: "eu" } });
  const suspended = await service.send("POST", `${path}/${ids[2]}/suspend`, {
    token: operatorKey(),
    body: { reason: "not paid" },
  });
  expect(suspended.status).toBe(200);
});
const found = async (query: string) =>
  (await ask(query)).body.organizations.map(({ id }: { id: string }) => ids.indexOf(id));

describe("GET /platform/organizations", () => {
  test("lists all in the order in which they were made, each with its admin's email", async () => {
    const { status, body } = await ask();
    expect(status).toBe(200);
    expect(body.organizations.map(({ id }: { id: string }) => id)).toEqual(ids);
    expect(body.next_cursor).toBeNull();
    expect(body.organizations[2]).toMatchObject({
      organization_name: names[2],
      email: `${names[2]}@example.com`,
      status: "suspended",
      suspension: { reason: "not paid" },
    });
    expect(JSON.stringify(body)).not.toContain("$2b$");
  });

  test.each([
    ["?tier=starter", [1]],
    ["?tier=professional", [0, 2, 3]],
    ["?tier=enterprise", []],
    ["?status=suspended", [2]],
    ["?status=active", [0, 1, 3]],
    ["?status=deleting", []],
    ["?region=eu", [1]],
    ["?name_prefix=list-", [0, 1, 2]],
    ["?name_prefix=LIST-B", [1]],
    ["?name_prefix=list-&status=active&tier=starter&region=eu", [1]],
    ["?name_prefix=z", []],
  ])("%s finds %j", async (query, expected) => {
    expect(await found(query)).toEqual(expected);
  });

  test("goes on where a page ended, whatever was added or removed meanwhile", async () => {
    const seen: string[] = [];
    let cursor: string | null = "";
    do {
      const { body } = await ask(`?limit=1&name_prefix=list-${cursor && `&cursor=${cursor}`}`);
      seen.push(...body.organizations.map(({ id }: { id: string }) => id));
      cursor = body.next_cursor as string | null;
    } while (cursor);
    expect(seen).toEqual(ids.slice(0, 3));
  });

  test("doesn't take a place that is held for a moment for an organization", async () => {
    await withPlaceClaimed(service.db, "default/nowhere/at_all", async (claim) => {
      expect((await ask()).body.organizations).toBeArrayOfSize(ids.length);
      const answer = await service.send("GET", `${path}/${claim.toHexString()}`, { token: operatorKey() });
      expect(answer.status).toBe(404);
    });
  });

  test("shows one by its id", async () => {
    const { status, body } = await service.send("GET", `${path}/${ids[0]}`, { token: operatorKey() });
    expect({ status, ...body }).toMatchObject({ status: "active", id: ids[0], suspension: null });
  });
});

const authorization = () => `Bearer ${operatorKey()}`;
const query = (search: string, pointer: string): Row => ({
  name: search.slice(0, 40),
  ...invalid,
  pointers: [pointer],
  path: `${path}?${search}`,
});
refuses(service, "GET /platform/organizations", { method: "GET", path, authorization }, [
  query("tier=gold", "?tier"),
  query("tier[$ne]=starter", "?tier[$ne]"),
  query("tier=starter&tier=starter", "?tier"),
  query("status=gone", "?status"),
  query("status=", "?status"),
  query("region=%24ne", "?region"),
  query(`region=${"x".repeat(65)}`, "?region"),
  query("name_prefix=a.*", "?name_prefix"),
  query("name_prefix=~claim~", "?name_prefix"),
  query("name_prefix=%00", "?name_prefix"),
  query(`name_prefix=${"x".repeat(51)}`, "?name_prefix"),
  query("limit=0", "?limit"),
  query("limit=201", "?limit"),
  query("cursor=x", "?cursor"),
  query("email=a%40b.co", "?email"),
]);

const wrongIds = (at: (id: string) => string, request: Pick<Row, "body"> = {}): Row[] =>
  ["x", noId.toUpperCase(), `${noId}0`, "%00", "..%2F..", "{}"].map((wrong) => ({
    name: `id: ${wrong}`,
    ...invalid,
    pointers: ["{id}"],
    path: at(wrong),
    ...request,
  }));
const missing = (request: Pick<Row, "body"> = {}): Row => ({
  name: "no such organization",
  status: 404,
  type: "organization_not_found",
  ...request,
});
const tooLarge: Row = { name: "too large a body", status: 413, type: "body_too_large", body: "x".repeat(2_000_000) };

refuses(service, "GET /platform/organizations/:id", { method: "GET", path: `${path}/${noId}`, authorization }, [
  ...wrongIds((id) => `${path}/${id}`),
  missing(),
]);
for (const verb of ["reactivate", "revoke-tokens"]) {
  const common = { method: "POST", path: `${path}/${noId}/${verb}`, authorization };
  refuses(service, `POST /platform/organizations/:id/${verb}`, common, [
    ...wrongIds((id) => `${path}/${id}/${verb}`),
    missing(),
    tooLarge,
  ]);
}
const suspend = { method: "POST", path: `${path}/${noId}/suspend`, authorization };
const reason = (name: string, value: unknown): Row => ({
  name: `reason: ${name}`,
  ...invalid,
  pointers: ["#/reason"],
  body: { reason: value },
});
refuses(service, "POST /platform/organizations/:id/suspend", suspend, [
  ...wrongIds((id) => `${path}/${id}/suspend`, { body: {} }),
  ...wrongBodies({ reason: "not paid" }),
  reason("empty", ""),
  reason("null", null),
  reason("a number", 1),
  reason("an operator", { $ne: "" }),
  reason("two lines", "not\npaid"),
  reason("a line separator", "not\u2028paid"),
  reason("NUL", "not\0paid"),
  reason("an escape sequence", "\u001b[2J"),
  reason("501 characters", "x".repeat(501)),
  missing({ body: {} }),
]);
