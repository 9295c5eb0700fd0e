import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { within } from "../../lib/mongo/mongo.ts";
import { service, version } from "../../lib/version.ts";
import type { Env } from "../edge/context.ts";
import { answer, describe } from "../contract/describe.ts";
import { healthAnswer, jwksAnswer, readinessAnswer, rootAnswer } from "../contract/schemas.ts";

const pingTimeoutMs = 1_500;

/** Asks the database once for all who want to know while an answer is under way: nothing else limits these routes. */
function createPing({ db }: Pick<Deps, "db">): () => Promise<boolean> {
  let asked: Promise<boolean> | null = null;
  const ask = () =>
    db.command({ ping: 1 }, within(pingTimeoutMs)).then(
      () => true,
      () => false,
    );
  return () =>
    (asked ??= ask().finally(() => {
      asked = null;
    }));
}

const tags = ["Service"];

/** @param isReady whether the database has been prepared and the process is not about to stop */
export function serviceRoutes(deps: Pick<Deps, "db" | "tokens" | "revocations">, isReady: () => boolean) {
  const databaseAnswers = createPing(deps);
  return new Hono<Env>()
    .get(
      "/",
      describe({
        operationId: "root",
        summary: "Service information",
        tags,
        answers: { "200": answer("Name, version and links", rootAnswer) },
      }),
      (c) =>
        c.json(
          {
            name: service,
            version,
            // The first Croupier had these three.
            message: "Croupier is running",
            docs: "/docs",
            redoc: "/redoc",
            links: { docs: "/docs", openapi: "/openapi.json", health: "/health" },
          },
          200,
        ),
    )
    .get(
      "/.well-known/jwks.json",
      describe({
        operationId: "publicKeys",
        summary: "Public keys for verifying access tokens (RFC 7517)",
        tags,
        answers: {
          "200": answer(
            "The first key signs new tokens; empty when JWT_ALGORITHM is an HMAC algorithm such as HS256",
            jwksAnswer,
          ),
        },
      }),
      (c) => {
        c.header("Cache-Control", "public, max-age=300");
        return c.json({ keys: deps.tokens.publicKeys() }, 200);
      },
    )
    .get(
      "/health",
      describe({
        operationId: "health",
        summary: "Health check: can the service reach its database?",
        tags,
        answers: {
          "200": answer("The database answers", healthAnswer),
          "503": answer("The database doesn't answer", healthAnswer, { status: "unhealthy", database: "disconnected" }),
        },
      }),
      async (c) =>
        (await databaseAnswers())
          ? c.json({ status: "healthy", service, version, database: "connected" }, 200)
          : c.json({ status: "unhealthy", service, version, database: "disconnected" }, 503),
    )
    .get(
      "/readiness",
      describe({
        operationId: "readiness",
        summary: "Readiness check: should the service be sent requests?",
        tags,
        answers: {
          "200": answer("Ready", readinessAnswer),
          "503": answer("Not ready", readinessAnswer, { status: "not_ready" }),
        },
      }),
      async (c) =>
        isReady() && deps.revocations.areKnown() && (await databaseAnswers())
          ? c.json({ status: "ready" }, 200)
          : c.json({ status: "not_ready" }, 503),
    );
}
