import type { Context } from "hono";
import type { Origin, Who } from "../../audit/audit.ts";
import type { Env } from "./context.ts";

function whoOf(c: Context<Env>): Who {
  const actor = c.get("actor");
  if (actor) return { kind: "admin", id: actor.adminId.toHexString() };
  const operator = c.get("operator");
  return operator ? { kind: "operator", id: operator.keyId } : { kind: "anonymous", id: null };
}

/** Who asks, from where and by which request, as it is recorded. */
export const originOf = (c: Context<Env>): Origin => ({
  who: whoOf(c),
  address: c.get("arrival").address,
  request_id: c.get("requestId"),
});
