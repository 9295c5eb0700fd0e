import type { Command } from "commander";
import type { Config } from "../config.ts";
import { recoverByEmail } from "../session/recovery/create-recovery.ts";
import { withDeps } from "./with-deps.ts";

/** For an admin who has lost the password: only whoever may use the server and its database can. */
export function addRecover(program: Command, readSettings: () => Config): void {
  program
    .command("recover")
    .description(
      "print a link (without PUBLIC_ORIGIN: a token) with which an admin can set a new password, once, within 30 minutes",
    )
    .argument("<email>", "the admin's email")
    .addHelpText(
      "after",
      `
The link or token is shown only once; the admin and the expiry time are printed to standard error. A token is sent to the
service: POST /admin/recovery {"token", "password"}. Using it ends all sessions of the admin. It becomes invalid when a newer
one is made, when the password or email changes, when an operator ends all tokens, or when the organization is deleted. Making
and using one are recorded in the audit log.`,
    )
    .action(async (email: string) => {
      const { token, link, ...about } = await withDeps(readSettings(), (deps) => recoverByEmail(deps, email));
      console.error(JSON.stringify(about));
      console.log(link ?? token);
    });
}
