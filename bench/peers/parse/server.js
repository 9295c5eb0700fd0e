// Parse Server as its documentation sets it up, with a class for documents that whoever has signed in may read and
// write. Nothing is slowed down on purpose: no request log, no file adapter, no triggers, no ACL on single objects.
import express from "express";
import { ParseServer } from "parse-server";

const { PORT, MONGODB_URL, MONGODB_DB_NAME, PARSE_MASTER_KEY } = process.env;

const url = new URL(MONGODB_URL);
url.pathname = `/${MONGODB_DB_NAME}`;
// What Croupier and the limit ask of a write.
url.searchParams.set("w", "majority");

const signedIn = { requiresAuthentication: true };
const fields = {
  title: { type: "String" },
  color: { type: "String" },
  amount: { type: "Number" },
  count: { type: "Number" },
  done: { type: "Boolean" },
  made_at: { type: "Date" },
  tags: { type: "Array" },
  address: { type: "Object" },
  text: { type: "String" },
};
const documents = (className) => ({
  className,
  fields,
  classLevelPermissions: { find: signedIn, get: signedIn, create: signedIn, count: {}, update: {}, delete: {} },
});

const server = new ParseServer({
  databaseURI: url.href,
  appId: "bench",
  masterKey: PARSE_MASTER_KEY,
  serverURL: `http://127.0.0.1:${PORT}/parse`,
  // FerretDB has no collations: names are compared as they are, and there is no index without regard to case.
  databaseOptions: { createIndexUserUsernameCaseInsensitive: false, createIndexUserEmailCaseInsensitive: false },
  enableCollationCaseComparison: true,
  silent: true,
  logsFolder: null,
  verbose: false,
  enableAnonymousUsers: false,
  schema: { definitions: [documents("Document"), documents("Inserted")], lockSchemas: true, strict: true },
});
await server.start();
const app = express();
app.use("/parse", server.app);
app.listen(Number(PORT), "127.0.0.1");
