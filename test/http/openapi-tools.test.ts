// What others make of the description; `openapi-generators.test.ts` has the tools that aren't in package.json.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import openapiTypescript, { astToString } from "openapi-typescript";
import typescript from "typescript";
import { useService } from "../support/service.ts";

const service = useService();
const folder = mkdtempSync(join(tmpdir(), "croupier-openapi-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let text: string;
beforeAll(async () => {
  text = (await service.send("GET", "/openapi.json")).text;
});

test("redocly's recommended rules find nothing in the description but that there is no license", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const problems = await lintFromString({ source: text, config });
  expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([
    expect.stringMatching(/^info-license: /),
  ]);
});

/** What a product's code does with the types. */
const program = `
import type { components, paths } from "./types";

type Body<Path extends keyof paths, Method extends "post" | "put"> =
  paths[Path] extends { [M in Method]: { requestBody: { content: { "application/json": infer Sent } } } } ? Sent : never;

export const create: Body<"/org/create", "post"> = { organization_name: "acme", email: "a@acme.example", password: "x" };
export const update: Body<"/org/update", "put"> = { password: "Correct-Horse-7", email: null };
export const find: Body<"/org/documents/find", "post"> = { filter: { color: "red" }, sort: "-weight", limit: 10 };
export const inserted: Body<"/org/documents", "post"> = [{ _id: 1, color: "red" }, { weight: 2 }];

export function isTaken({ type }: components["schemas"]["Problem"]): boolean {
  // @ts-expect-error: there is no such problem
  if (type === "urn:croupier:problem:email_token") return false;
  return type === "urn:croupier:problem:email_taken";
}
export const colorsOf = ({ documents }: components["schemas"]["Documents"]): unknown[] => documents.map(({ color }) => color);

// @ts-expect-error: it is text
create.password = 7;
// @ts-expect-error: only GET
export const post: NonNullable<paths["/org/get"]["post"]> = {};
`;

test("openapi-typescript makes types of the description that compile and tell right from wrong", async () => {
  const types = astToString(await openapiTypescript(text));
  expect(types).not.toMatch(/unknown & |& unknown/);
  writeFileSync(join(folder, "types.d.ts"), types);
  writeFileSync(join(folder, "program.ts"), program);
  const compiled = typescript.createProgram([join(folder, "program.ts")], {
    strict: true,
    noEmit: true,
    // Neither what is installed here nor what browsers have: that is most of what there would be to read.
    types: [],
    lib: ["lib.es2022.d.ts"],
    target: typescript.ScriptTarget.ES2022,
    module: typescript.ModuleKind.ES2022,
    moduleResolution: typescript.ModuleResolutionKind.Bundler,
  });
  const wrong = typescript.getPreEmitDiagnostics(compiled);
  expect(wrong.map(({ messageText }) => typescript.flattenDiagnosticMessageText(messageText, "\n"))).toEqual([]);
}, 30_000);
