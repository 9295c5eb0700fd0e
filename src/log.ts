import pino, { type DestinationStream, type Logger } from "pino";
import { scrub } from "./lib/scrub.ts";

const errorFields = (error: unknown): Record<string, unknown> => {
  if (!(error instanceof Error)) return { message: scrub(String(error)) };
  const { code } = error as { code?: unknown };
  return { name: error.name, code, message: scrub(error.message), stack: scrub(error.stack ?? "") };
};

/** One JSON object a line on standard output. What is logged holds ids, no emails and no secrets. */
export const createLogger = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: errorFields } }, destination);
