import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { createApp } from "./app.ts";
import { createAuditChores } from "./audit/tend.ts";
import { createDeps } from "./boot.ts";
import { createChores } from "./chores.ts";
import type { Config } from "./config.ts";
import type { Deps } from "./deps.ts";
import { createExpiryChore } from "./expiry.ts";
import { createClient } from "./lib/mongo/client.ts";
import { version } from "./lib/version.ts";
import type { StepObserver } from "./operation/operation.ts";
import { prepareUntilDone } from "./prepare.ts";
import { createOverdueWatch } from "./process/overdue.ts";
import { createRecountChore } from "./quota/count.ts";
import { createInspectChore } from "./takeover/tend.ts";
import { startWorker } from "./worker.ts";

export type RunningService = {
  url: string;
  deps: Deps;
  ready: Promise<boolean>;
  /** Reads the keys of the tokens again; when they can't be used it goes on with those that it has. */
  reloadKeys(): Promise<void>;
  stop(): Promise<void>;
};

const finishMs = 25_000;
const idleSecondsMore = 10;

/** @throws Error that names the setting when there can't be listened */
function listen(
  config: Config,
  fetch: (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>,
) {
  const { host, port } = config;
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      // Bun counts it from the head of a request on, whatever trickles in: longer than the time limit, which answers first, and
      // the end of a body that comes byte by byte. A head has 12 s and 16 KiB (431) by Bun itself.
      idleTimeout: Math.ceil(config.requestTimeoutMs / 1000) + idleSecondsMore,
      // What is too large is told by a problem document, not by a closed connection.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EADDRINUSE") throw error;
    const message = `port ${port} on ${host} is in use: set PORT to another one, or stop the program that listens there`;
    throw new Error(message, { cause: error });
  }
}

/**
 * Starts the service and its worker. It listens at once; requests that need the database are refused until that has been
 * prepared. `stop` refuses new requests, finishes those that run and closes everything.
 */
export async function startService(config: Config, log: Logger, onStep?: StepObserver): Promise<RunningService> {
  const deps = await createDeps(config, createClient(config.mongodbUrl, config.servicePoolSize), log, onStep);
  const stopping = new AbortController();
  let prepared = false;
  const app = createApp(deps, () => prepared && !stopping.signal.aborted);
  let server: ReturnType<typeof listen>;
  try {
    server = listen(config, app.fetch);
  } catch (error) {
    await deps.close();
    throw error;
  }
  const ready = prepareUntilDone(deps, stopping.signal).then((done) => {
    prepared = done;
    if (done) log.info("ready");
    return done;
  });
  const chores = [
    createChores(deps),
    createAuditChores(deps),
    createInspectChore(deps),
    createExpiryChore(deps),
    createOverdueWatch(deps),
    ...(deps.usage ? [createRecountChore(deps, deps.usage, 2 * config.requestTimeoutMs)] : []),
  ];
  const worker = ready.then((done) => (done ? startWorker(deps, chores) : null));
  log.info({ version, url: server.url.href, environment: config.environment }, "listening");
  if (config.corsOrigins === "localhost")
    log.info("pages on localhost may use the API, because CROUPIER_ENV is development and CORS_ORIGINS isn't set");

  return {
    url: server.url.href.replace(/\/$/, ""),
    deps,
    ready,
    reloadKeys: () =>
      deps.tokens.reload().then(
        () => log.info("signing keys reloaded"),
        (error) => log.error({ err: error }, "signing keys could not be reloaded; the previous ones stay in use"),
      ),
    stop: async () => {
      stopping.abort();
      void server.stop();
      const deadline = performance.now() + finishMs;
      while (server.pendingRequests > 0 && performance.now() < deadline) await sleep(10);
      await server.stop(true);
      await (await worker)?.stop();
      await deps.close();
      log.info("stopped");
    },
  };
}
