import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient } from "mongodb";
import type { Logger } from "pino";
import { createPasswordHasher } from "./admin/password-hasher.ts";
import { createAdminIndexes } from "./admin/store.ts";
import { createAuditor } from "./audit/auditor.ts";
import { createAuditIndexes } from "./audit/store.ts";
import { createAuditChores } from "./audit/tend.ts";
import { createApp } from "./app.ts";
import type { Config } from "./config.ts";
import type { Deps } from "./deps.ts";
import { createIdempotencyIndexes } from "./document/idempotency.ts";
import { createLargeThreads } from "./document/large.ts";
import { createChores } from "./chores.ts";
import { createExpiryChore, expiringIn } from "./expiry.ts";
import { flows } from "./flows/index.ts";
import { createExpiryIndex } from "./lib/expiry.ts";
import { ownOptions } from "./lib/connection-options.ts";
import { createCounterIndexes } from "./lib/counters.ts";
import { createLimits } from "./limits.ts";
import { limitedAs } from "./http/address.ts";
import { createLookUp } from "./look-up.ts";
import { assertFollowsPrimary, watchPrimary } from "./lib/primary.ts";
import { isUnavailable } from "./lib/mongo.ts";
import { reconnectWhenStuck } from "./lib/reconnect.ts";
import { createPlaces } from "./lib/places.ts";
import { createRedis } from "./lib/redis.ts";
import { createTurns } from "./lib/turns.ts";
import { version } from "./lib/version.ts";
import type { StepObserver } from "./operation/operation.ts";
import { createOperationIndexes } from "./operation/store.ts";
import { createKnownKeys } from "./operator/known-keys.ts";
import * as keyStore from "./operator/store.ts";
import { createOrganizationIndexes, findStanding } from "./organization/store.ts";
import { createOverdueWatch } from "./process/overdue.ts";
import { createPresence } from "./process/presence.ts";
import * as processStore from "./process/store.ts";
import { createRevocationNews } from "./session/revocation-news.ts";
import { createRevocations } from "./session/revocations.ts";
import * as revocationStore from "./session/revocation-store.ts";
import { createSessionIndexes } from "./session/session-store.ts";
import { createTokenIssuer } from "./session/token.ts";
import { takeOver } from "./takeover/take-over.ts";
import { createInspectChore } from "./takeover/tend.ts";
import type { Documents } from "./tenant/door.ts";
import { createNoteIndexes } from "./tenant/journal.ts";
import { createLeases } from "./tenant/lease.ts";
import { createRetiredIndexes } from "./tenant/retired.ts";
import { reportLacks } from "./tenant/rights.ts";
import { createSharedCollection } from "./tenant/storage.ts";
import { startWorker } from "./worker.ts";

/**
 * A client that says within seconds that the database is away, and goes on by itself when it is back.
 *
 * @param poolSize how many connections it has at the most; null: what the connection string says
 */
export const createClient = (url: string, poolSize: number | null = null): MongoClient =>
  new MongoClient(url, { ...ownOptions, ...(poolSize !== null && { maxPoolSize: poolSize, minPoolSize: 0 }) });

export async function createDeps(
  config: Config,
  client: MongoClient,
  log: Logger,
  onStep?: StepObserver,
  documentsClient = createClient(config.mongodbUrl, config.documentsPoolSize),
): Promise<Deps & { close(): Promise<void> }> {
  const db = client.db(config.databaseName);
  const documents = createDocuments(documentsClient, config.databaseName);
  const owner = randomUUID();
  const { connectTimeoutMS, heartbeatFrequencyMS } = ownOptions;
  const clients = [client, documentsClient];
  const reconnecting = clients.map((each) => reconnectWhenStuck(each, connectTimeoutMS + heartbeatFrequencyMS + 1_000));
  const redis =
    config.redisUrl === null
      ? null
      : createRedis(config.redisUrl, (isUp, error) =>
          isUp ? log.info("Redis is there") : log.warn({ err: error }, "Redis is away; it goes on without"),
        );
  const now = () => new Date();
  const revocations = createRevocations({
    store: {
      write: (revocation) => revocationStore.write(db, revocation),
      readSince: (newest, seenMs) => revocationStore.readSince(db, newest, seenMs),
    },
    news: redis && createRevocationNews(redis, config.databaseName),
    leewaySeconds: config.jwt.leewaySeconds,
    staleMs: config.revocationStaleMs,
    now,
    log,
  });
  const passwords = createPasswordHasher({
    // Named from here: this folder is the root of the files inside the compiled program.
    program: new URL("./admin/password-worker.ts", import.meta.url),
    workers: config.passwordWorkers,
    queueMax: config.passwordQueueMax,
    rounds: config.bcryptRounds,
  });
  // As above.
  const large = createLargeThreads(new URL("./document/large-worker.ts", import.meta.url));
  const primary = watchPrimary([db, documents.db]);
  const leaseMs = config.placementLeaseMs;
  const presence = createPresence({
    store: {
      writeSeen: () => processStore.writeSeen(db, { _id: owner, version, placement_lease_ms: leaseMs }),
      findLongestLease: (since) => processStore.findLongestLease(db, since),
      removeSilent: (before) => processStore.removeSilent(db, before),
      remove: () => processStore.remove(db, owner),
    },
    leaseMs,
    log,
  });
  const leases = createLeases({
    read: (id) => findStanding(db, id, primary.isHidden() ? "linearizable" : "majority"),
    leaseMs,
    knownUntilMs: presence.knownUntilMs,
    primary,
  });
  const audit = createAuditor({ db, now, log, sourceOf: limitedAs });
  const tokens = await createTokenIssuer(config.jwt, now);
  return {
    db,
    documents,
    lookUp: createLookUp(db, leaseMs),
    leases,
    presence,
    limits: createLimits({ config, db, redis, log, leases, tokens }),
    config,
    log,
    now,
    passwords,
    large,
    tokens,
    revocations,
    knownKeys: createKnownKeys({
      store: {
        find: (id) => keyStore.findById(db, id),
        noteUse: (id, at, before) => keyStore.noteUse(db, id, at, before),
      },
      now,
      log,
    }),
    flows,
    owner,
    // Nobody waits for others only to hear that the database is away.
    inTurn: createTurns(isUnavailable),
    ...(onStep && { onStep }),
    onEnd: audit.ended,
    audit,
    close: async () => {
      // With the database away nothing is gained by waiting for it.
      await Promise.race([Promise.all([audit.flush(), presence.stop()]), sleep(flushMsMax)]);
      passwords.close();
      large.close();
      revocations.stop();
      redis?.close();
      for (const each of reconnecting) each.stop();
      // On Bun the driver's last words may wait for ever for a connection that the server is just closing (see `reconnect.ts`).
      await Promise.race([Promise.all(clients.map((each) => each.close())), sleep(closeMsMax)]);
    },
  };
}

