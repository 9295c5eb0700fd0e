import { invalid } from "../lib/invalid.ts";

/** What every stored document carries in `_croupier`: its version, and the ids of its last writes, newest first. */
export type Stamp = { v: unknown; h: readonly unknown[] };

/** `"<version>-<newest write>"`; `"0"` for a document of the first Croupier that nothing has written since. */
export function etagOf(stamp: Stamp | null | undefined): string {
  const [newest] = stamp?.h ?? [];
  return newest === undefined ? `"${stamp?.v ?? 0}"` : `"${stamp!.v}-${newest}"`;
}

/** A tag as we make them; a tag that we can't have made matches no document and is left out of the lists below. */
export type Tag = { v: number; writeId: string | null };

// Blanks can be matched in one way only, so that a run of them is never tried again in another.
const listed = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|$)/y;
const ours = /^(0|[1-9][0-9]{0,15})(?:-(.+))?$/;

function parseTags(header: string, name: string, weakToo: boolean): "any" | Tag[] {
  if (header.trim() === "*") return "any";
  const tags: Tag[] = [];
  let found = false;
  listed.lastIndex = 0;
  while (listed.lastIndex < header.length) {
    const match = listed.exec(header);
    if (!match) break;
    const [, weak, text] = match;
    if (text === undefined) continue;
    found = true;
    const parts = ours.exec(text);
    if (parts && (weakToo || !weak)) tags.push({ v: Number(parts[1]), writeId: parts[2] ?? null });
  }
  // A failed match sets lastIndex back to 0.
  if (!found || listed.lastIndex < header.length) throw invalid(name, "is not a list of entity tags", "invalid_header");
  return tags;
}

/** `If-Match` (RFC 9110, 13.1.1): compared strongly, so that a weak tag never matches. */
export const parseIfMatch = (header: string): "any" | Tag[] => parseTags(header, "If-Match", false);

/** `If-None-Match` (RFC 9110, 13.1.2): compared weakly. */
export const parseIfNoneMatch = (header: string): "any" | Tag[] => parseTags(header, "If-None-Match", true);

/** Whether a document that has this stamp has one of the tags. */
export function matchesTag(tags: "any" | Tag[], stamp: Stamp | null | undefined): boolean {
  const own = etagOf(stamp);
  return tags === "any" || tags.some(({ v, writeId }) => own === etagOf({ v, h: writeId === null ? [] : [writeId] }));
}
