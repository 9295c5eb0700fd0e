import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { emailKey } from "../../admin/admin.ts";
import type { Deps } from "../../deps.ts";
import { failure, isFailure } from "../../lib/failure.ts";
import type { Crowd } from "../../lib/limit/crowd.ts";
import type { RateLimit, Taken } from "../../lib/limit/rate-limit.ts";
import type { ByAddress } from "../../limits.ts";
import { limitedAs, neighbourhoodOf, networkOf } from "./address.ts";
import type { Env } from "./context.ts";
import { withDescription } from "../contract/describe.ts";
import { type HttpFailure, sendProblem } from "../contract/problems.ts";

type LimitDeps = Pick<Deps, "limits">;

/** Says what holds, on refusals and on answers (draft-ietf-httpapi-ratelimit-headers-10: `q`uota, `w`indow, `r`emaining, `t`ime). */
function tell(c: Context<Env>, taken: readonly Taken[]): void {
  c.set("taken", taken);
  c.header("RateLimit-Policy", taken.map((one) => `"${one.name}";q=${one.limit};w=${one.windowSeconds}`).join(", "));
  c.header("RateLimit", taken.map((one) => `"${one.name}";r=${one.remaining};t=${one.resetSeconds}`).join(", "));
}

const tooMany = (seconds: number) =>
  failure<HttpFailure>("rate_limited", `Too many requests; try again in ${seconds} s.`, { retryAfterSeconds: seconds });

function refuse(c: Context<Env>, spent: Taken): never {
  tell(c, [...(c.get("taken") ?? []), spent]);
  throw tooMany(spent.resetSeconds);
}

/** Counts a request on several limits, one after the other; what one refuses, then the last one, isn't counted on the next. */
async function count(limits: readonly (readonly [RateLimit, string])[]): Promise<Taken[]> {
  const taken: Taken[] = [];
  for (const [limit, key] of limits) {
    taken.push(await limit.take(key));
    if (!taken.at(-1)!.allowed) break;
  }
  return taken;
}

async function takeAll(c: Context<Env>, limits: readonly (readonly [RateLimit, string])[]): Promise<Taken[]> {
  const taken = await count(limits);
  tell(c, [...(c.get("taken") ?? []), ...taken]);
  const last = taken.at(-1);
  if (last && !last.allowed) throw tooMany(last.resetSeconds);
  return taken;
}

/** What counts a request of this address, the narrowest first. */
function countsOf(
  { limits }: LimitDeps,
  c: Context<Env>,
  { each, around }: ByAddress,
): (readonly [RateLimit, string])[] {
  const { address } = c.get("arrival");
  const own = [each, limits.keyOf(limitedAs(address))] as const;
  const network = networkOf(address);
  return network === null ? [own] : [own, [around, limits.keyOf(network)]];
}

/** One limit, by the caller's address. */
const limitAddress = (deps: LimitDeps, limit: ByAddress, problem: string) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      await takeAll(c, countsOf(deps, c, limit));
      await next();
    }),
    { problems: { rate_limited: problem } },
  );

export const limitCreates = (deps: LimitDeps) =>
  limitAddress(deps, deps.limits.createByAddress, "Too many organizations were created from this address");
export const limitReads = (deps: LimitDeps) =>
  limitAddress(deps, deps.limits.readByAddress, "Too many requests without a token came from this address");

/** Counts tries to sign in, and to recover a password, by address, before anything is read. Who does it rightly has not tried. */
export const limitSignInAddresses = (deps: LimitDeps) =>
  createMiddleware<Env>(async function limitSignInAddresses(c, next) {
    await countByAddress(deps, c, async () => {
      await next();
      return c.res.ok;
    });
  });

async function countByAddress(deps: LimitDeps, c: Context<Env>, attempt: () => Promise<boolean>): Promise<void> {
  const byAddress = countsOf(deps, c, deps.limits.signInByAddress);
  const before = c.get("taken") ?? [];
  const taken = await takeAll(c, byAddress);
  if (!(await attempt())) return;
  const now = await Promise.all(byAddress.map(([limit, key], index) => limit.giveBack(key, taken[index]!)));
  tell(c, c.get("taken")!.toSpliced(before.length, now.length, ...now));
}

/**
 * Counts tries to sign in with an email before anything is looked up or hashed: strictly those from one network, and loosely
 * all. It is the same for an email that nobody has. Who signs in rightly starts anew there, and from then on that address has
 * a count of its own: whatever others try with the email, nobody can lock its owner out there. Only so many in a minute are
 * right, too.
 */
export const limitSignIns = (deps: LimitDeps) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      const { email } = (c.req.valid as (target: "json") => { email: string })("json");
      await countByEmail(deps, c, email, async () => {
        await next();
        return c.res.status === 200;
      });
    }),
    { problems: { rate_limited: "Too many sign-in attempts from this address or with this email" } },
  );

async function countByEmail(
  deps: LimitDeps,
  c: Context<Env>,
  email: string,
  attempt: () => Promise<boolean>,
): Promise<void> {
  const { signInByEmailHere, signInByEmail, signIns, keyOf } = deps.limits;
  const everywhere = keyOf(emailKey(email));
  const place = await placeOf(deps, c, email);
  const { own, isKnown, here } = place;
  const before = c.get("taken") ?? [];
  await takeAll(c, [[signInByEmailHere, here]]);
  // Told only when it refuses: who sees that it isn't counted would see that somebody has the email.
  const anywhere = isKnown ? null : await signInByEmail.take(everywhere);
  if (anywhere?.allowed === false) refuse(c, anywhere);
  const [last] = await takeAll(c, [[signIns, isKnown ? own : everywhere]]);
  if (!(await attempt())) return;
  const forgiven = await beginAnew(deps, place);
  if (anywhere) await signInByEmail.giveBack(everywhere, anywhere);
  tell(c, [...before, forgiven, last!]);
}

