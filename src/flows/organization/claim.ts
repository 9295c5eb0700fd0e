import { emailKey } from "../../admin/admin.ts";
import type { StepDeps } from "../../operation/operation.ts";

const waitMs = 5_000;

/**
 * Writes what only one may have. On FerretDB writes that want one value of a unique index at once wait for each other until
 * PostgreSQL gives one of them up, a second later: a crowd of them would wait for longer than a statement may.
 */
async function claim<T>({ inTurn }: Pick<StepDeps, "inTurn">, value: string, write: () => Promise<T>): Promise<T> {
  // The index decides, so whoever has waited for long may as well try.
  return (await inTurn(value, waitMs, write)) ?? (await write());
}

/** @param name in lower case */
export const claimName = <T>(deps: Pick<StepDeps, "inTurn">, name: string, write: () => Promise<T>): Promise<T> =>
  claim(deps, `name ${name}`, write);

export const claimEmail = <T>(deps: Pick<StepDeps, "inTurn">, email: string, write: () => Promise<T>): Promise<T> =>
  claim(deps, `email ${emailKey(email)}`, write);
