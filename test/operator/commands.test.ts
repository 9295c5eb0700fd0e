import { afterAll, describe, expect, test } from "bun:test";
import type { Entry } from "../../src/audit/audit.ts";
import { auditEntries } from "../../src/audit/store.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { croupier } from "../support/command.ts";
import { freshDatabaseName } from "../support/service.ts";

const databaseName = freshDatabaseName();
const run = (...words: string[]) => croupier(databaseName, ["key", ...words]);

afterAll(async () => {
  const client = createClient(process.env.MONGODB_URL!);
  await client.db(databaseName).dropDatabase();
  await client.close();
});

async function readRecord() {
  const client = createClient(process.env.MONGODB_URL!);
  const entries = await auditEntries(client.db(databaseName)).find().sort({ _id: 1 }).toArray();
  await client.close();
  return entries;
}

describe("croupier key", () => {
  test("croupier key create prints a key, this once; list and revoke show everything else of it", async () => {
    const words = ["--name", "mover", "--scopes", "organizations:read, moves:write", "--expires", "90d"];
    const made = await run("create", ...words, "--allow", "10.0.0.0/8,2001:DB8::1");
    expect(made.code).toBe(0);
    expect(made.out).toMatch(/^crp_live_[0-9a-f]{8}_[0-9a-f]{72}\n$/);
    expect(made.errors).not.toContain(made.out.slice(18, 60));
    const prefix = made.out.slice(0, 17);
    const listed = await run("list");
    expect(listed.out).not.toContain(made.out.slice(18, 60));
    const shown = JSON.parse(listed.out);
    expect(shown).toEqual({
      id: prefix.slice(9),
      prefix,
      name: "mover",
      status: "active",
      scopes: ["organizations:read", "moves:write"],
      allow: ["10.0.0.0/8", "2001:db8::1/128"],
      created_at: expect.any(String),
      expires_at: expect.any(String),
      last_used_at: null,
      revoked_at: null,
    });
    const days = (Date.parse(shown.expires_at) - Date.parse(shown.created_at)) / 86_400_000;
    expect(Math.round(days)).toBe(90);
    const revoked = await run("revoke", prefix);
    expect({ code: revoked.code, ...JSON.parse(revoked.out) }).toMatchObject({ code: 0, status: "revoked" });
    expect(await run("revoke", "00000000")).toMatchObject({ code: 1, out: "" });
    expect((await run("revoke", prefix)).code).toBe(0);
    const recorded = await readRecord();
    const operator = { kind: "operator" as const, id: null };
    const details = { key_id: prefix.slice(9), name: "mover" };
    const allow = "10.0.0.0/8,2001:db8::1/128";
    const shownOf = ({ act, outcome, who, details }: Entry) => ({ act, outcome, who, details });
    expect(recorded.map(shownOf)).toEqual([
      {
        act: "key.create",
        outcome: "success",
        who: operator,
        details: { ...details, scopes: "organizations:read,moves:write", allow },
      },
      { act: "key.revoke", outcome: "success", who: operator, details },
    ]);
    expect(JSON.stringify(recorded)).not.toContain(made.out.slice(18, 60));
  });

  test("revoke takes the whole key too, which may be all that is known of one, and never says it again", async () => {
    const key = (await run("create", "--name", "found", "--scopes", "audit:read")).out.trim();
    const mistyped = await run("revoke", key.slice(0, -1));
    expect(mistyped).toMatchObject({ code: 1, out: "" });
    const revoked = await run("revoke", key);
    expect({ code: revoked.code, ...JSON.parse(revoked.out) }).toMatchObject({
      code: 0,
      name: "found",
      status: "revoked",
    });
    for (const { out, errors } of [mistyped, revoked]) expect(out + errors).not.toContain(key.slice(18, 60));
  });

  test.each([
    ["no scopes", ["--name", "x"]],
    ["no name", ["--scopes", "moves:write"]],
    ["an unknown scope", ["--name", "x", "--scopes", "moves:write,all"]],
    ["an empty list of scopes", ["--name", "x", "--scopes", ","]],
    ["a name of two lines", ["--name", "x\ny", "--scopes", "moves:write"]],
    ["a time that is over", ["--name", "x", "--scopes", "moves:write", "--expires", "2020-01-01"]],
    ["a time that is none", ["--name", "x", "--scopes", "moves:write", "--expires", "soon"]],
    ["an empty list of networks", ["--name", "x", "--scopes", "moves:write", "--allow", ""]],
    ["a network with a slip", ["--name", "x", "--scopes", "moves:write", "--allow", "10.1.2.3/8"]],
  ])("create refuses %s", async (_name, words) => {
    const { code, out, errors } = await run("create", ...words);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(errors).toMatch(/^error: /);
  });
});
