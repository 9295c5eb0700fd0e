import { setTimeout as sleep } from "node:timers/promises";
import { RedisClient } from "bun";

/** A Redis that may be away at any time: what is asked of it fails then, soon, and whoever asks goes on without it. */
export type Redis = {
  /** @throws Error at once while it is away, and when it doesn't answer in time: it may have done it nevertheless */
  send(command: string, args: string[]): Promise<unknown>;
  /** Hears what is published on a channel; what is published while there is no connection is lost. */
  listen(channel: string, heard: (message: string) => void): void;
  close(): void;
};

const answerMsMax = 200;
/** For an answer that has arrived while this process was busy itself. */
const graceMs = 20;
const connectMsMax = 1_000;
const retryMs = 250;
/** How often each connection is tried out, and how long that may take: one that hangs is given up. */
const pingMs = 1_000;

async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  let timer = setTimeout(() => {
    timer = setTimeout(() => late.reject(new Error(`Redis didn't answer within ${ms} ms`)), graceMs);
  }, ms);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

type Link = { current(): RedisClient | null };

/**
 * Connects again and again. Bun's client gives up for good after some tries, and forgets what it has subscribed to, so each
 * connection is a new one.
 */
function keepConnected(
  url: string,
  closing: AbortSignal,
  opened: (client: RedisClient) => Promise<unknown>,
  changed: (isUp: boolean, error?: unknown) => void,
): Link {
  let current: RedisClient | null = null;

  const connectOnce = async (): Promise<unknown> => {
    const client = new RedisClient(url, {
      autoReconnect: false,
      enableOfflineQueue: false,
      connectionTimeout: connectMsMax,
    });
    const lost = new AbortController();
    client.onclose = (error) => {
      if (current === client) current = null;
      lost.abort(error);
    };
    const over = AbortSignal.any([lost.signal, closing]);
    try {
      await within(client.connect(), connectMsMax);
      await within(opened(client), connectMsMax);
      current = client;
      changed(true);
      while (!over.aborted) {
        await within(client.send("PING", []), pingMs);
        await sleep(pingMs, undefined, { signal: over }).catch(() => {});
      }
      return lost.signal.reason;
    } catch (error) {
      return error;
    } finally {
      current = null;
      client.close();
    }
  };

  void (async () => {
    while (!closing.aborted) {
      const error = await connectOnce();
      if (closing.aborted) return;
      changed(false, error);
      await sleep(retryMs, undefined, { signal: closing }).catch(() => {});
    }
  })();
  return { current: () => current };
}

/**
 * @param url `redis://` or `rediss://`, with user, password and number of the database where they are needed
 * @param changed told when it goes away, once, and when it is back
 */
export function createRedis(url: string, changed: (isUp: boolean, error?: unknown) => void = () => {}): Redis {
  const closing = new AbortController();
  let wasUp: boolean | null = null;
  const commands = keepConnected(
    url,
    closing.signal,
    async () => {},
    (isUp, error) => {
      if (isUp !== wasUp) changed(isUp, error);
      wasUp = isUp;
    },
  );
  return {
    async send(command, args) {
      const client = commands.current();
      if (!client) throw new Error("Redis is unavailable");
      return await within(client.send(command, args), answerMsMax);
    },
    listen(channel, heard) {
      keepConnected(
        url,
        closing.signal,
        (client) => client.subscribe(channel, (message) => heard(message)),
        () => {},
      );
    },
    close: () => closing.abort(),
  };
}
