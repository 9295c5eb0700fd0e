import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { type Budget, createBudget } from "../../lib/limit/budget.ts";
import { failure } from "../../lib/failure.ts";
import { limitedAs } from "./address.ts";
import type { Env } from "./context.ts";
import type { HttpFailure } from "../contract/problems.ts";

/** So much is read of somebody who isn't known: a sign-in or a new organization has a quarter of it at the most. */
const strangersBytesMax = 64 * 1_024;
/** Of all of them together: no room of those who are known is theirs. */
const strangersBytesMaxOfAll = 64 * strangersBytesMax;

const tooLarge = (bytesMax: number) =>
  failure<HttpFailure>("body_too_large", `The body may have at most ${bytesMax} bytes.`);

const busy = () =>
  failure<HttpFailure>("bodies_busy", "Too many request bodies are being read at the moment; try again shortly.", {
    retryAfterSeconds: 1,
  });

/** Whose share of the budget it is. */
function readerOf(c: Context<Env>): { key: string; isKnown: boolean } {
  const [actor, operator] = [c.get("actor"), c.get("operator")];
  if (actor) return { key: actor.organizationId.toHexString(), isKnown: true };
  if (operator) return { key: `key:${operator.keyId}`, isKnown: true };
  return { key: limitedAs(c.get("arrival").address), isKnown: false };
}

async function readChunks(
  body: ReadableStream<Uint8Array>,
  take: (bytes: number) => void,
  late: AbortSignal | undefined,
): Promise<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  late?.addEventListener("abort", stop);
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      take(part.value.length);
      chunks.push(part.value);
    }
    late?.throwIfAborted();
    return Bun.concatArrayBuffers(chunks);
  } catch (error) {
    stop();
    throw error;
  } finally {
    late?.removeEventListener("abort", stop);
  }
}

/**
 * Bounds bodies. One that says that it is too large is refused at once. Of the others nothing is read before a route asks for
 * it by `receive`, which stands behind whoever finds out who is calling; then it counts in the budget until the request ends.
 * A stranger's counts in one of their own, and only as it comes: announcing much takes nothing from anybody.
 */
export const boundBodies = (bytesMaxOf: (method: string, path: string) => number, knownBudget: Budget) => {
  const strangersBudget = createBudget(strangersBytesMaxOfAll);
  return createMiddleware<Env>(async function boundBodies(c, next) {
    const bytesMax = bytesMaxOf(c.req.method, c.req.path);
    const isChunked = c.req.header("transfer-encoding") !== undefined;
    const declared = isChunked ? 0 : Number(c.req.header("content-length") ?? 0);
    if (declared > bytesMax) throw tooLarge(bytesMax);
    let giveBack = () => {};
    const receive = async () => {
      const { body } = c.req.raw;
      if (!body) return;
      const { key, isKnown } = readerOf(c);
      const most = isKnown ? bytesMax : Math.min(bytesMax, strangersBytesMax);
      const budget = isKnown ? knownBudget : strangersBudget;
      if (declared > most) throw tooLarge(most);
      let taken = 0;
      giveBack = () => budget.giveBack(key, taken);
      const take = (bytes: number) => {
        if (taken + bytes > most) throw tooLarge(most);
        if (!budget.take(key, bytes)) throw busy();
        taken += bytes;
      };
      if (isChunked || !isKnown)
        c.req.bodyCache.arrayBuffer = Promise.resolve(await readChunks(body, take, c.get("late"))) as never;
      else take(declared);
    };
    let received: Promise<void> | undefined;
    c.set("receive", () => (received ??= receive()));
    try {
      await next();
    } finally {
      giveBack();
    }
  });
};

/** Reads the body, or sees to it that there is room for it, before what follows looks at it. */
export const receive = (c: Context): Promise<void> => (c as Context<Env>).get("receive")();
