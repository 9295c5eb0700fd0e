import pino, { type DestinationStream, type Logger } from "pino";
import { scrub, tell } from "./lib/scrub.ts";

const errorFields = (error: unknown): Record<string, unknown> => {
  if (!(error instanceof Error)) return { message: scrub(String(error)) };
  const { code } = error as { code?: unknown };
  const message = tell(error);
  // It begins with the message.
  const stack = scrub((error.stack ?? "").replace(error.message, () => message));
  return { name: error.name, code, message, stack };
};

/** One JSON object a line on standard output. What is logged holds ids, no emails and no secrets. */
export const createLogger = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: errorFields } }, destination);
