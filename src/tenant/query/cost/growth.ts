/**
 * How a size or an amount of work grows: a constant, and a multiple of the size of each thing that it depends on. A thing
 * is a document or an element of a loop (its `root`), or what a path leads to from there: `doc`, `doc.items`, `1.lines`.
 */
export type Growth = { constant: number; of: ReadonlyMap<string, number> };

/** Further down, what a path leads to is taken to be as large as what is there: keys stay short. */
const partsMax = 3;

export const constant = (value: number): Growth => ({ constant: value, of: new Map() });
export const sizeOf = (key: string): Growth => ({ constant: 0, of: new Map([[key, 1]]) });
export const keyUnder = (key: string, parts: readonly string[]): string =>
  [...key.split("."), ...parts].slice(0, partsMax).join(".");
export const isConstant = ({ of }: Growth): boolean => of.size === 0;

const rootOf = (key: string): string => (key.includes(".") ? key.slice(0, key.indexOf(".")) : key);

function merge(all: readonly Growth[], join: (a: number, b: number) => number): Growth {
  const of = new Map<string, number>();
  for (const each of all) for (const [key, times] of each.of) of.set(key, join(of.get(key) ?? 0, times));
  return { constant: all.reduce((sum, each) => join(sum, each.constant), 0), of };
}

export const plus = (...all: readonly Growth[]): Growth => merge(all, (a, b) => a + b);
/** At least as large as each of them. */
export const largest = (...all: readonly Growth[]): Growth => merge(all, Math.max);

export function times(growth: Growth, factor: number): Growth {
  if (factor === 0) return constant(0);
  return { constant: growth.constant * factor, of: new Map([...growth.of].map(([key, each]) => [key, each * factor])) };
}

/** Null when that would grow with a product of two sizes. */
export function product(a: Growth, b: Growth): Growth | null {
  if (isConstant(a)) return times(b, a.constant);
  return isConstant(b) ? times(a, b.constant) : null;
}

/**
 * How often a root is in it at most: places that don't hold one another are parts of it, and together no larger than it is.
 */
export function shareOf({ of }: Growth, root: string): number {
  let most = 0;
  for (const key of of.keys()) {
    if (rootOf(key) !== root) continue;
    const parts = key.split(".");
    const sum = parts.reduce((all, _, index) => all + (of.get(parts.slice(0, index + 1).join(".")) ?? 0), 0);
    most = Math.max(most, sum);
  }
  return most;
}

export const roots = ({ of }: Growth): Set<string> => new Set([...of.keys()].map(rootOf));
export const without = (growth: Growth, root: string): Growth => ({
  constant: growth.constant,
  of: new Map([...growth.of].filter(([key]) => rootOf(key) !== root)),
});

/** The same or more, by its roots alone. */
export const compact = (growth: Growth): Growth => ({
  constant: growth.constant,
  of: new Map([...roots(growth)].map((root) => [root, shareOf(growth, root)])),
});
