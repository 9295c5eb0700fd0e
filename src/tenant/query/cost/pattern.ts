// A pattern is tried at each place of a text where it may begin, and to the end from there. Databases count some of these
// steps, but not of what repeats one letter, and anew at each place. What is permitted here is linear in the text:
// - What may be done in several ways (`options`) doubles the steps, and is bounded.
// - A repetition without an end (`run`) is `shut` when what follows can't be one of its letters: then it ends at one place,
//   and nothing is gained by a shorter one. One after the other, these go through a text once.
// - Where the pattern begins anywhere, or behind a run that isn't shut (`isFree`), there are as many beginnings as letters. A
//   run there must be shut and come after a letter that it can't be: so it begins at one place only, has one beginning, and
//   all such runs together are no longer than the text.
// - At the end of a pattern nothing is tried in vain.
import { BSONRegExp } from "mongodb";
import { tooCostly } from "./cost.ts";
import { areApart, either, type Letters } from "./letters.ts";
import { type Begins, beginsOf, nothing, type Part, parsePattern, tokensOf } from "./pattern-parts.ts";

/** Each doubles the steps at worst. */
const optionsMax = 7;
/** What is repeated more often is taken to be repeated without an end, and what is up to so often to be written out. */
const [boundedMax, smallMax] = [64, 10];
/** Repetitions without an end. */
const runsMax = 8;
/** At each place of a text so many letters are compared (of what is repeated, each time), and so many alternatives are tried. */
const [lengthMax, alternativesMax] = [1_000, 30];
/** As how many conditions a pattern counts at least: its letters may be compared at each place of a text. */
export const weightOfLength = ({ length }: ArrayLike<string>): number => Math.max(1, length / 100);

