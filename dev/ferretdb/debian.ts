import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../lib/process.ts";
import type { Scope } from "../lib/scope.ts";

/** The first Debian release that carries DocumentDB. Its packages are unpacked, not installed. */
const release = "forky";
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Downloads Debian packages with all that they depend on and unpacks them into `folder`. apt checks every signature
 * as ever, but works on lists of its own: nothing of the machine changes, and it needs no root.
 */
export async function unpackPackages(
  names: string[],
  folder: string,
  scope: Scope,
  stage: (text: string) => void,
): Promise<void> {
  const work = `${folder}.apt`;
  rmSync(work, { recursive: true, force: true });
  scope.defer(() => rmSync(work, { recursive: true, force: true }));
  for (const each of ["lists/partial", "archives/partial"]) mkdirSync(join(work, each), { recursive: true });
  // Empty: nothing counts as installed, so everything down to the C library is downloaded.
  writeFileSync(join(work, "status"), "");
  writeFileSync(join(work, "sources.list"), `deb [signed-by=${keyring}] ${await mirror(scope)} ${release} main\n`);
  writeFileSync(join(work, "apt.conf"), configuration(work));
  const apt = (...words: string[]) =>
    run(["apt-get", "-qq", ...words], scope, { env: { APT_CONFIG: join(work, "apt.conf") } });

  stage(`reading Debian's list of packages (${release})`);
  await apt("update");
  stage(`downloading ${names.join(", ")}`);
  await apt("install", "--download-only", "--yes", ...names);

  const archives = readdirSync(join(work, "archives")).filter((name) => name.endsWith(".deb"));
  mkdirSync(folder, { recursive: true });
  for (const [index, archive] of archives.entries()) {
    stage(`unpacking package ${index + 1} of ${archives.length}`);
    await run(["dpkg-deb", "--extract", join(work, "archives", archive), folder], scope);
  }
  rmSync(work, { recursive: true, force: true });
}

function configuration(work: string): string {
  return `
Dir::State::lists "${join(work, "lists")}";
Dir::State::status "${join(work, "status")}";
Dir::State::extended_states "${join(work, "extended_states")}";
Dir::Cache "${work}";
Dir::Cache::archives "${join(work, "archives")}";
Dir::Etc::sourcelist "${join(work, "sources.list")}";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Update::Post-Invoke-Success "";
`;
}

/** Where this machine gets its own release from; that mirror has the other releases as well. */
async function mirror(scope: Scope): Promise<string> {
  const system = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const codename = system.match(/^VERSION_CODENAME="?([a-z]+)/m)?.[1];
  if (!/^ID="?debian"?$/m.test(system) || !existsSync(keyring)) throw new Error("it is built on Debian only");
  const targets = await run(["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"], scope);
  const uri = targets.match(new RegExp(`^(?:${codename}|${release}) main (\\S+)$`, "m"))?.[1];
  if (!uri) throw new Error("apt's sources name no mirror of this Debian release");
  return uri;
}
