import { freePort } from "../lib/net.ts";
import { run } from "../lib/process.ts";
import type { Scope } from "../lib/scope.ts";
import type { Link, Settings } from "./link.ts";

const containerPort = "27017";
const testPrefix = "croupier-test-";

/** The `mongodb` service of compose.yaml: for `dev` as a person would start it, for each `test` a project of its own. */
export const dockerLink: Link = {
  name: "docker",
  does: "Docker (the mongodb service of compose.yaml)",
  remedy: "install Docker and start it (docs.docker.com/get-started/get-docker)",
  open: async (settings, scope, progress) => {
    if (!Bun.which("docker")) throw new Error("there is no docker on the PATH");
    progress.stage("asking Docker");
    await run(["docker", "version", "--format", "{{.Server.Version}}"], scope, { timeoutMs: 5_000 }).catch(() => {
      throw new Error("no Docker engine answers");
    });
    await run(["docker", "compose", "version"], scope, { timeoutMs: 5_000 }).catch(() => {
      throw new Error("this Docker has no compose plugin");
    });
    progress.stage("starting mongo:8 in Docker");
    return settings.purpose === "dev" ? openForDev(settings, scope) : openForTest(settings, scope);
  },
};

async function openForDev(settings: Settings, scope: Scope): Promise<string> {
  const running = await publishedPort([], settings, scope).catch(() => null);
  // Somebody else started it: it is theirs to stop.
  if (running) return urlOf(running);
  scope.defer(() => compose(["stop", "mongodb"], settings, scope));
  return up([], settings, scope);
}

async function openForTest(settings: Settings, scope: Scope): Promise<string> {
  await removeAbandoned(settings, scope);
  const project = ["--project-name", `${testPrefix}${process.pid}`];
  scope.defer(() => compose([...project, "down", "--volumes"], settings, scope));
  return up(project, settings, scope);
}

/** A test project carries the id of its process: when that is gone, nobody will stop it. */
async function removeAbandoned(settings: Settings, scope: Scope): Promise<void> {
  const projects = await compose(["ls", "--all", "--quiet", "--filter", `name=${testPrefix}`], settings, scope);
  for (const project of projects.split("\n").filter((name) => name.startsWith(testPrefix))) {
    if (isAlive(Number(project.slice(testPrefix.length)))) continue;
    await compose(["--project-name", project, "down", "--volumes"], settings, scope);
  }
}

async function up(project: string[], settings: Settings, scope: Scope): Promise<string> {
  const port = settings.port ?? (await freePort());
  await compose([...project, "up", "--detach", "--wait", "mongodb"], settings, scope, { MONGODB_PORT: `${port}` });
  return urlOf(await publishedPort(project, settings, scope));
}

async function publishedPort(project: string[], settings: Settings, scope: Scope): Promise<string> {
  const address = await compose([...project, "port", "mongodb", containerPort], settings, scope);
  const port = address.trim().split(":").at(-1);
  if (!port || port === "0") throw new Error("compose names no port of mongodb");
  return port;
}

/** The member goes by its name in the container network, so a client out here must not follow the set's own addresses. */
function urlOf(port: string): string {
  return `mongodb://127.0.0.1:${port}/?directConnection=true`;
}

function compose(words: string[], settings: Settings, scope: Scope, env: Record<string, string> = {}): Promise<string> {
  // compose.yaml asks for the secret of the service although only its database is started.
  const needed = { JWT_SECRET_KEY: process.env.JWT_SECRET_KEY ?? "not used by the database" };
  return run(["docker", "compose", ...words], scope, { cwd: settings.repositoryFolder, env: { ...needed, ...env } });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
