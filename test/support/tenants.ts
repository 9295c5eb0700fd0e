import { tiers, type Tier } from "../../src/tenant/placement.ts";
import { makeOperatorKey } from "./operator.ts";
import { type Answer, type Service, useService } from "./service.ts";

/** A service for each tier, whose newcomers are given that one. */
export const useTiers = (overrides: Record<string, string> = {}): Record<Tier, Service> =>
  Object.fromEntries(tiers.map((tier) => [tier, useService({ DEFAULT_TIER: tier, ...overrides })])) as Record<
    Tier,
    Service
  >;

export type Client = {
  id: string;
  token: string;
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
};

/** A new organization's admin, who asks for paths beneath `/org`. */
export async function joinAs(service: Service, hint?: string): Promise<Client> {
  const { id, token } = await service.join(hint);
  return {
    id,
    token,
    ask: (method, path, body, headers = {}) =>
      service.send(method, `/org${path}`, { token, headers, ...(body !== undefined && { body }) }),
  };
}

/** Takes an organization to another tier, and waits until it is there. */
export async function moveTo(service: Service, organizationId: string, tier: Tier): Promise<void> {
  const options = { token: await makeOperatorKey(service.db, ["moves:write", "organizations:read"]) };
  const path = `/platform/organizations/${organizationId}/moves`;
  const started = await service.send("POST", path, { ...options, body: { tier } });
  if (started.status !== 202) throw new Error(started.text);
  const location = started.headers.get("location")!;
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const { body } = await service.send("GET", location, options);
    if (body.status === "succeeded") return;
    if (body.status !== "running") throw new Error(JSON.stringify(body));
    await Bun.sleep(50);
  }
  throw new Error("The move takes too long");
}