/** Longer than this nobody waits for a place: as long as for a connection. */
const placeWaitMs = ownOptions.waitQueueTimeoutMS;
const waitingPerPlace = 10;
/** The driver's. */
const connectionsDefault = 100;

/** A part of the connections is left for what a statement needs beside its own: to end a cursor, to settle a primary. */
function createDocuments(client: MongoClient, databaseName: string): Documents {
  // 0 is no bound for the driver.
  const connections = client.options.maxPoolSize || connectionsDefault;
  const atOnce = Math.max(1, connections - Math.ceil(connections / 10));
  const places = createPlaces({ atOnce, waitingMax: atOnce * waitingPerPlace, waitMs: placeWaitMs });
  return { db: client.db(databaseName), places };
}

const flushMsMax = 5_000;
const closeMsMax = 5_000;

/** Brings the database into the form that this version works with; any number of processes may do it at once. */
export async function prepare(deps: Deps): Promise<void> {
  await assertFollowsPrimary(deps.db);
  await createOperationIndexes(deps.db);
  await createOrganizationIndexes(deps.db);
  await createAdminIndexes(deps.db);
  await createAuditIndexes(deps.db);
  await createNoteIndexes(deps.db);
  await createRetiredIndexes(deps.db);
  await createIdempotencyIndexes(deps.db);
  await revocationStore.createRevocationIndexes(deps.db);
  await createSessionIndexes(deps.db);
  await createSharedCollection(deps.db);
  if (deps.config.limits.store !== "memory") await createCounterIndexes(deps.db);
  for (const each of expiringIn(deps.config)) await createExpiryIndex(deps.db, each);
  await takeOver(deps);
}

/** Prepares again and again until it is done: a service may be started before its database. */
async function prepareUntilDone(deps: Deps, stopping: AbortSignal): Promise<boolean> {
  let reported = false;
  for (let pauseMs = 250; !stopping.aborted; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      // When the first try to connect has failed the driver stays closed until it is told again.
      await Promise.all([deps.db, deps.documents.db].map(({ client }) => client.connect()));
      if (!reported) await reportLacks(deps);
      reported = true;
      await prepare(deps);
      await deps.presence.announce();
      await deps.revocations.start();
      return true;
    } catch (error) {
      deps.log.warn({ err: error }, "the database is not prepared yet");
      await sleep(pauseMs, undefined, { signal: stopping }).catch(() => {});
    }
  }
  return false;
}

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

/**
 * Starts the service and its worker. It listens at once; requests that need the database are refused until that has been
 * prepared. `stop` refuses new requests, finishes those that run and closes everything.
 */
export async function startService(config: Config, log: Logger, onStep?: StepObserver): Promise<RunningService> {
  const deps = await createDeps(config, createClient(config.mongodbUrl, config.servicePoolSize), log, onStep);
  const stopping = new AbortController();
  let prepared = false;
  const app = createApp(deps, () => prepared && !stopping.signal.aborted);
  const server = Bun.serve({
    hostname: config.host,
    port: config.port,
    fetch: app.fetch,
    // Bun counts it from the head of a request on, whatever trickles in: longer than the time limit, which answers first, and
    // the end of a body that comes byte by byte. A head has 12 s and 16 KiB (431) by Bun itself.
    idleTimeout: Math.ceil(config.requestTimeoutMs / 1000) + idleSecondsMore,
    // What is too large is told by a problem document, not by a closed connection.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  });
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
  ];
  const worker = ready.then((done) => (done ? startWorker(deps, chores) : null));
  log.info({ version, url: server.url.href, environment: config.environment }, "listening");

  return {
    url: server.url.href.replace(/\/$/, ""),
    deps,
    ready,
    reloadKeys: () =>
      deps.tokens.reload().then(
        () => log.info("keys read again"),
        (error) => log.error({ err: error }, "keys not read again; those before go on"),
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
