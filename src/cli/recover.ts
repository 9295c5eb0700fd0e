import type { Command } from "commander";
import type { Config } from "../config.ts";
import { recoverByEmail } from "../session/recovery/create-recovery.ts";
import { withDeps } from "./with-deps.ts";

/** For an admin who has lost the password: only whoever may use the server and its database can. */
export function addRecover(program: Command, readSettings: () => Config): void {
  program
    .command("recover")
    .description(
      "print a link (without PUBLIC_ORIGIN: a token) that sets a new password for an admin, once, for 30 minutes",
    )
    .argument("<email>", "the admin's email")
    .addHelpText(
      "after",
      `
The link or token is shown only once; whose it is and when it ends goes to standard error. A token is sent to the service:
POST /admin/recovery {"token", "password"}. Using it ends all sessions of the admin. A later one, a new password or email, the end
of all tokens by an operator and that of the organization make it void. Both are in the audit log.`,
    )
    .action(async (email: string) => {
      const { token, link, ...about } = await withDeps(readSettings(), (deps) => recoverByEmail(deps, email));
      console.error(JSON.stringify(about));
      console.log(link ?? token);
    });
}
