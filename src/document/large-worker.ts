/// <reference lib="webworker" />
// A thread that reads, patches and prints large documents: each would hold up all other requests for a second.
import { setPriority } from "node:os";
import { serveJobs } from "../lib/threads.ts";
import { doLargeJob } from "./large-jobs.ts";

// A thread of Linux has a priority of its own: what answers at once goes before what takes a second.
if (process.platform === "linux") setPriority(5);

declare const self: DedicatedWorkerGlobalScope;

serveJobs(self, doLargeJob);
