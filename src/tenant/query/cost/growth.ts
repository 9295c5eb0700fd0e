/**
 * How a size or an amount of work grows: a constant, and a multiple of the size of each thing that it depends on. A thing
 * is a document or an element of a loop (its `root`), or what a path leads to from there: `doc`, `doc.items`, `1.lines`.
 */
export type Growth = { constant: number; of: ReadonlyMap<string, number> };

/** Further down, what a path leads to is taken to be as large as what is there: keys stay short. */
const partsMax = 3;
/** Of more places only the roots are kept: otherwise each level of an expression would go through those of all beneath it. */
const placesMax = 32;

export const constant = (value: number): Growth => ({ constant: value, of: new Map() });
export const sizeOf = (key: string): Growth => ({ constant: 0, of: new Map([[key, 1]]) });
export const keyUnder = (key: string, parts: readonly string[]): string =>
  [...key.split("."), ...parts].slice(0, partsMax).join(".");
export const isConstant = ({ of }: Growth): boolean => of.size === 0;

const rootOf = (key: string): string => (key.includes(".") ? key.slice(0, key.indexOf(".")) : key);

function merge(all: readonly Growth[], join: (a: number, b: number) => number): Growth {
  const of = new Map<string, number>();
  for (const each of all) for (const [key, times] of each.of) of.set(key, join(of.get(key) ?? 0, times));
  const merged = { constant: all.reduce((sum, each) => join(sum, each.constant), 0), of };
  return of.size > placesMax ? compact(merged) : merged;
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
 * How often each root is in it at most: places that don't hold one another are parts of it, and together no larger than it is.
 */
function shares({ of }: Growth): Map<string, number> {
  const all = new Map<string, number>();
  for (const key of of.keys()) {
    let sum = of.get(key)!;
    for (let dot = key.lastIndexOf("."); dot > 0; dot = key.lastIndexOf(".", dot - 1)) {
      sum += of.get(key.slice(0, dot)) ?? 0;
    }
    const root = rootOf(key);
    all.set(root, Math.max(all.get(root) ?? 0, sum));
  }
  return all;
}

export const shareOf = (growth: Growth, root: string): number => shares(growth).get(root) ?? 0;
export const largestShare = (growth: Growth): number => Math.max(0, ...shares(growth).values());

export const roots = ({ of }: Growth): Set<string> => new Set([...of.keys()].map(rootOf));
export const without = (growth: Growth, root: string): Growth => ({
  constant: growth.constant,
  of: new Map([...growth.of].filter(([key]) => rootOf(key) !== root)),
});

/** The same or more, by its roots alone. */
export const compact = (growth: Growth): Growth => ({ constant: growth.constant, of: shares(growth) });
