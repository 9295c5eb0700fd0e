import { MongoClient, type MongoClientOptions } from "mongodb";
import { socketTimeoutMs } from "./mongo.ts";
import { service } from "../version.ts";

/** What the code says, whatever the connection string says of it. */
const overruling = {
  appName: service,
  serverSelectionTimeoutMS: 2_000,
  connectTimeoutMS: 2_000,
  waitQueueTimeoutMS: 2_000,
  heartbeatFrequencyMS: 2_000,
  minHeartbeatFrequencyMS: 500,
  // What its own limit doesn't reach ends with this one; a longer statement says so (`within`).
  socketTimeoutMS: socketTimeoutMs,
  ignoreUndefined: true,
} as const satisfies MongoClientOptions;

/** For every client. */
export const ownOptions = {
  ...overruling,
  // What decides over a tenant must outlive a change of the primary, and is read where it was written.
  writeConcern: { w: "majority" },
  readPreference: "primary",
  readConcern: { level: "local" },
} as const satisfies MongoClientOptions;

/** They say where the database is, who asks, and by how many connections of which kind: nothing rests on these. */
const free = [
  ...["authMechanism", "authMechanismProperties", "authSource", "dbName", "replicaSet", "directConnection"],
  ...["srvAllowedHostsSuffix", "srvMaxHosts", "srvServiceName", "localThresholdMS", "serverMonitoringMode"],
  ...["tls", "ssl", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "tlsCAFile", "tlsCRLFile"],
  ...["tlsCertificateKeyFile", "tlsCertificateKeyFilePassword", "tlsInsecure"],
  ...["compressors", "zlibCompressionLevel", "noDelay", "family", "autoSelectFamily", "autoSelectFamilyAttemptTimeout"],
  ...["maxPoolSize", "minPoolSize", "maxConnecting", "maxIdleTimeMS", "monitorCommands"],
  ...["proxyHost", "proxyPort", "proxyUsername", "proxyPassword"],
  // A statement that is sent again is safe with and without the server's help; the last one has no effect.
  ...["retryReads", "retryWrites", "maxAdaptiveRetries", "enableOverloadRetargeting", "timeoutMS"],
];

type Restriction = { only?: string; because: string };

const fromPrimary = "other members of a replica set may lack acknowledged writes";
const outlives = "acknowledged writes must survive a crash and a change of the primary";
const ownLimits = "a write that times out may still take effect; every statement has its own limit";

/** They would change what a statement means. */
const restricted: Record<string, Restriction> = {
  readPreference: { only: "primary", because: fromPrimary },
  readPreferenceTags: { because: fromPrimary },
  maxStalenessSeconds: { because: fromPrimary },
  readConcernLevel: { only: "local", because: "the service chooses a read concern for each read" },
  w: { only: "majority", because: outlives },
  journal: { only: "true", because: outlives },
  j: { only: "true", because: outlives },
  fsync: { because: outlives },
  wtimeoutMS: { because: ownLimits },
  wtimeout: { because: ownLimits },
  loadBalanced: { only: "false", because: "behind a load balancer a change of the primary goes unnoticed" },
};

const lowerCased = <T>(entries: [name: string, value: T][]) =>
  new Map(entries.map(([name, value]) => [name.toLowerCase(), value]));
const restrictions = lowerCased(Object.entries(restricted));
const passing = new Set([...free, ...Object.keys(overruling)].map((name) => name.toLowerCase()));

function problemOf(name: string, value: string): string | null {
  if (passing.has(name.toLowerCase())) return null;
  const restriction = restrictions.get(name.toLowerCase());
  if (!restriction) return `has the option ${name}, which is not allowed`;
  const { only, because } = restriction;
  if (value === only) return null;
  return `has the option ${name}, which ${only === undefined ? "is not allowed" : `must be ${only}`}: ${because}`;
}

const isReadable = (url: string): boolean => {
  try {
    new MongoClient(url, ownOptions);
    return true;
  } catch {
    // What the driver says may hold a user's name or a value.
    return false;
  }
};

/**
 * What is wrong with a connection string, each to be read after its name; none of it holds anything of the string but names
 * of options. Those that nothing rests on pass, those that the code says itself are overruled, all others are refused.
 */
export function connectionProblems(url: string): string[] {
  const [, query = ""] = /\?(.*)/s.exec(url) ?? [];
  const problems = [...new URLSearchParams(query)].flatMap(([name, value]) => problemOf(name, value) ?? []);
  if (problems.length > 0 || isReadable(url)) return problems;
  return [
    "can't be read by MongoDB's driver: special characters must be percent-encoded, and options must have valid values",
  ];
}
