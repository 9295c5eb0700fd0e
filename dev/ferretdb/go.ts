import { globSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../lib/process.ts";
import type { Scope } from "../lib/scope.ts";
import { unpackPackages } from "./debian.ts";

const ferretdbModule = "github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v2.7.0";

/** Compiles FerretDB into the folder. */
export async function compileFerretdb(folder: string, scope: Scope, stage: (text: string) => void): Promise<void> {
  const ownGo = join(folder, "go");
  const go = (await installedGo(scope)) ?? (await downloadedGo(ownGo, scope, stage));
  stage("compiling, about a minute");
  const env = { ...go.env, GOBIN: folder, GOTOOLCHAIN: "auto", CGO_ENABLED: "0" };
  await run([go.command, "install", ferretdbModule], scope, { env, cwd: folder });
  rmSync(ownGo, { recursive: true, force: true });
}

type Go = { command: string; env: Record<string, string> };

/** Go from 1.21 on fetches the very version that a module asks for; an older one is of no use. */
async function installedGo(scope: Scope): Promise<Go | undefined> {
  const command = Bun.which("go");
  if (!command) return undefined;
  const [, minor] = (await run([command, "version"], scope).catch(() => "")).match(/go1\.(\d+)/) ?? [];
  return Number(minor) >= 21 ? { command, env: {} } : undefined;
}

/** Debian's Go, unpacked. Its caches go where they are removed with it: this user has no other use for them. */
async function downloadedGo(folder: string, scope: Scope, stage: (text: string) => void): Promise<Go> {
  await unpackPackages(["golang-go"], folder, scope, stage);
  const [root] = globSync(join(folder, "usr/lib/go-*"));
  if (!root) throw new Error("Debian's golang-go has no /usr/lib/go-…");
  const env = { GOROOT: root, GOPATH: join(folder, "path"), GOCACHE: join(folder, "cache"), GOFLAGS: "-modcacherw" };
  return { command: join(root, "bin/go"), env };
}
