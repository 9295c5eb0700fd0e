// Validators and generators that are no part of the project: `OPENAPI_TOOLS=full` installs them, at these versions, into a folder
// that goes with the run. It needs Python with venv, and Java for one of them.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { useService } from "../support/service.ts";

const npm = { "@redocly/cli": "2.77.0", "@stoplight/spectral-cli": "6.16.3" };
const pip = [
  "openapi-spec-validator==0.9.0",
  "openapi-python-client==0.29.1",
  "datamodel-code-generator==0.89.0",
  // openapi-python-client formats with it.
  "ruff==0.17.6",
  // A package of the registry that has the program in Java inside.
  "openapi-generator-cli==7.26.0",
  // What its clients import.
  "urllib3",
  "python-dateutil",
  "pydantic",
];
const isWanted = process.env.OPENAPI_TOOLS === "full";
const minutes = 10 * 60_000;

describe.skipIf(!isWanted)("tools that are installed for this take the description", () => {
  const service = useService();
  const folder = isWanted ? mkdtempSync(join(tmpdir(), "croupier-openapi-")) : "";
  const bin = join(folder, "venv/bin");
  const env = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    REDOCLY_TELEMETRY: "off",
    SCARF_ANALYTICS: "false",
  };

  async function run(...command: string[]) {
    const child = Bun.spawn(command, { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { stdout, said: stdout + stderr, code };
  }
  /** @returns what it said. @throws Error with that when it failed */
  async function succeed(...command: string[]): Promise<string> {
    const { said, code } = await run(...command);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${said.slice(-4_000)}`);
    return said;
  }
  const tool = (name: string, ...rest: string[]) => run(join(folder, "node_modules/.bin", name), ...rest);
  /** Imports all modules of a package, which checks what is written at their top, too. */
  const importAll = (name: string) =>
    succeed(
      join(bin, "python"),
      "-c",
      `import importlib, pkgutil, ${name}
for module in pkgutil.walk_packages(${name}.__path__, "${name}."): importlib.import_module(module.name)`,
    );

  beforeAll(async () => {
    writeFileSync(join(folder, "openapi.json"), (await service.send("GET", "/openapi.json")).text);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ dependencies: npm, trustedDependencies: [] }));
    await succeed(process.execPath, "install", "--ignore-scripts");
    await succeed("python3", "-m", "venv", "venv");
    await succeed(join(bin, "pip"), "install", "--quiet", "--disable-pip-version-check", ...pip);
  }, minutes);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test(
    "redocly's recommended rules find nothing but that there is no license",
    async () => {
      const { stdout } = await tool("redocly", "lint", "--extends=recommended", "--format=json", "openapi.json");
      const { problems } = JSON.parse(stdout);
      expect(problems.map(({ ruleId }: { ruleId: string }) => ruleId)).toEqual(["info-license"]);
    },
    minutes,
  );

  test(
    "spectral's rules for OpenAPI find no error",
    async () => {
      // Neither is a mistake: OpenAPI 3.1 has roles for schemes that aren't OAuth 2, and a summary may say all.
      const off = { "oas3-operation-security-defined": "off", "operation-description": "off", "info-contact": "off" };
      writeFileSync(join(folder, ".spectral.json"), JSON.stringify({ extends: ["spectral:oas"], rules: off }));
      const { said, code } = await tool("spectral", "lint", "--ruleset", ".spectral.json", "openapi.json");
      expect({ said: said.trim(), code }).toEqual({ said: expect.stringMatching(/^No results/), code: 0 });
    },
    minutes,
  );

  test(
    "openapi-spec-validator finds it valid",
    async () => {
      expect(await succeed(join(bin, "openapi-spec-validator"), "openapi.json")).toContain("OK");
    },
    minutes,
  );

  test(
    "openapi-python-client makes a client of it without a warning, and Python imports all of that",
    async () => {
      const generate = ["generate", "--path", "openapi.json", "--output-path", "python_client", "--meta", "none"];
      expect(await succeed(join(bin, "openapi-python-client"), ...generate)).not.toMatch(/warning/i);
      await importAll("python_client");
    },
    minutes,
  );

  test(
    "datamodel-code-generator makes models of it that Python imports",
    async () => {
      const as = ["--output", "models.py", "--output-model-type", "pydantic_v2.BaseModel"];
      await succeed(join(bin, "datamodel-codegen"), "--input", "openapi.json", "--input-file-type", "openapi", ...as);
      const good = `{"organization_name": "acme", "email": "ada@acme.example", "password": "Correct-Horse-7"}`;
      await succeed(join(bin, "python"), "-c", `import models; models.CreateOrganization(**${good})`);
    },
    minutes,
  );

  test.skipIf(!Bun.which("java"))(
    "openapi-generator makes clients of it that Python imports and TypeScript compiles",
    async () => {
      const [jar = ""] = new Bun.Glob("**/openapi-generator*.jar").scanSync(join(folder, "venv"));
      const generate = (language: string, to: string) =>
        succeed("java", "-jar", join(folder, "venv", jar), "generate", "-g", language, "-i", "openapi.json", "-o", to);
      expect(await generate("python", "java")).not.toMatch(/\bERROR\b/);
      cpSync(join(folder, "java/openapi_client"), join(folder, "openapi_client"), { recursive: true });
      await importAll("openapi_client");

      expect(await generate("typescript-fetch", "fetch")).not.toMatch(/\bERROR\b/);
      const compiler = Bun.resolveSync("typescript/bin/tsc", import.meta.dir);
      const options = [
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "es2022",
        "--moduleResolution",
        "bundler",
      ];
      await succeed(process.execPath, compiler, ...options, "--lib", "es2022,dom", "fetch/index.ts");
    },
    minutes,
  );
});
