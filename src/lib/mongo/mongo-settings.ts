import * as z from "zod";
import { connectionProblems } from "./connection-options.ts";
import { setting, settingsOf, wholeNumberOf } from "../settings.ts";

const systemDatabases = ["admin", "config", "local"];

/** What is wrong with the name of a database (MongoDB manual, "Naming Restrictions"), on whichever system it runs; null when nothing is. */
function databaseNameProblem(name: string): string | null {
  if (/[/\\. "$*<>:|?]/.test(name)) return 'must not contain / \\ . " $ * < > : | ? or a space';
  if (/\p{C}/u.test(name)) return "must not contain control characters";
  if (Buffer.byteLength(name) > 63) return "must have at most 63 bytes in UTF-8";
  return systemDatabases.includes(name.toLowerCase()) ? "is a database of MongoDB's own" : null;
}

const url = z
  .string({ error: "is missing: a connection string, mongodb://…" })
  .regex(/^mongodb(\+srv)?:\/\//, { error: "must be a connection string: mongodb://…", abort: true })
  .superRefine((text, context) => {
    for (const message of connectionProblems(text)) context.addIssue({ code: "custom", message });
  });

const databaseName = z
  .string()
  .superRefine((name, context) => {
    const message = databaseNameProblem(name);
    if (message) context.addIssue({ code: "custom", message });
  })
  .default("croupier_master");

const poolSize = wholeNumberOf(2, 10_000).optional();
const asUrlSays = "as `MONGODB_URL` says, else `100`";

export const mongoSettings = settingsOf({
  shape: {
    MONGODB_URL: setting(
      url,
      "connection string (`bun run dev` finds one); see [its options](#options-of-mongodb_url)",
      "",
    ),
    MONGODB_DB_NAME: setting(
      databaseName,
      "database of `organizations`, `admin_users`, `operations` and the tenants' `org_…` collections",
    ),
    SERVICE_POOL_SIZE: setting(
      poolSize,
      "connections of a process for its own work (sign-in, look-ups, health, moves); replaces `maxPoolSize` and `minPoolSize` of the connection string",
      asUrlSays,
    ),
    DOCUMENTS_POOL_SIZE: setting(poolSize, "the same for tenants' documents", asUrlSays),
  },
  read: (value) => ({
    mongodbUrl: value.MONGODB_URL,
    databaseName: value.MONGODB_DB_NAME,
    /** Null: as many as the connection string says. */
    servicePoolSize: value.SERVICE_POOL_SIZE ?? null,
    documentsPoolSize: value.DOCUMENTS_POOL_SIZE ?? null,
  }),
});
