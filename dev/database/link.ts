import type { Progress } from "../lib/progress.ts";
import type { Scope } from "../lib/scope.ts";

/** `dev` keeps its data, `test` throws it away; both may run at once, `test` any number of times. */
export type Purpose = "dev" | "test";

export type Settings = {
  purpose: Purpose;
  /** The repository, where `compose.yaml` is. */
  repositoryFolder: string;
  /** Data and logs, a folder of the repository that git ignores. */
  dataFolder: string;
  /** What is downloaded or built once for this user. */
  cacheFolder: string;
  /** Where the database listens; a free port when it is not given. */
  port: number | undefined;
};

/**
 * One way to get a database. `open` returns its address, or throws an error whose message says in a few words why it
 * does not serve; what it started or took, it defers to the scope.
 */
export type Link = {
  name: string;
  /** Completes "trying …". */
  does: string;
  /** What a person can do to make this link serve. */
  remedy: string;
  open(settings: Settings, scope: Scope, progress: Progress): Promise<string>;
};
