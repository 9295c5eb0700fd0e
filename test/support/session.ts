import { expect } from "bun:test";
import type { Service } from "./service.ts";
import { readClaims } from "./token.ts";

export type Tokens = { access_token: string; refresh_token: string };

/** Signs in once more: a session of its own. */
export async function signInTo(
  service: Service,
  { email, password }: { email: string; password: string },
  headers: Record<string, string> = {},
): Promise<Tokens> {
  const { status, body } = await service.send("POST", "/admin/login", { body: { email, password }, headers });
  expect(status).toBe(200);
  return body;
}

export const refreshAt = (service: Service, refresh_token: string, headers: Record<string, string> = {}) =>
  service.send("POST", "/admin/refresh", { body: { refresh_token }, headers });

/** What each of the two ways of authentication says: of the rare requests, and of those to documents. */
export async function isLetIn(service: Service, token: string): Promise<boolean> {
  const paths = ["/admin/me", "/org/documents"];
  const answers = await Promise.all(paths.map((path) => service.send("GET", path, { token })));
  const [first, second] = answers.map(({ status }) => status);
  if (first !== second || (first !== 200 && first !== 401)) throw new Error(`answered ${first} and ${second}`);
  return first === 200;
}

export const sidOf = (token: string): string => readClaims(token).sid;
