import { randomUUID } from "node:crypto";
import type { MongoClient } from "mongodb";
import type { Logger } from "pino";
import { createAsksPassword } from "./admin/asks-password.ts";
import { createPasswordHasher } from "./admin/password-hasher.ts";
import { createAuditor } from "./audit/auditor.ts";
import type { Config } from "./config.ts";
import type { Deps } from "./deps.ts";
import { createLargeThreads } from "./document/large.ts";
import { flows } from "./flows/index.ts";
import { limitedAs } from "./http/edge/address.ts";
import { atMost } from "./lib/at-most.ts";
import { createClient } from "./lib/mongo/client.ts";
import { ownOptions } from "./lib/mongo/connection-options.ts";
import { isUnavailable } from "./lib/mongo/mongo.ts";
import { createPlaces } from "./lib/limit/places.ts";
import { watchPrimary } from "./lib/mongo/primary.ts";
import { reconnectWhenStuck } from "./lib/mongo/reconnect.ts";
import { createRedis } from "./lib/limit/redis.ts";
import { createTurns } from "./lib/turns.ts";
import { version } from "./lib/version.ts";
import { createLimits } from "./limits.ts";
import { createLookUp } from "./look-up.ts";
import type { StepObserver } from "./operation/operation.ts";
import { createKnownKeys } from "./operator/known-keys.ts";
import * as keyStore from "./operator/store.ts";
import { findEstablishedById, findStanding } from "./organization/store.ts";
import { createPresence } from "./process/presence.ts";
import * as processStore from "./process/store.ts";
import { countWaitMs, createCounting } from "./quota/count.ts";
import { areKept } from "./quota/quota.ts";
import { createUsage } from "./quota/usage.ts";
import { createRevocationNews } from "./session/revocation/revocation-news.ts";
import * as revocationStore from "./session/revocation/revocation-store.ts";
import { createRevocations } from "./session/revocation/revocations.ts";
import { createTokenIssuer } from "./session/token/token.ts";
import { createDeployments, type Deployments } from "./tenant/deployments.ts";
import type { Documents } from "./tenant/door.ts";
import { createLeases } from "./tenant/lease.ts";
import { defaultRegion } from "./tenant/placement.ts";

type Closing = { close(): Promise<void> };

/** What it takes to drive operations and to record acts: all that a command needs. */
export type CoreDeps = Pick<
  Deps,
  "db" | "deployments" | "config" | "log" | "now" | "flows" | "owner" | "inTurn" | "presence" | "audit" | "onEnd"
>;

const flushMsMax = 5_000;
const closeMsMax = 5_000;

export function createCore(config: Config, client: MongoClient, log: Logger): CoreDeps & Closing {
  const db = client.db(config.databaseName);
  const owner = randomUUID();
  const now = () => new Date();
  const connection = keepConnected(client);
  const presence = createPresence({
    store: {
      writeSeen: () => processStore.writeSeen(db, { _id: owner, version, placement_lease_ms: config.placementLeaseMs }),
      findLongestLease: (since) => processStore.findLongestLease(db, since),
      removeSilent: (before) => processStore.removeSilent(db, before),
      remove: () => processStore.remove(db, owner),
    },
    leaseMs: config.placementLeaseMs,
    log,
  });
  const audit = createAuditor({ db, flows, now, log, sourceOf: limitedAs });
  return {
    db,
    deployments: deploymentsBy(client, config.databaseName),
    config,
    log,
    now,
    flows,
    owner,
    // Nobody waits for others only to hear that the database is away.
    inTurn: createTurns(isUnavailable),
    presence,
    audit,
    onEnd: audit.ended,
    async close() {
      // With the database away nothing is gained by waiting for it.
      await atMost(flushMsMax, Promise.all([audit.flush(), presence.stop()]));
      await connection.close();
    },
  };
}

/** All that there are, by the connections of one client. */
const deploymentsBy = (client: MongoClient, databaseName: string): Deployments =>
  createDeployments({ [defaultRegion]: client.db(databaseName) });

