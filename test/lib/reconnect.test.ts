import { afterAll, beforeAll, expect, test } from "bun:test";
import { MongoClient } from "mongodb";
import { reconnectWhenStuck, type Reconnecting } from "../../src/lib/mongo/reconnect.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";

const answerMsMax = 1_000;
// In this process: as long as its loop is busy no answer arrives, and several turns later the first does.
let proxy: Proxy;
let client: MongoClient;
let reconnecting: Reconnecting;
beforeAll(async () => {
  proxy = await startProxy(process.env.MONGODB_URL!);
  client = new MongoClient(proxy.url, { heartbeatFrequencyMS: 500, connectTimeoutMS: 500 });
  reconnecting = reconnectWhenStuck(client, answerMsMax);
  await client.connect();
});
afterAll(async () => {
  reconnecting.stop();
  await client.close();
  await proxy.close();
});

const once = (event: "serverHeartbeatStarted" | "serverHeartbeatSucceeded") =>
  new Promise<void>((resolve) => client.once(event, () => resolve()));

test("an event loop that is busy for seconds is no dead database: its connections stay", async () => {
  const closed: string[] = [];
  client.on("connectionPoolClosed", ({ address }) => closed.push(address));
  await client.db().command({ ping: 1 });
  for (let blocked = 0; blocked < 2; blocked++) {
    await once("serverHeartbeatStarted");
    const until = performance.now() + 3 * answerMsMax;
    while (performance.now() < until);
    // The driver has read what had come meanwhile, and asked again.
    await once("serverHeartbeatSucceeded");
    await once("serverHeartbeatSucceeded");
  }
  expect(closed).toEqual([]);
  expect((await client.db().command({ ping: 1 })).ok).toBe(1);
});

test("a heartbeat that is never answered while the loop is free starts the connections anew", async () => {
  const closed = new Promise((resolve) => client.once("connectionPoolClosed", resolve));
  // From a server that there isn't: of a real one the driver itself would first end the wait.
  client.emit("serverHeartbeatStarted", { connectionId: "of no server" } as never);
  await closed;
  await once("serverHeartbeatSucceeded");
  expect((await client.db().command({ ping: 1 })).ok).toBe(1);
});
