import { BSONRegExp } from "mongodb";
import { tooCostly } from "./cost.ts";
import { areApart } from "./letters.ts";

/** Each doubles the steps at worst. */
const optionsMax = 7;
/** What is repeated more often is taken to be repeated without an end, and what is up to so often to be written out. */
const [boundedMax, smallMax] = [64, 10];
/** Repetitions that end at one place only, one after the other. */
const shutMax = 8;
/** At each place of a text so many letters are compared, and so many alternatives are tried. */
const [lengthMax, alternativesMax] = [1_000, 30];

/** `open`: repetitions that may end at many places, `shut`: at one only; both of any length. */
type Group = { open: number; shut: number; options: number; alternates: boolean };
const group = (): Group => ({ open: 0, shut: 0, options: 0, alternates: false });

// An escaped letter, a class, the head of a group, its end, an alternative, a quantifier, or a letter.
const token =
  /\\.|\[\^?\]?(?:\\.|\[:\^?\w*:\]|[^\]\\])*\]?|\((?:\?(?:<?[=!]|[:>|]|P?<\w+>|'\w+'|[imsn-]*:?))?|\)|\||(?:[*+?]|\{\d*,?\d*\})[?+]?|./gsu;
const quantifier = /^(?:[*+?]|\{\d*,?\d*\})/;
const isQuantifier = (part: string | undefined) => part !== undefined && quantifier.test(part);

function timesOf(part: string): [least: number, most: number] {
  const [, least = "", comma, most = ""] = /^\{(\d*)(,?)(\d*)\}/.exec(part) ?? [];
  if (comma === undefined) return [part.startsWith("+") ? 1 : 0, part.startsWith("?") ? 1 : Infinity];
  return [Number(least), comma !== "" && most === "" ? Infinity : Number(most || least)];
}

/** What goes back to another part of the pattern or the text, and instructions to the machine. */
const leadsBack = /\\[1-9gk]|\(\?(?:P[=>]|R|&|[-+]?\d|\()|\(\*/;
/** What makes letters of what looks like a pattern, or nothing of it. */
const hides = /\\[QEc]|\(\?(?:#|[imsn-]*x)/;

/** Whether it begins at one place of a text only, or of each line: in each of its alternatives. */
function isAnchored(tokens: readonly string[], isMultiline: boolean): boolean {
  let depth = 0;
  const begins = (at: number) =>
    (tokens[at] === "^" && !isMultiline && !isQuantifier(tokens[at + 1])) ||
    (tokens[at] === "." && tokens[at + 1]?.startsWith("*") === true);
  return tokens.every((each, at) => {
    const isFirst = at === 0 || (depth === 0 && tokens[at - 1] === "|");
    if (each.startsWith("(")) depth++;
    else if (each === ")") depth--;
    return !isFirst || begins(at);
  });
}

/** Whether a repetition can only end at one place: what comes next is there, and none of what is repeated. */
function isShut(tokens: readonly string[], at: number): boolean {
  const [part, next] = [tokens[at - 1]!, tokens[at + 1]];
  if (next === "$") return true;
  if (next === undefined || /^[()|^]/.test(next) || part === ")") return false;
  return (!isQuantifier(tokens[at + 2]) || timesOf(tokens[at + 2]!)[0] > 0) && areApart(part, next);
}

/**
 * Why a pattern may take more than some hundred steps for each letter of a text; null when it doesn't. Databases try it at each
 * place where it may begin, and to the end from there. They count some of these steps, but not of what repeats one letter, and anew
 * at each place.
 */
export function costOfPattern(pattern: string, options = ""): string | null {
  if (leadsBack.test(pattern)) return "refers to another part of itself";
  if (hides.test(pattern) || (options.includes("x") && /[\s#]/.test(pattern))) return "uses quoting (\\Q) or comments";
  if (pattern.length > lengthMax) return "is too long";
  const isMultiline = options.includes("m") || /\(\?[imsn]*m/.test(pattern);
  const tokens = pattern.replace(/^\(\?[imsn]*\)/, "").match(token) ?? [];
  const groups = [group()];
  let looked = 0;
  let last: Group | null = null;
  for (const [at, each] of tokens.entries()) {
    const current = groups.at(-1)!;
    if (each.startsWith("(")) groups.push(group());
    else if (each === "|") current.alternates = true;
    if (each.startsWith("(") || each === "|") last = null;
    else if (each === ")") {
      last = (groups.length > 1 ? groups.pop() : undefined) ?? group();
      const outer = groups.at(-1)!;
      for (const count of ["open", "shut", "options"] as const) outer[count] += last[count];
    } else if (isQuantifier(each)) {
      const [least, most] = timesOf(each);
      const varies = last !== null && (last.open > 0 || last.shut > 0 || last.options > 0 || last.alternates);
      if (most > smallMax && varies) return "repeats something that can match in several ways";
      // At the end nothing is tried in vain.
      const isLast = groups.length === 1 && (at === tokens.length - 1 || tokens[at + 1] === "|");
      if (most > boundedMax && !isLast) {
        if (looked++ < shutMax && isShut(tokens, at)) current.shut++;
        else current.open++;
      } else if (most <= boundedMax) {
        for (const count of ["open", "shut"] as const) current[count] += (last?.[count] ?? 0) * Math.max(0, most - 1);
        const inside = last ? (last.options + Number(last.alternates)) * Math.max(0, most - 1) : 0;
        current.options += inside + Math.log2(Math.max(1, most - least + 1, most / smallMax));
      }
      last = null;
    } else last = null;
  }
  // Also of groups that nothing ends: the database says what is wrong with those.
  const sum = (count: "open" | "shut" | "options") => groups.reduce((all, one) => all + one[count], 0);
  const [open, shut] = [sum("open"), sum("shut")];
  if (!isAnchored(tokens, isMultiline) && open + shut > 0) return "has an unbounded repetition and may begin anywhere";
  if (open > 1 || (open === 1 && shut > 0) || shut > shutMax) return "has too many unbounded repetitions";
  if (tokens.filter((each) => each === "|").length >= alternativesMax) return "has too many alternatives";
  return sum("options") > optionsMax ? "has too many optional parts" : null;
}

/** @param options beside those that it has itself. @throws Failure `expression_too_costly` */
export function checkPattern(pattern: string | BSONRegExp, pointer: string, options: unknown = ""): void {
  const [text, own] = typeof pattern === "string" ? [pattern, ""] : [pattern.pattern, pattern.options];
  const cost = costOfPattern(text, own + String(options));
  if (cost === null) return;
  throw tooCostly(
    pointer,
    cost,
    `begin it with ^; repeat a letter or class without a limit only if the next part can't match it, otherwise at most ${boundedMax} times`,
  );
}
