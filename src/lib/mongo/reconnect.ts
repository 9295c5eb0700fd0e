import { setTimeout as sleep } from "node:timers/promises";
import type { MongoClient } from "mongodb";

export type Reconnecting = { stop(): void };

/** How often a loop that isn't busy finds the answer missing before it is believed. */
const checks = 4;

/**
 * Starts a client's connections anew when the driver waits for an answer to its own heartbeat for longer than it may.
 *
 * On Bun, a write to a connection that the server is just closing waits for a `drain` that never comes; the driver (7.9)
 * sets no limit for that, and without its heartbeat it never looks at the server again. FerretDB shows it at nearly every
 * restart; a MongoDB that streams its heartbeats doesn't, as there the driver is reading then.
 *
 * @param answerMsMax longer than the driver's own limit for a heartbeat: connectTimeoutMS + heartbeatFrequencyMS
 */
export function reconnectWhenStuck(client: MongoClient, answerMsMax: number): Reconnecting {
  /** The checks that wait for each address's answer. */
  const waiting = new Map<string, Timer>();
  let stopped = false;
  let reconnecting = false;

  const reconnect = async () => {
    if (stopped || reconnecting) return;
    reconnecting = true;
    while (!stopped) {
      await client.close().catch(() => {});
      const connected = await client.connect().then(
        () => true,
        () => false,
      );
      if (connected) break;
      await sleep(500, undefined, { ref: false });
    }
    reconnecting = false;
    if (stopped) await client.close();
  };
  const answered = ({ connectionId }: { connectionId: string }) => {
    clearTimeout(waiting.get(connectionId));
    waiting.delete(connectionId);
  };
  const asked = (event: { connectionId: string }) => {
    answered(event);
    if (!stopped) check(event.connectionId, answerMsMax / checks, checks);
  };
  /** One that a busy loop made late says nothing: the answer may be there and not read yet. */
  const check = (connectionId: string, everyMs: number, left: number) => {
    const dueMs = performance.now() + everyMs;
    const look = () => {
      const wasBusy = performance.now() - dueMs > everyMs;
      if (left === 1 && !wasBusy) return void reconnect();
      check(connectionId, everyMs, wasBusy ? checks : left - 1);
    };
    waiting.set(connectionId, setTimeout(look, everyMs).unref());
  };
  const forget = () => {
    for (const timer of waiting.values()) clearTimeout(timer);
    waiting.clear();
  };
  client
    .on("serverHeartbeatStarted", asked)
    .on("serverHeartbeatSucceeded", answered)
    .on("serverHeartbeatFailed", answered)
    .on("topologyClosed", forget);
  return {
    stop: () => {
      stopped = true;
      forget();
    },
  };
}
