import { answers } from "../lib/net.ts";
import type { Link } from "./link.ts";

/** The database that the caller names. The chain tries no other when there is one: it could be the wrong data. */
export const urlLink: Link = {
  name: "url",
  does: "the database of MONGODB_URL",
  remedy: "set MONGODB_URL to the connection string of a MongoDB that runs",
  open: async () => {
    const url = process.env.MONGODB_URL;
    if (!url) throw new Error("MONGODB_URL is not set");
    if (!(await answers(url, 5_000))) throw new Error("MONGODB_URL is set, but nothing answers there");
    return url;
  },
};
