import type { Slice } from "../slices.ts";
import { printExtendedJson } from "./extended-json.ts";

/** Elements that are printed without a look at the time. */
const piece = 100;

/** As `printExtendedJson`, for an object whose members may be arrays of many small elements: these are printed in slices. */
export async function printInSlices(value: Record<string, unknown>, slice: Slice): Promise<string> {
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    const printed = Array.isArray(member) ? await printArray(member, slice) : printExtendedJson(member);
    members.push(`${JSON.stringify(name)}:${printed}`);
  }
  return `{${members.join()}}`;
}

async function printArray(elements: readonly unknown[], slice: Slice): Promise<string> {
  const pieces: string[] = [];
  for (let start = 0; start < elements.length; start += piece) {
    pieces.push(printExtendedJson(elements.slice(start, start + piece)).slice(1, -1));
    const pause = slice();
    if (pause) await pause;
  }
  return `[${pieces.join()}]`;
}
