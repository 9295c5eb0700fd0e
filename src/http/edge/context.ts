import type { Taken } from "../../lib/limit/rate-limit.ts";
import type { Operator } from "../../operator/key.ts";
import type { Actor, SignedIn } from "../../session/session.ts";
import type { Arrival } from "./address.ts";

/** What middleware leaves for the handlers after it. */
export type Env = {
  Variables: {
    requestId: string;
    arrival: Arrival;
    actor: Actor;
    /** Where admin and organization were read to know who it is. */
    signedIn: SignedIn;
    operator: Operator;
    /** What limits have said of the request so far. */
    taken?: readonly Taken[];
    /** Reads the body, see `receive.ts`. */
    receive: () => Promise<void>;
    /** Aborted when the request's time is up. */
    late?: AbortSignal;
  };
};
