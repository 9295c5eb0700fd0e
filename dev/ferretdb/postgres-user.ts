import { endingWithParent, type StopSignal } from "../lib/process.ts";

const nobody = 65534;

/** PostgreSQL refuses to run as root, so root runs it as `nobody`; anyone else runs it as themselves (undefined). */
export const postgresUserId = process.getuid?.() === 0 ? nobody : undefined;

/**
 * The command under the user that PostgreSQL may have, ended by `signal` when its parent dies.
 *
 * For root the programs and data are in folders that `nobody` may not enter (/root, say). The one capability that sees
 * past that is kept, and `no_setuid_fixup` makes access(2), with which PostgreSQL looks at its own program, heed it.
 */
export function asPostgresUser(command: string[], signal: StopSignal): string[] {
  if (postgresUserId === undefined) return endingWithParent(command, signal);
  const only = "-all,+dac_override";
  return [
    "setpriv",
    `--reuid=${postgresUserId}`,
    `--regid=${postgresUserId}`,
    "--clear-groups",
    `--inh-caps=${only}`,
    `--ambient-caps=${only}`,
    `--bounding-set=${only}`,
    "--securebits=+no_setuid_fixup",
    `--pdeathsig=${signal.slice("SIG".length)}`,
    ...command,
  ];
}
