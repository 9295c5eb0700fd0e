import type { Document } from "mongodb";
import { fieldsOf, isDocument, toNumber } from "../../lib/bson/bson.ts";
import { assertAtMost, invalid, under } from "../../lib/invalid.ts";
import { reservedNames } from "../document.ts";
import { checkOwnPath } from "./path.ts";
import type { Sort } from "./sort.ts";

/** Which fields are wanted, or which not; `id`: whether `_id` is. */
export type Projection = { mode: "include" | "exclude"; paths: string[]; id: boolean };

/** What goes to the driver, and what is left to take off a document after it was read (and `fromStored` was applied). */
export type PlacedProjection = { fields: Document; trim: (document: Document) => Document };

/** Names in a projection. */
export const projectedMax = 200;

/** True of `a` and `a.b`: the first path holds the second, or is it. */
const holds = (path: string, other: string): boolean => path === other || other.startsWith(`${path}.`);

/** The first of some paths, in `whole`, that holds this one and isn't it: of `a.b.c`, `a` before `a.b`. */
function holderOf(path: string, whole: ReadonlySet<string>): string | undefined {
  for (let dot = path.indexOf("."); dot > 0; dot = path.indexOf(".", dot + 1)) {
    if (whole.has(path.slice(0, dot))) return path.slice(0, dot);
  }
  return undefined;
}

const readFlag = (value: unknown, pointer: string): boolean => {
  const number = typeof value === "boolean" ? Number(value) : toNumber(value);
  if (number !== 0 && number !== 1) throw invalid(pointer, "must be 1, 0, true or false", "invalid_projection");
  return number === 1;
};

function checkCollisions(paths: string[], pointer: string): void {
  const whole = new Set(paths);
  for (const path of paths) {
    const holder = holderOf(path, whole);
    if (holder === undefined) continue;
    throw invalid(under(pointer, path), `is part of ${holder}, which is listed, too`, "path_collision");
  }
}

/** A tenant's projection: paths to include or to exclude, never both, and `_id: 0`; else throws `invalid_request`. */
export function readProjection(value: unknown, pointer = "#/projection"): Projection {
  if (value === undefined) return { mode: "exclude", paths: [], id: true };
  if (!isDocument(value)) throw invalid(pointer, "must be an object", "invalid_type");
  assertAtMost(Object.keys(value).length, projectedMax, "fields", pointer);
  const flags = Object.entries(value).map(([path, flag]): [string, boolean] => {
    checkOwnPath(path, under(pointer, path));
    return [path, readFlag(flag, under(pointer, path))];
  });
  const fields = flags.filter(([path]) => path !== "_id");
  const id = flags.find(([path]) => path === "_id")?.[1];
  const mode = (fields[0]?.[1] ?? id) ? "include" : "exclude";
  const other = fields.find(([, wanted]) => wanted !== (mode === "include"));
  if (other) throw invalid(under(pointer, other[0]), "is excluded while others are included", "invalid_projection");
  const paths = fields.map(([path]) => path);
  checkCollisions(paths, pointer);
  return { mode, paths, id: id ?? true };
}

type Tree = Map<string, Tree | null>;

/** Null is the end of a path. */
function treeOf(paths: string[]): Tree {
  const root: Tree = new Map();
  for (const path of paths) {
    const parts = path.split(".");
    let tree = root;
    for (const part of parts.slice(0, -1)) {
      const next = tree.get(part) ?? new Map();
      tree.set(part, next);
      tree = next;
    }
    tree.set(parts.at(-1)!, null);
  }
  return root;
}

const isNested = (value: unknown): boolean => Array.isArray(value) || fieldsOf(value) !== null;

/** As the server does it: paths go through arrays, and including a path drops what is no object on the way. */
function project(value: unknown, tree: Tree, including: boolean): unknown {
  if (Array.isArray(value)) {
    const elements = including ? value.filter(isNested) : value;
    return elements.map((element) => project(element, tree, including));
  }
  const fields = fieldsOf(value);
  if (!fields) return value;
  const entries = fields.flatMap(([name, part]): [string, unknown][] => {
    const beneath = tree.get(name);
    if (beneath === undefined) return including ? [] : [[name, part]];
    if (beneath === null) return including ? [[name, part]] : [];
    return including && !isNested(part) ? [] : [[name, project(part, beneath, including)]];
  });
  return value instanceof Map ? new Map(entries) : Object.fromEntries(entries);
}

const reserved = Object.fromEntries(reservedNames.map((name) => [name, 0]));
const flagged = (paths: string[], flag: 0 | 1): Document => Object.fromEntries(paths.map((path) => [path, flag]));

/** Takes off what a projection leaves out. */
export function trimmer({ mode, paths, id }: Projection): PlacedProjection["trim"] {
  const tree = treeOf(
    mode === "include" && id ? [...paths, "_id"] : mode === "exclude" && !id ? [...paths, "_id"] : paths,
  );
  return (document) => project(document, tree, mode === "include") as Document;
}

/**
 * For the driver: never brings a reserved field back. With a sort it brings its fields back as well, for the cursor to
 * be made of, and `trim` takes them off again.
 */
export function placeProjection(projection: Projection, sort: Sort = []): PlacedProjection {
  const { mode, paths, id } = projection;
  const needed = sort.map(({ path }) => path);
  const fetchId = id || needed.includes("_id");
  const others = needed.filter((path) => path !== "_id");
  const wanted =
    mode === "include"
      ? outermost([...paths, ...others])
      : paths.filter((path) => !others.some((other) => holds(path, other) || holds(other, path)));
  const given = new Set(paths);
  const same = fetchId === id && wanted.length === paths.length && wanted.every((path) => given.has(path));
  const fields =
    mode === "include"
      ? { ...flagged(wanted, 1), _id: fetchId ? 1 : 0 }
      : { ...flagged(wanted, 0), ...(!fetchId && { _id: 0 }), ...reserved };
  return { fields, trim: same ? (document) => document : trimmer(projection) };
}

/** Each path once, and none that another one holds. */
const outermost = (paths: string[]): string[] => {
  const each = new Set(paths);
  return [...each].filter((path) => holderOf(path, each) === undefined);
};
