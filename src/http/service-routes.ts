import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { within } from "../lib/mongo.ts";
import { service, version } from "../lib/version.ts";
import type { Env } from "./context.ts";
import { describe } from "./describe.ts";
import { healthAnswer, readinessAnswer, rootAnswer } from "./schemas.ts";

const pingTimeoutMs = 1_500;

const databaseAnswers = ({ db }: Pick<Deps, "db">): Promise<boolean> =>
  db.command({ ping: 1 }, within(pingTimeoutMs)).then(
    () => true,
    () => false,
  );

const tags = ["Service"];
const json = <S>(schema: S, description: string) => ({ description, content: { "application/json": { schema } } });

/** @param isReady whether the database has been prepared and the process is not about to stop */
export const serviceRoutes = (deps: Pick<Deps, "db">, isReady: () => boolean) =>
  new Hono<Env>()
    .get(
      "/",
      describe({
        operationId: "root",
        summary: "What this is",
        tags,
        answers: { "200": json(rootAnswer, "Name, version and where to go on") as never },
      }),
      (c) =>
        c.json({ name: service, version, links: { docs: "/docs", openapi: "/openapi.json", health: "/health" } }, 200),
    )
    .get(
      "/health",
      describe({
        operationId: "health",
        summary: "Does it reach its database?",
        tags,
        answers: {
          "200": json(healthAnswer, "It does") as never,
          "503": json(healthAnswer.meta({ id: "Health" }), "It doesn't") as never,
        },
      }),
      async (c) =>
        (await databaseAnswers(deps))
          ? c.json({ status: "healthy", service, version, database: "connected" }, 200)
          : c.json({ status: "unhealthy", service, version, database: "disconnected" }, 503),
    )
    .get(
      "/readiness",
      describe({
        operationId: "readiness",
        summary: "May it be sent requests?",
        tags,
        answers: { "200": json(readinessAnswer, "Yes") as never, "503": json(readinessAnswer, "Not now") as never },
      }),
      async (c) =>
        isReady() && (await databaseAnswers(deps))
          ? c.json({ status: "ready" }, 200)
          : c.json({ status: "not_ready" }, 503),
    );
