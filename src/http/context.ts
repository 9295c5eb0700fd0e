import type { Actor } from "../session/session.ts";

/** What middleware leaves for the handlers after it. */
export type Env = {
  Variables: {
    requestId: string;
    actor: Actor;
    /** Aborted when the request's time is up. */
    late?: AbortSignal;
  };
};
