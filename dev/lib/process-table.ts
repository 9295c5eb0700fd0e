import { readFileSync } from "node:fs";

/** The command line of a process, empty when there is none. */
export function commandLine(pid: number): string {
  return process.platform === "linux" ? read(`/proc/${pid}/cmdline`).replaceAll("\0", " ") : ask("args", pid);
}

/** The process that started it, or whoever took it over when that one ended; 0 when there is none. */
export function parentOf(pid: number): number {
  const parent =
    process.platform === "linux" ? read(`/proc/${pid}/status`).match(/^PPid:\s+(\d+)/m)?.[1] : ask("ppid", pid);
  return Number(parent ?? 0);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function ask(column: string, pid: number): string {
  return Bun.spawnSync(["ps", "-ww", "-o", `${column}=`, "-p", `${pid}`]).stdout.toString();
}
