import { invalid } from "../../lib/invalid.ts";
import { depthMax } from "../../lib/json/json-reader.ts";
import { isReserved } from "../document.ts";

/** Where the `_id` that a tenant knows is in a stored document. */
export type IdPath = "_id" | "_id.i";

/** Characters: whoever pages takes the path apart for each document. */
const pathLengthMax = 1_200;
/** Each doubles the work: in an array a number is tried as an index, and as a name in each of the elements. */
const numbersMax = 4;

export const countNumbers = (path: string): number => path.split(".").filter((part) => /^\d+$/.test(part)).length;

/** Throws when a path has more numbers than a database should be asked for. */
export function checkNumbers(path: string, pointer: string): void {
  if (countNumbers(path) > numbersMax)
    throw invalid(pointer, `has more than ${numbersMax} parts that are numbers`, "invalid_path");
}

/** Throws unless `path` can name a field (`a`, `a.b`, `a.0.b`). */
export function checkPath(path: string, pointer: string): void {
  if (path.length > pathLengthMax) throw invalid(pointer, `has more than ${pathLengthMax} characters`, "too_long");
  const parts = path.split(".");
  const wrong =
    parts.includes("") || path.includes("\0")
      ? "is not a field path"
      : parts.some((part) => part.startsWith("$"))
        ? "has a part that begins with $"
        : parts.length > depthMax
          ? `has more than ${depthMax} parts`
          : null;
  if (wrong) throw invalid(pointer, wrong, "invalid_path");
  checkNumbers(path, pointer);
}

const isBeneathId = (path: string): boolean => path.startsWith("_id.");

/** Throws unless a tenant may name this path of its stored documents: none of Croupier's own, and nothing beneath `_id`. */
export function checkOwnPath(path: string, pointer: string, beneathId: "refused" | "allowed" = "refused"): void {
  checkPath(path, pointer);
  if (isReserved(path.split(".")[0]!)) throw invalid(pointer, "is reserved for Croupier", "reserved_name");
  if (beneathId === "refused" && isBeneathId(path))
    throw invalid(pointer, "is inside _id, which is a scalar", "invalid_path");
}

/** The path in a stored document. */
export const placePath = (path: string, idPath: IdPath): string =>
  path === "_id" || isBeneathId(path) ? `${idPath}${path.slice("_id".length)}` : path;
