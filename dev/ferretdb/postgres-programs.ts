import { chmodSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scope } from "../lib/scope.ts";
import { unpackPackages } from "./debian.ts";

const programs = ["postgres", "initdb", "psql"] as const;

/**
 * Runs a program by the C library that was unpacked with it: so the packages of one Debian release run on another, with
 * nothing installed and no chroot. Its own name (argv0) is how PostgreSQL finds its other files.
 */
const wrapper = `#!/bin/sh
lib=$(cd "\${0%/*}/../../../../lib" && pwd)
for libc in "$lib"/*-linux-gnu; do :; done
exec "$libc"/ld-linux-*.so.* \\
  --library-path "$libc:$libc/blas:$libc/lapack:$lib/postgresql/18/lib" --argv0 "$0" "$0.bin" "$@"
`;

export function program(postgresFolder: string, name: (typeof programs)[number]): string {
  return join(postgresFolder, "usr/lib/postgresql/18/bin", name);
}

/** What the machine says of its own language and C library is not meant for this PostgreSQL. */
export function environment(postgresFolder: string): Record<string, string | undefined> {
  return { LC_ALL: "C", TZ: "UTC", LD_LIBRARY_PATH: undefined, PROJ_DATA: join(postgresFolder, "usr/share/proj") };
}

/** PostgreSQL 18 with the DocumentDB extension, and all that they need. */
export async function unpackPostgres(folder: string, scope: Scope, stage: (text: string) => void): Promise<void> {
  await unpackPackages(["postgresql-18-documentdb"], folder, scope, stage);
  for (const name of programs) {
    const file = program(folder, name);
    renameSync(file, `${file}.bin`);
    writeFileSync(file, wrapper);
    chmodSync(file, 0o755);
  }
  // Installing PostGIS would set this link.
  const share = join(folder, "usr/share");
  symlinkSync("postgis-3.control", join(share, "postgresql/18/extension/postgis.control"));

  // A third of it is manuals, translations and programs that are never run.
  for (const name of readdirSync(share).filter((name) => name !== "postgresql" && name !== "proj")) {
    rmSync(join(share, name), { recursive: true });
  }
  for (const name of ["etc", "var", "usr/bin", "usr/sbin"])
    rmSync(join(folder, name), { recursive: true, force: true });
}
