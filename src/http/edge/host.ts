import { isIPv6 } from "node:net";
import { createMiddleware } from "hono/factory";
import { getPath } from "hono/utils/url";
import { failure } from "../../lib/failure.ts";
import type { Env } from "./context.ts";
import type { HttpFailure } from "../contract/problems.ts";

/** Bun gives the path alone where there is no Host, as in HTTP/1.0, or one that is empty or wrong. */
const absolute = (url: string): string => (url.startsWith("/") ? new URL(`http://localhost${url}`).href : url);

/** The path by which Hono finds the route: what it has built in would take the first segment for the host. */
export const pathOf = ({ url }: Pick<Request, "url">): string => getPath({ url: absolute(url) } as Request);

/**
 * `host [":" port]` (RFC 9110, 7.2; RFC 3986, 3.2.2), where both may be empty. A comma is in no host that there is, and joins those
 * of several headers.
 */
const hostPattern = /^(?:\[([0-9a-f:.]+)\]|(?:[a-z0-9._~!$&'()*+;=-]|%[0-9a-f]{2})*)(?::(\d{0,5}))?$/i;

function isHost(text: string): boolean {
  const [whole, ipv6, port = ""] = hostPattern.exec(text) ?? [];
  return whole !== undefined && (ipv6 === undefined || isIPv6(ipv6)) && Number(port) <= 65_535;
}

/** Refuses a Host header that is none, or several (RFC 9112, 3.2), and gives a request without one a URL like all others. */
export const checkHost = createMiddleware<Env>(async function checkHost(c, next) {
  const host = c.req.header("host");
  if (host !== undefined && !isHost(host)) {
    throw failure<HttpFailure>("bad_request", "Send exactly one Host header, with a host and optionally a port.");
  }
  const { raw } = c.req;
  if (raw.url !== absolute(raw.url)) c.req.raw = new Request(absolute(raw.url), raw);
  await next();
});