type EmailPlace = { own: string; isKnown: boolean; here: string };

/** Under which key tries with an email are counted that come from the caller's address: its own where the email has signed in. */
async function placeOf({ limits }: LimitDeps, c: Context<Env>, email: string): Promise<EmailPlace> {
  const { address } = c.get("arrival");
  const at = (place: string) => limits.keyOf(`${emailKey(email)}\0${place}`);
  const own = at(limitedAs(address));
  const isKnown = await limits.signedInHere.holds(own);
  return { own, isKnown, here: isKnown ? own : at(neighbourhoodOf(address)) };
}

async function beginAnew({ limits }: LimitDeps, { own, here }: EmailPlace): Promise<Taken> {
  const forgiven = await limits.signInByEmailHere.forgive(here);
  await limits.signedInHere.note(own);
  return forgiven;
}

/** Who has shown otherwise to own an email may sign in with it from this address, whatever was tried with it before. */
export async function admitEmail(deps: LimitDeps, c: Context<Env>, email: string): Promise<void> {
  await beginAnew(deps, await placeOf(deps, c, email));
}

/** Counts a password that an admin gives who is signed in, before it is checked, as one of a sign-in. */
export const countPassword = (
  deps: LimitDeps,
  c: Context<Env>,
  email: string,
  check: () => Promise<void>,
): Promise<void> => {
  const isRight = async (): Promise<true> => {
    await check();
    return true;
  };
  return countByAddress(deps, c, async () => {
    await countByEmail(deps, c, email, isRight);
    return true;
  });
};

/** Goes on with a place in each crowd, or says which is full: with a quota of requests at once, which has no window. */
async function among(c: Context, crowds: readonly (readonly [Crowd, string])[], next: () => Promise<void>) {
  const leaves: (() => void)[] = [];
  try {
    for (const [crowd, key] of crowds) {
      const leave = await crowd.enter(key);
      if (!leave) {
        c.header("RateLimit-Policy", `"${crowd.name}";q=${crowd.atOnce};qu="concurrent-requests"`);
        c.header("RateLimit", `"${crowd.name}";r=0;t=1`);
        throw tooMany(1);
      }
      leaves.push(leave);
    }
    await next();
  } finally {
    for (const leave of leaves) leave();
  }
}

/**
 * What every request of an organization passes, once it is known whose it is: what its tier allows to its token and to all of
 * them, and a place among its own.
 */
export async function limitOrganization(deps: LimitDeps, c: Context<Env>, next: () => Promise<void>): Promise<void> {
  const { byTier, tierOf, crowd, tokenCrowd } = deps.limits;
  const { organizationId, claims } = c.get("actor");
  const id = organizationId.toHexString();
  // A token that was renewed goes on with the count of the one before.
  const token = claims.sid ?? claims.jti;
  const tier = byTier[await tierOf(organizationId)];
  await takeAll(c, [
    [tier.token, token],
    [tier.organization, id],
  ]);
  await among(
    c,
    [
      [tokenCrowd, token],
      [crowd, id],
    ],
    next,
  );
}

export const organizationProblems = {
  rate_limited: "The token or its organization sends more requests than its tier allows, or too many at once",
};

/** The same for an operator's key. */
export async function limitOperator(deps: LimitDeps, c: Context<Env>, next: () => Promise<void>): Promise<void> {
  const { byOperatorKey, crowd } = deps.limits;
  const { keyId } = c.get("operator");
  await takeAll(c, [[byOperatorKey, keyId]]);
  await among(c, [[crowd, `key:${keyId}`]], next);
}

/**
 * Counts changes of the password, each of which costs a core for a while, and of the email, whose answer says whether somebody
 * has it: before a new password is hashed or an email looked up.
 */
export const limitCredentials = (deps: LimitDeps) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      const { email, password } = (c.req.valid as (target: "json") => { email?: string; password?: string })("json");
      const id = c.get("actor").organizationId.toHexString();
      if ((email ?? password) !== undefined) await takeAll(c, [[deps.limits.credentialsByOrganization, id]]);
      await next();
    }),
    {
      problems: {
        rate_limited: `${organizationProblems.rate_limited}, or changed its email or password too often`,
      },
    },
  );

/** What somebody is told who tries tokens and keys, or what may be done with one. */
const refusals: ReadonlySet<string> = new Set([
  "token_invalid",
  "tenant_gone",
  "refresh_token_invalid",
  "refresh_token_reused",
  "operator_key_invalid",
  "address_not_allowed",
  "scope_missing",
]);

/** Refuses an address that has sent too many wrong tokens and keys, before one more is looked up. */
export async function refuseSpent(deps: LimitDeps, c: Context<Env>): Promise<void> {
  for (const [limit, key] of countsOf(deps, c, deps.limits.refusedByAddress)) {
    const spent = await limit.spent(key);
    if (spent) refuse(c, spent);
  }
}

/** Counts tokens and keys that are refused, by address. Right ones from the same address go on. */
export const limitRefused = (deps: LimitDeps) =>
  createMiddleware<Env>(async function limitRefused(c, next) {
    await next();
    if (!isFailure(c.error) || !refusals.has(c.error.failure)) return;
    const taken = await count(countsOf(deps, c, deps.limits.refusedByAddress));
    const last = taken.at(-1)!;
    if (!last.allowed) {
      c.res.headers.delete("WWW-Authenticate");
      c.res = await sendProblem(c, tooMany(last.resetSeconds));
    }
    tell(c, [...(c.get("taken") ?? []), ...taken]);
  });
