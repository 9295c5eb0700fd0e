import { availableParallelism } from "node:os";
import { setting, settingsOf, wholeNumber } from "../lib/settings.ts";
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
      "requests that may wait for these threads; more get 503 with `Retry-After`",
    ),
  },
  read: (value) => ({
    bcryptRounds: value.BCRYPT_ROUNDS,
    passwordWorkers: value.PASSWORD_WORKERS,
    passwordQueueMax: value.PASSWORD_QUEUE_MAX,
  }),
});
