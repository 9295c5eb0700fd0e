/** What has to be undone, last thing first. `close` may be called any number of times and runs everything once. */
export type Scope = { defer(undo: () => unknown): void; close(): Promise<void>; isClosed(): boolean };

export function createScope(): Scope {
  const undos: (() => unknown)[] = [];
  let closing: Promise<void> | undefined;

  const undoAll = async () => {
    for (let undo = undos.pop(); undo; undo = undos.pop()) {
      // One step that fails must not leave the others undone.
      await Promise.resolve()
        .then(undo)
        .catch((error) => console.error(`while stopping: ${error instanceof Error ? error.message : error}`));
    }
  };

  return {
    defer: (undo) => void undos.push(undo),
    close: () => (closing ??= undoAll()),
    isClosed: () => closing !== undefined,
  };
}
