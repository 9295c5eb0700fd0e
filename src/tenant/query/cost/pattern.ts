import { BSONRegExp } from "mongodb";
import { tooCostly } from "./cost.ts";

/** A text of L letters takes as many steps as L to the power of these: each may try every length at every place. */
const repeatsMax = 3;
/** Each doubles the steps at worst. */
const optionsMax = 8;
/** What is repeated up to so often is taken to be written out. */
const smallMax = 10;

type Group = { repeats: number; options: number; alternates: boolean };
const group = (): Group => ({ repeats: 0, options: 0, alternates: false });

// An escaped letter, a class, the head of a group, its end, an alternative, a quantifier, or a letter.
const token =
  /\\.|\[\^?\]?(?:\\.|[^\]\\])*\]?|\((?:\?(?:<?[=!]|[:>|]|P?<\w+>|'\w+'|[imsxn-]*:?))?|\)|\||(?:[*+?]|\{\d*,?\d*\})[?+]?|./gsu;

function maxOf(quantifier: string): number {
  const [, least = "", comma, most = ""] = /^\{(\d*)(,?)(\d*)\}/.exec(quantifier) ?? [];
  if (quantifier.startsWith("?")) return 1;
  return comma === undefined || (comma !== "" && most === "") ? Infinity : Number(most || least);
}

/** What goes back to another part of the pattern or the text, and instructions to the machine. */
const leadsBack = /\\[1-9gk]|\(\?(?:P[=>]|R|&|[-+]?\d|\()|\(\*/;

/** Why a pattern may take more than a few passes over a text; null when it doesn't. */
export function costOfPattern(pattern: string): string | null {
  if (leadsBack.test(pattern)) return "refers to another part of itself";
  // At the ends nothing is tried in vain.
  const tokens =
    pattern
      .replace(/^\^?\.\*\??/, "")
      .replace(/\.\*\$?$/, "")
      .match(token) ?? [];
  const groups = [group()];
  let last: Group | null = null;
  for (const each of tokens) {
    const current = groups.at(-1)!;
    if (each.startsWith("(")) groups.push(group());
    else if (each === "|") current.alternates = true;
    if (each.startsWith("(") || each === "|") last = null;
    else if (each === ")") {
      last = (groups.length > 1 ? groups.pop() : undefined) ?? group();
      groups.at(-1)!.repeats += last.repeats;
      groups.at(-1)!.options += last.options;
    } else if (/^(?:[*+?]|\{\d*,?\d*\})/.test(each)) {
      const most = maxOf(each);
      const varies = last !== null && (last.repeats > 0 || last.options > 0 || last.alternates);
      if (most > smallMax && varies) return "repeats what may match in several ways";
      if (most > smallMax) current.repeats++;
      else if (last === null) current.options += Number(each.startsWith("?") || each.includes(","));
      else {
        current.repeats += last.repeats * Math.max(0, most - 1);
        current.options += (last.options + Number(last.alternates)) * Math.max(0, most - 1) + 1;
      }
      last = null;
    } else last = null;
  }
  // Also of groups that nothing ends: the database says what is wrong with those.
  const repeats = groups.reduce((sum, each) => sum + each.repeats, 0);
  const options = groups.reduce((sum, each) => sum + each.options, 0);
  if (repeats + Number(!/^\^/.test(tokens[0] ?? "")) > repeatsMax) return "repeats too much without an end";
  return options > optionsMax ? "leaves too much open" : null;
}

/** @throws Failure `expression_too_costly` */
export function checkPattern(pattern: string | BSONRegExp, pointer: string): void {
  const cost = costOfPattern(typeof pattern === "string" ? pattern : pattern.pattern);
  if (cost === null) return;
  throw tooCostly(pointer, cost, "begin the pattern with ^, repeat only letters and classes, and few of them");
}