/** What goes back to another part of the pattern or the text, and instructions to the machine. */
const leadsBack = /\\[1-9gk]|\(\?(?:P[=>]|R|&|[-+]?\d|\()|\(\*/;
/** What makes letters of what looks like a pattern, or nothing of it, or takes any number of letters for one. */
const hides = /\\[QEcXC]|\(\?(?:#|[imsn-]*x)/;
/** What only some databases take for a repetition. */
const mayRepeat = /\{(?=[\d\s,]*\})(?=[\s,]*\d)(?!\d+(?:,\d*)?\})/;
/** The head of a group that isn't known here: the beginning of one that is. */
const isUnknownHead = (each: string, at: number, tokens: readonly string[]): boolean =>
  each === "(?" || (/^\(\?[imsn-]+$/.test(each) && tokens[at + 1] !== ")");

type Sums = { runs: number; open: number; options: number; letters: number };
const none = (): Sums => ({ runs: 0, open: 0, options: 0, letters: 0 });
const add = (sums: Sums, more: Partial<Sums>, times = 1): void => {
  for (const [name, count] of Object.entries(more)) sums[name as keyof Sums] += count * times;
};
const ambiguous = "repeats something that can match in several ways";
const tooMuch = "has too many unbounded repetitions";
const anywhere = "has an unbounded repetition and may begin anywhere";

/** Whether it begins at one place of a text only, or of each line. */
const isAnchored = ([first]: readonly Part[], isMultiline: boolean): boolean =>
  first?.kind === "repeat"
    ? first.of.kind === "letter" && first.of.text === "." && first.text.startsWith("*")
    : first?.kind === "anchor" && first.text === "^" && !isMultiline;

/** Whether just before a part there is a letter that it can't be. */
function isParted(before: Part | undefined, part: Part): boolean {
  const letter = before?.kind === "repeat" && before.least > 0 ? before.of : before;
  return letter?.kind === "letter" && areApart(letter.first, part.first);
}

function measurePattern(all: readonly Part[][], anchored: boolean): { sums: Sums; refused: string | null } {
  let isFree = !anchored;
  let refused: string | null = null;

  function measureGroup(part: Part & { kind: "group" }, next: Begins, isLast: boolean): Sums {
    const sums = none();
    const [before, matches] = [isFree, part.does === "matches"];
    const after: Begins = matches ? next : { first: null, isEmpty: false };
    let [isFreeAfter, begun, areAllApart]: [boolean, Letters | null, boolean] = [false, 0n, true];
    for (const parts of part.alternatives) {
      isFree = before;
      add(sums, measureSequence(parts, after, isLast && matches));
      isFreeAfter ||= isFree;
      const { first } = beginsOf(parts, after).whole;
      areAllApart &&= areApart(begun, first);
      begun = either(begun, first);
    }
    isFree = part.does === "looks" ? before : isFreeAfter;
    if (part.alternatives.length > 1 && !areAllApart) sums.options += Math.log2(part.alternatives.length);
    return sums;
  }

  function measureRepeat(
    part: Part & { kind: "repeat" },
    before: Part | undefined,
    next: Begins,
    isLast: boolean,
  ): Sums {
    const { of, least, most } = part;
    const isShut = areApart(of.first, next.first) && !of.isEmpty;
    const sums = none();
    const after = most > 1 ? { ...next, first: either(of.first, next.first) } : next;
    const inner = of.kind === "group" ? measureGroup(of, after, isLast && most <= 1) : { ...none(), letters: 1 };
    const isDone = isLast && least <= boundedMax;
    if (inner.open > 0 && most > 1) refused ??= ambiguous;
    if (most > smallMax && of.kind === "group") {
      const varies = inner.options > 0 || of.isEmpty || (inner.runs > 0 && !isShut && !isDone && least !== most);
      if (varies) refused ??= ambiguous;
    }
    const written = most <= boundedMax ? most : isDone ? least : 1;
    add(sums, inner, written);
    if (most > boundedMax && !isDone) {
      if (isFree && !(isShut && of.kind !== "group" && isParted(before, of))) refused ??= anchored ? tooMuch : anywhere;
      isFree ||= !isShut;
      add(sums, { runs: 1, open: Number(!isShut) });
    }
    const ways = isShut || most > boundedMax ? 1 : most - least + 1;
    sums.options += Math.log2(Math.max(1, ways, written / smallMax));
    return sums;
  }

  function measureSequence(parts: readonly Part[], after: Begins, isEnd: boolean): Sums {
    const sums = none();
    const { follows } = beginsOf(parts, after);
    const solid = parts.findLastIndex(({ isEmpty }) => !isEmpty);
    for (const [at, part] of parts.entries()) {
      const isLast = isEnd && at >= solid;
      if (part.kind === "repeat") add(sums, measureRepeat(part, parts[at - 1], follows[at]!, isLast));
      else if (part.kind === "group") add(sums, measureGroup(part, follows[at]!, isLast));
      else sums.letters++;
    }
    return sums;
  }

  const sums = none();
  for (const parts of all) {
    isFree = !anchored;
    add(sums, measureSequence(parts, nothing, true));
  }
  return { sums, refused };
}

/** As how many conditions a pattern counts, or why it may take more than some hundred steps for each letter of a text. */
function weigh(pattern: string, options: string): number | string {
  if (leadsBack.test(pattern)) return "refers to another part of itself";
  if (hides.test(pattern) || (options.includes("x") && /[\s#]/.test(pattern))) return "uses quoting (\\Q) or comments";
  if (pattern.length > lengthMax) return "is too long";
  const tokens = tokensOf(pattern);
  if (mayRepeat.test(pattern) || tokens.some(isUnknownHead)) return "has parts that databases may read differently";
  const heads = tokens.filter((each) => /^\(\?[imsn-]+:?$/.test(each)).join("");
  const has = (option: string) => options.includes(option) || heads.includes(option);
  const parsed = parsePattern(tokens, has("i"), has("m"));
  if (!parsed) return ambiguous;
  if (parsed.bars >= alternativesMax) return "has too many alternatives";
  const anchored = parsed.alternatives.every((parts) => isAnchored(parts, has("m")));
  const { sums, refused } = measurePattern(parsed.alternatives, anchored);
  if (refused !== null) return refused;
  if (sums.runs > runsMax) return tooMuch;
  if (sums.letters > lengthMax) return "is too long";
  return sums.options > optionsMax
    ? "has too many optional parts"
    : 2 ** sums.options * weightOfLength({ length: sums.letters });
}

const inParts = '{"$and": [{"f": {"$regex": "foo"}}, {"f": {"$regex": "bar"}}]}';

/** Why it is refused; null when it isn't. */
export function costOfPattern(pattern: string, options = ""): string | null {
  const weight = weigh(pattern, options);
  return typeof weight === "string" ? weight : null;
}

/**
 * @param options beside those that it has itself
 * @returns as how many conditions it counts
 * @throws Failure `expression_too_costly`
 */
export function checkPattern(pattern: string | BSONRegExp, pointer: string, options: unknown = ""): number {
  const [text, own] = typeof pattern === "string" ? [pattern, ""] : [pattern.pattern, pattern.options];
  const weight = weigh(text, own + String(options));
  if (typeof weight === "number") return weight;
  throw tooCostly(
    pointer,
    weight,
    `begin it with ^; repeat a letter or class without a limit only if the next part can't match it, otherwise at most ${boundedMax} times; instead of foo.*bar ask ${inParts}`,
  );
}
