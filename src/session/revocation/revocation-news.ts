import * as z from "zod";
import type { Redis } from "../../lib/limit/redis.ts";

/** What was ended, a token or a session, and until when that has to be known, in seconds since 1970. */
export type News = { id: string; until: number };

/** Tells all processes at once what the store would tell them at their next look; it may lose everything. */
export type RevocationNews = {
  tell(news: News): void;
  listen(heard: (news: News) => void): void;
};

const newsSchema = z.object({ id: z.string().min(1).max(200), until: z.number() });

function parse(message: string): News | null {
  try {
    return newsSchema.parse(JSON.parse(message));
  } catch {
    return null;
  }
}

/** @param databaseName names the channel: a Redis may serve several Croupiers */
export function createRevocationNews(redis: Redis, databaseName: string): RevocationNews {
  const channel = `croupier:${databaseName}:revocations`;
  return {
    // Nobody waits for it.
    tell: (news) => void redis.send("PUBLISH", [channel, JSON.stringify(news)]).catch(() => {}),
    listen: (heard) =>
      redis.listen(channel, (message) => {
        const news = parse(message);
        if (news) heard(news);
      }),
  };
}
