import { describe, expect, test } from "bun:test";
import type { MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { readConfig } from "../../src/config.ts";
import { connectionProblems } from "../../src/lib/mongo/connection-options.ts";

/** All that the driver knows; it has no declaration. */
const { OPTIONS }: { OPTIONS: object } = await import("mongodb/lib/connection_string.js" as string);

const withOptions = (query: string) => `mongodb://somebody:a-password@db.example:27017/?${query}`;
const read = (MONGODB_URL: string) => readConfig({ MONGODB_URL, JWT_SECRET_KEY: "gN3vJd0sQyq2cT8mZ1xR5uW7pL4kH6bA" });

/** What decides, as a client has it; the rest of a URL's options are its own. */
const decisive = ({ options, bsonOptions }: MongoClient) => ({
  readPreference: options.readPreference.mode,
  tags: options.readPreference.tags,
  maxStalenessSeconds: options.readPreference.maxStalenessSeconds,
  readConcern: options.readConcern.level,
  writeConcern: { ...options.writeConcern },
  loadBalanced: options.loadBalanced,
  socketTimeoutMS: options.socketTimeoutMS,
  serverSelectionTimeoutMS: options.serverSelectionTimeoutMS,
  connectTimeoutMS: options.connectTimeoutMS,
  waitQueueTimeoutMS: options.waitQueueTimeoutMS,
  heartbeatFrequencyMS: options.heartbeatFrequencyMS,
  bsonOptions,
  forceServerObjectId: options.forceServerObjectId,
});

describe("the connection string", () => {
  test.each([
    "readPreference=secondary",
    "readPreference=secondaryPreferred",
    "readPreference=nearest",
    "READPREFERENCE=primaryPreferred",
    "readPreference=primary&readPreferenceTags=dc:east",
    "readPreferenceTags=",
    "maxStalenessSeconds=120",
    "readConcernLevel=available",
    "readConcernLevel=majority",
    "readConcernLevel=linearizable",
    "readConcernLevel=snapshot",
    "w=1",
    "w=0",
    "w=2",
    "w=majority&w=1",
    "journal=false",
    "j=false",
    "fsync=true",
    "wtimeoutMS=100",
    "wtimeout=100",
    "writeConcern=majority",
    "loadBalanced=true",
    "promoteValues=false",
    "promoteLongs=false",
    "useBigInt64=true",
    "bsonRegExp=true",
    "raw=true",
    "enableUtf8Validation=false",
    "forceServerObjectId=true",
    "serializeFunctions=true",
    "checkKeys=true",
    "pkFactory=x",
    "serverApi=1",
    "appName=x&nonsense=1",
    "read%50reference=secondary",
    "read\tPreference=secondary",
  ])("is refused with %j, and told by its name", (query) => {
    const name = /([a-z\d]+)=[^&]*$/i.exec(decodeURIComponent(query.replaceAll("\t", "")))![1]!;
    expect(() => read(withOptions(query))).toThrow(/MONGODB_URL has the option/);
    expect(() => read(withOptions(query.replaceAll("\t", "")))).toThrow(name);
  });

  test.each([
    "",
    "retryWrites=true&w=majority&appName=Cluster0",
    "retryWrites=false&retryReads=false",
    "readPreference=primary&readConcernLevel=local&journal=true&j=true&loadBalanced=false",
    "authSource=admin&authMechanism=SCRAM-SHA-256&replicaSet=rs0",
    "tls=true&tlsCAFile=/ca.pem&tlsAllowInvalidHostnames=true",
    "compressors=zlib&zlibCompressionLevel=1",
    "maxPoolSize=5&minPoolSize=1&maxConnecting=1&maxIdleTimeMS=1000",
    "directConnection=true",
    "socketTimeoutMS=1&serverSelectionTimeoutMS=1&connectTimeoutMS=1&waitQueueTimeoutMS=1&heartbeatFrequencyMS=999999",
    "ignoreUndefined=false&minHeartbeatFrequencyMS=100000&localThresholdMS=1&serverMonitoringMode=poll&timeoutMS=5",
  ])("may have %j, and what the code rests on is the same", (query) => {
    const url = withOptions(query);
    expect(read(url).mongodbUrl).toBe(url);
    const { writeConcern, ...ours } = decisive(createClient(url));
    const { writeConcern: plain, ...theirs } = decisive(createClient("mongodb://db.example/"));
    expect(ours).toEqual(theirs);
    expect(writeConcern).toMatchObject(plain);
  });

  test("has no option of the driver that changes what the code rests on, whatever it says", () => {
    const values = ["1", "0", "5", "true", "false", "majority", "secondary", "snapshot", "available", "x", "a:b"];
    const expected = decisive(createClient("mongodb://db.example/"));
    const passed = new Set<string>();
    for (const name of Object.keys(OPTIONS)) {
      for (const value of values) {
        const url = `mongodb://db.example/?${name}=${value}`;
        if (connectionProblems(url).length > 0) continue;
        passed.add(name);
        // More than the majority is asked for by no other.
        const { writeConcern, ...ours } = decisive(createClient(url));
        expect({ name, value, ...ours, w: writeConcern.w }).toEqual({
          ...{ name, value, ...expected, w: "majority", writeConcern: undefined },
        } as never);
        expect([undefined, true]).toContain(writeConcern.j);
        expect(writeConcern.wtimeoutMS).toBeUndefined();
      }
    }
    // Neither does everything pass nor nothing.
    expect(passed.size).toBeGreaterThan(30);
    expect(passed.size).toBeLessThan(Object.keys(OPTIONS).length / 2);
  });

  test.each([
    withOptions("readPreference=secondary"),
    withOptions("maxPoolSize=a-password"),
    withOptions("tls=a-password"),
    "mongodb://somebody:a-password/more@db.example/",
    "mongodb://some/body:a-password@db.example/",
    "mongodb://somebody:a-password@/",
    "mongodb://somebody:a-password@db.example:port/",
    "mongodb://somebody:a-password%@db.example/",
    "mongodb://somebody:a-password?@db.example/?w=majority",
    "mongodb+srv://somebody:a-password@db.example:27017/",
    "postgres://somebody:a-password@db.example/",
  ])("that can't be used is told of without what stands in it: %s", (url) => {
    const reading = () => read(url);
    expect(reading).toThrow("MONGODB_URL");
    expect(reading).not.toThrow(/a-password|somebody|some\/body/);
  });
});
