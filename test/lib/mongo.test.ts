import { describe, expect, test } from "bun:test";
import { MongoBulkWriteError, MongoClient } from "mongodb";
import { isRivalry, isUnavailable } from "../../src/lib/mongo/mongo.ts";
import { startProxy } from "../support/proxy.ts";
import { freshDatabaseName } from "../support/service.ts";

describe("the database is known to be the reason", () => {
  test("when it goes away in the middle of an insert of many, which the driver wraps in an error of its own", async () => {
    const proxy = await startProxy(process.env.MONGODB_URL!);
    const client = new MongoClient(proxy.url, { retryWrites: false });
    const some = client.db(freshDatabaseName()).collection("some");
    try {
      await some.insertOne({});
      proxy.hang();
      const inserting = some.insertMany([{}, {}]).catch((error: unknown) => error);
      await proxy.refuse();
      const error = await inserting;
      expect(error).toBeInstanceOf(MongoBulkWriteError);
      expect(isUnavailable(error)).toBe(true);
    } finally {
      await proxy.forward();
      // Not before the driver has seen that the database is there again.
      await client.db(some.dbName).dropDatabase();
      await client.close();
      await proxy.close();
    }
  });

  test.each([
    ["the database system is starting up", true],
    ["FATAL: the database system is not yet accepting connections (SQLSTATE 57P03)", true],
    ["failed to connect to `host=127.0.0.1 user=ferret`: dial error", true],
    ["operator does not exist: the database", false],
  ])("when FerretDB passes on of the PostgreSQL behind it: %s: %p", (message, unavailable) => {
    expect(isUnavailable({ name: "MongoServerError", code: 1, message })).toBe(unavailable);
  });
});

test.each([
  [{ code: 16908292, message: "deadlock detected" }, true],
  [{ code: 1, errmsg: "deadlock detected" }, true],
  [
    { code: 11000, message: "taken", writeErrors: [{ code: 11000 }, { code: 16908292, errmsg: "deadlock detected" }] },
    true,
  ],
  [{ code: 276, message: "Index build failed" }, true],
  [{ code: 11000, message: "taken", writeErrors: { code: 112, errmsg: "WriteConflict" } }, true],
  [{ code: 11000, message: "taken", writeErrors: [{ code: 11000 }] }, false],
  [{ code: 1, message: "another" }, false],
])("a rival is known to be the reason, for one write of several too: %j: %p", (error, rivalry) => {
  expect(isRivalry(error)).toBe(rivalry);
});