function keepConnected(client: MongoClient): Closing {
  const { connectTimeoutMS, heartbeatFrequencyMS } = ownOptions;
  const reconnecting = reconnectWhenStuck(client, connectTimeoutMS + heartbeatFrequencyMS + 1_000);
  return {
    async close() {
      reconnecting.stop();
      // On Bun the driver's last words may wait for ever for a connection that the server is just closing (see `reconnect.ts`).
      await atMost(closeMsMax, client.close());
    },
  };
}

/** All that a service needs. */
export async function createDeps(
  config: Config,
  client: MongoClient,
  log: Logger,
  onStep?: StepObserver,
  documentsClient = createClient(config.mongodbUrl, config.documentsPoolSize),
): Promise<Deps & Closing> {
  const core = createCore(config, client, log);
  const { db, now, presence } = core;
  const documents = createDocuments(documentsClient, config.databaseName);
  const documentsConnection = keepConnected(documentsClient);
  const redis =
    config.redisUrl === null
      ? null
      : createRedis(config.redisUrl, (isUp, error) =>
          isUp ? log.info("Redis available") : log.warn({ err: error }, "Redis unavailable; continuing without it"),
        );
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
  const large = createLargeThreads(new URL("./document/large-worker.ts", import.meta.url), config.largeBytesMax);
  const primary = watchPrimary([db, ...documents.deployments.all.map(({ home }) => home)]);
  const leaseMs = config.placementLeaseMs;
  const leases = createLeases({
    read: (id) => findStanding(db, id, primary.isHidden() ? "linearizable" : "majority"),
    leaseMs,
    knownUntilMs: presence.knownUntilMs,
    primary,
  });
  const usage = areKept(config.quotas)
    ? createUsage({
        db,
        quotas: config.quotas,
        counting: createCounting({
          db,
          // The request that waits for a count has a place itself, perhaps the last one.
          documents: {
            ...documents,
            places: createPlaces({ atOnce: countsAtOnce, waitingMax: 1_000, waitMs: countWaitMs }),
          },
          leases,
          now,
          log,
          isThere: async (id) => (await findEstablishedById(db, id)) !== null,
        }),
        now,
        log,
      })
    : undefined;
  const tokens = await createTokenIssuer(config.jwt, now);
  const knownKeys = createKnownKeys({
    store: {
      find: (id) => keyStore.findById(db, id),
      noteUse: (id, at, before) => keyStore.noteUse(db, id, at, before),
    },
    now,
    log,
  });
  return {
    ...core,
    documents,
    lookUp: createLookUp(db, leaseMs),
    leases,
    ...(usage && { usage }),
    limits: createLimits({ config, db, redis, log, leases, tokens }),
    passwords,
    asksPassword: createAsksPassword(db, config.requireCurrentPassword),
    large,
    tokens,
    revocations,
    knownKeys,
    ...(onStep && { onStep }),
    async close() {
      const closing = (usage ? atMost(flushMsMax, usage.stop()) : Promise.resolve()).then(core.close);
      passwords.close();
      large.close();
      revocations.stop();
      redis?.close();
      await Promise.all([closing, documentsConnection.close()]);
    },
  };
}

/** Longer than this nobody waits for a place: as long as for a connection. */
const placeWaitMs = ownOptions.waitQueueTimeoutMS;
const waitingPerPlace = 10;
/** Of organizations of which nobody knows how much they have. */
const countsAtOnce = 4;
/** The driver's. */
const connectionsDefault = 100;

/** A part of the connections is left for what a statement needs beside its own: to end a cursor, to settle a primary. */
function createDocuments(client: MongoClient, databaseName: string): Documents {
  // 0 is no bound for the driver.
  const connections = client.options.maxPoolSize || connectionsDefault;
  const atOnce = Math.max(1, connections - Math.ceil(connections / 10));
  const places = createPlaces({ atOnce, waitingMax: atOnce * waitingPerPlace, waitMs: placeWaitMs });
  return { deployments: deploymentsBy(client, databaseName), places };
}
