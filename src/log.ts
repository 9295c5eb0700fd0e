import pino, { type DestinationStream, type Logger } from "pino";
import { placesOf, wordsOf } from "./lib/scrub.ts";

const errorFields = (error: unknown): Record<string, unknown> => {
  if (!(error instanceof Error)) return { message: wordsOf(error) };
  const { code, codeName } = error as { code?: unknown; codeName?: unknown };
  return { name: error.name, code, codeName, message: wordsOf(error), stack: placesOf(error) };
};

/** One JSON object a line on standard output. What is logged holds ids, no emails, no secrets and nothing of documents. */
export const createLogger = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: errorFields } }, destination);
