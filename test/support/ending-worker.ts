/// <reference lib="webworker" />
import { serveJobs } from "../../src/lib/threads.ts";

declare const self: DedicatedWorkerGlobalScope;

// Does jobs, and ends by some of them in the ways in which a thread may end.
serveJobs(
  self,
  async ({ ending, bytes }: { ending?: "exit" | "throw" | "quote" | "spin" | "silence"; bytes: Uint8Array }) => {
    if (ending === "exit") process.exit(1);
    if (ending === "throw") {
      setTimeout(() => {
        throw new Error("thrown by nothing that anybody waits for");
      });
      await new Promise(() => {});
    }
    if (ending === "spin") for (;;);
    if (ending === "silence") await new Promise(() => {});
    if (ending === "quote") throw Object.assign(new Error(`wrong: ${bytes}`), { name: "BSONError" });
    return { bytes: bytes.map((byte) => byte + 1) };
  },
);
