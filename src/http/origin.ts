import type { Context } from "hono";
import type { Origin, Who } from "../audit/audit.ts";
import { callerAddress } from "./address.ts";
import type { Env } from "./context.ts";

function whoOf(c: Context<Env>): Who {
  const actor = c.get("actor");
  if (actor) return { kind: "admin", id: actor.adminId.toHexString() };
  const operator = c.get("operator");
  return operator ? { kind: "operator", id: operator.keyId } : { kind: "anonymous", id: null };
}

/** Who asks, from where and by which request, as it is recorded. */
export const originOf = (c: Context<Env>, trustedProxies: number): Origin => ({
  who: whoOf(c),
  address: callerAddress(c, trustedProxies),
  request_id: c.get("requestId"),
});
