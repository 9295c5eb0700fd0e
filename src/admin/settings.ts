import { availableParallelism } from "node:os";
import { oneOf, setting, settingsOf, wholeNumber } from "../lib/settings.ts";
import { bcryptRoundsMax } from "./password.ts";

export const adminSettings = settingsOf({
  shape: {
    BCRYPT_ROUNDS: setting(
      wholeNumber(12, 4, bcryptRoundsMax),
      "2^n rounds; weaker hashes are renewed at the next sign-in",
    ),
    PASSWORD_WORKERS: setting(
      wholeNumber(availableParallelism(), 1, 256),
      "threads that hash and check passwords",
      "number of cores",
    ),
    PASSWORD_QUEUE_MAX: setting(
      wholeNumber(256, 1, 100_000),
      "requests that may wait for these threads; beyond that 503 with `Retry-After`",
    ),
    REQUIRE_CURRENT_PASSWORD: setting(
      oneOf("true", "false").optional(),
      "`true`: a new email, a new password and the deletion of an organization need `current_password` in the body, or a sign-in within the last 5 minutes; default: required in a new database, not in one that an earlier version has used",
      "true in a new database",
    ),
  },
  read: (value) => ({
    bcryptRounds: value.BCRYPT_ROUNDS,
    passwordWorkers: value.PASSWORD_WORKERS,
    passwordQueueMax: value.PASSWORD_QUEUE_MAX,
    /** Null: as the database was when it was prepared first. */
    requireCurrentPassword:
      value.REQUIRE_CURRENT_PASSWORD === undefined ? null : value.REQUIRE_CURRENT_PASSWORD === "true",
  }),
});
