import * as z from "zod";
import { grant, refreshTokenExample, time } from "../contract/schemas.ts";

const idExample = "0b9f7a3e-3c1d-4d0e-9f5b-6a2c8d7e1f40";

export const refreshRequest = z
  .strictObject({
    refresh_token: z
      .string()
      .min(1, "must not be empty")
      .max(200, "must have at most 200 characters")
      .meta({ example: refreshTokenExample }),
  })
  .meta({ id: "Refresh" });

export const refreshAnswer = z.object(grant).meta({ id: "Refreshed" });

export const sessionPath = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a session id")
    .meta({ example: idExample }),
});

const session = {
  id: z.string().meta({ description: "The `sid` claim of its access tokens", example: idExample }),
  created_at: time.meta({ description: "When the admin signed in" }),
  last_used_at: time.meta({ description: "When the session was last renewed" }),
  expires_at: time.meta({
    description: "When the session ends unless it is renewed",
    example: "2026-12-24T09:30:00.000Z",
  }),
  address: z.string().meta({ description: "Address it was last renewed from", example: "192.0.2.7" }),
  user_agent: z
    .string()
    .meta({ description: "User-Agent it was last renewed by, at most 200 characters", example: "curl/8.11.0" }),
  current: z.boolean().meta({ description: "Whether it is the session of this request", example: true }),
};
const sessionExample = Object.fromEntries(
  Object.entries(session).map(([name, field]) => [name, field.meta()?.example]),
);

export const sessionsAnswer = z
  .object({
    sessions: z
      .array(z.object(session).meta({ id: "Session" }))
      .meta({ description: "Most recently used first; at most 200", example: [sessionExample] }),
  })
  .meta({ id: "Sessions" });
