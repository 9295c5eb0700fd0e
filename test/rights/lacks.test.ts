import { describe, expect, test } from "bun:test";
import { MongoServerError } from "mongodb";
import { isUnauthorized } from "../../src/lib/mongo/mongo.ts";
import { wordsOf } from "../../src/lib/scrub.ts";
import { lacksOf, needs } from "../../src/tenant/place/rights.ts";

const all = needs.enterprise.actions;
const featuresOf = (privileges: Parameters<typeof lacksOf>[0]) =>
  lacksOf(privileges, "master").map(({ feature }) => String(feature));

describe("what privileges allow", () => {
  test.each([
    ["all databases", [{ resource: { db: "", collection: "" }, actions: all }], []],
    ["any resource", [{ resource: { anyResource: true }, actions: all }], []],
    ["the own database", [{ resource: { db: "master", collection: "" }, actions: all }], ["enterprise"]],
    [
      "the own database in parts",
      [
        { resource: { db: "master", collection: "" }, actions: needs.service.actions },
        { resource: { db: "master", collection: "tenant_documents" }, actions: all },
      ],
      ["professional", "enterprise"],
    ],
    [
      "another database",
      [{ resource: { db: "another", collection: "" }, actions: all }],
      ["service", "starter", "professional", "enterprise"],
    ],
    [
      "one collection of each database",
      [{ resource: { db: "", collection: "documents" }, actions: all }],
      ["service", "starter", "professional", "enterprise"],
    ],
    [
      "the cluster",
      [{ resource: { cluster: true }, actions: all }],
      ["service", "starter", "professional", "enterprise"],
    ],
  ])("on %s", (_, privileges, expected) => {
    expect(featuresOf(privileges as Parameters<typeof lacksOf>[0])).toEqual(expected);
  });

  test("says which actions are missing", () => {
    const actions = all.filter((action) => action !== "renameCollectionSameDB" && action !== "find");
    const lacks = lacksOf([{ resource: { db: "", collection: "" }, actions }], "master");
    expect(lacks[2]).toEqual({ feature: "professional", reach: "own", actions: ["find", "renameCollectionSameDB"] });
  });

  test("is what docs/operating.md says", async () => {
    const page = await Bun.file(new URL("../../docs/operating.md", import.meta.url)).text();
    const rows = page.slice(page.indexOf("## Rights of the database's user")).split("\n");
    const actionsIn = (start: string) =>
      [
        ...rows
          .find((row) => row.startsWith(`| ${start}`))!
          .split("|")
          .at(-2)!
          .matchAll(/`(\w+)`/g),
      ].map(([, name]) => name!);
    expect(actionsIn("the service")).toEqual([...needs.service.actions]);
    expect(actionsIn("`starter`")).toEqual([...needs.starter.actions]);
    expect(actionsIn("`professional`")).toEqual([...needs.professional.actions]);
    expect(needs.enterprise.actions).toEqual(needs.professional.actions);
  });
});

describe("a refusal for want of a right", () => {
  test.each([
    [
      { code: 13, message: 'not authorized on shop to execute command { find: "org_a", filter: { name: "Ada" } }' },
      "the database user may not run find on shop",
    ],
    [{ code: 13, message: "Command insert requires authentication" }, "the database user may not run insert"],
    [
      { code: 8000, message: "user is not allowed to do action [dropDatabase] on [shop.]" },
      "the database user may not run dropDatabase on shop",
    ],
    [{ code: 18, message: "Authentication failed." }, "the database user lacks a right, or could not be authenticated"],
    [{ code: 8000, message: "bad auth : Ada" }, "the database user lacks a right, or could not be authenticated"],
  ])("of the code and message %o is told as: %s", ({ code, message }, told) => {
    const error = new MongoServerError({ message, code });
    expect(isUnauthorized(error)).toBe(true);
    expect(wordsOf(error)).toBe(told);
  });

  test("is none of Atlas's other refusals", () => {
    expect(isUnauthorized(new MongoServerError({ message: "you are over your space quota", code: 8000 }))).toBe(false);
  });
});
