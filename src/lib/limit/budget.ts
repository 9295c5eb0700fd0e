export type Budget = {
  /** @returns false, and takes nothing, when the key would have more than is left then for all others; nothing can always be taken */
  take(key: string, amount: number): boolean;
  giveBack(key: string, amount: number): void;
};

/** So much for all keys together. The first may have half of it, the second half of the rest: somebody else's little goes in always. */
export function createBudget(all: number): Budget {
  const taken = new Map<string, number>();
  let takenOfAll = 0;
  const add = (key: string, amount: number) => {
    const now = (taken.get(key) ?? 0) + amount;
    if (now === 0) taken.delete(key);
    else taken.set(key, now);
    takenOfAll += amount;
  };
  return {
    take(key, amount) {
      if (amount > 0 && (taken.get(key) ?? 0) + amount > all - takenOfAll - amount) return false;
      add(key, amount);
      return true;
    },
    giveBack: (key, amount) => add(key, -amount),
  };
}
