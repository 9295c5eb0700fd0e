import { either, type Letters, lettersOf } from "./letters.ts";

/** What a part may begin with (null: not known), and whether it may be nothing. */
export type Begins = { first: Letters | null; isEmpty: boolean };
export type Part = Begins &
  (
    | { kind: "letter" | "anchor"; text: string }
    /** `looks`: goes on where it began, whatever it has found. `keeps`: what it has matched isn't tried otherwise. */
    | { kind: "group"; does: "matches" | "looks" | "keeps"; alternatives: Part[][] }
    | { kind: "repeat"; of: Part; least: number; most: number; text: string }
  );
export type Parsed = { alternatives: Part[][]; bars: number };

// An escaped letter, a class, the head of a group, its end, an alternative, a quantifier, or a letter.
const token =
  /\\(?:[pPxoNu]\{[^}]*\}|x[\da-fA-F]{0,2}|0[0-7]{0,2}|[pP]?.)|\[\^?\]?(?:\\.|\[:\^?\w*:\]|[^\]\\])*\]?|\((?:\?(?:<?[=!]|[:>|]|P?<\w+>|'\w+'|[imsn-]+:?)?)?|\)|\||(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?|./gsu;
const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?$/;
/** Classes that are looked at: each is compiled. */
const classesMax = 12;

export const tokensOf = (pattern: string): string[] => pattern.match(token) ?? [];

function timesOf(text: string): [least: number, most: number] {
  const [, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(text) ?? [];
  if (least === undefined) return [text.startsWith("+") ? 1 : 0, text.startsWith("?") ? 1 : Infinity];
  return [Number(least), comma === "" ? Number(least) : most === "" ? Infinity : Number(most)];
}

/** What comes next after each part and, last, what a whole sequence may begin with, when `after` follows it. */
export function beginsOf(parts: readonly Part[], after: Begins): { follows: Begins[]; whole: Begins } {
  const follows: Begins[] = [];
  let whole = after;
  for (const part of parts.toReversed()) {
    follows.push(whole);
    whole = part.isEmpty ? { first: either(part.first, whole.first), isEmpty: whole.isEmpty } : part;
  }
  return { follows: follows.toReversed(), whole };
}
export const nothing: Begins = { first: 0n, isEmpty: true };

function groupOf(head: string, alternatives: Part[][]): Part {
  if (/^\(\?<?[=!]/.test(head)) return { kind: "group", does: "looks", alternatives, first: null, isEmpty: false };
  const begins = alternatives.map((parts) => beginsOf(parts, nothing).whole);
  const first = begins.reduce<Letters | null>((all, each) => either(all, each.first), 0n);
  const does = head === "(?>" ? "keeps" : "matches";
  return { kind: "group", does, alternatives, first, isEmpty: begins.some(({ isEmpty }) => isEmpty) };
}

/** A pattern as a tree. What is in a group for its own sake is as if it were in none. Null for a repetition of a repetition. */
export function parsePattern(tokens: readonly string[], folds: boolean, isMultiline: boolean): Parsed | null {
  const known = new Map<string, Letters | null>();
  let classes = 0;
  let at = 0;
  let bars = 0;
  const lettersAt = (text: string): Letters | null =>
    known.getOrInsertComputed(text, () => (text.length > 2 && ++classes > classesMax ? null : lettersOf(text, folds)));

  function repeated(of: Part): Part | null {
    const text = tokens[at];
    if (text === undefined || !quantifier.test(text)) return of;
    if (of.kind === "repeat" || quantifier.test(tokens[++at] ?? "")) return null;
    const [least, most] = timesOf(text);
    return { kind: "repeat", of, least, most, text, first: of.first, isEmpty: least === 0 || of.isEmpty };
  }

  function alternatives(depth: number): Part[][] | null {
    const all: Part[][] = [[]];
    while (at < tokens.length) {
      const text = tokens[at++]!;
      const parts = all.at(-1)!;
      // One that closes nothing is an error to the databases.
      if (text === ")" && depth > 0) break;
      if (text === "|") {
        bars++;
        all.push([]);
      } else if (text.startsWith("(")) {
        const inner = alternatives(depth + 1);
        if (!inner) return null;
        const group = groupOf(text, inner);
        const isPlain = group.kind === "group" && group.does === "matches" && inner.length === 1;
        if (isPlain && !quantifier.test(tokens[at] ?? "")) parts.push(...inner[0]!);
        else {
          const part = repeated(group);
          if (!part) return null;
          parts.push(part);
        }
      } else {
        // Before the end of the text, or of each line.
        const first = text === "$" ? (isMultiline ? lettersAt("\\n") : 0n) : lettersAt(text);
        const part = repeated({
          kind: text === "^" || text === "$" ? "anchor" : "letter",
          text,
          first,
          isEmpty: false,
        });
        if (!part) return null;
        parts.push(part);
      }
    }
    return all;
  }

  const all = alternatives(0);
  return all && { alternatives: all, bars };
}
