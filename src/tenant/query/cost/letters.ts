/** Which letters a part of a pattern may be, as bits: each of ASCII, and kinds of those beyond. */
export type Letters = bigint;

const allOfAscii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join("");
const bitOf = (code: number): Letters => 1n << BigInt(code);
const [digit, word, space, other] = [bitOf(128), bitOf(129), bitOf(130), bitOf(131)];
const beyond = digit | word | space | other;

/** What is beyond ASCII, should a database take these for more than that. */
const named: Record<string, Letters> = {
  d: digit,
  w: digit | word,
  s: space,
  D: beyond ^ digit,
  W: space | other,
  S: beyond ^ space,
};
const ascii = (text: Iterable<string>): Letters => [...text].reduce((all, each) => all | bitOf(each.charCodeAt(0)), 0n);
/** What letters beyond ASCII are lower or upper case of. */
const foldedLetters = ascii("sSkK");

/** @param part a letter, an escaped one or a class. @param folds whether case may not matter. @returns null when it isn't known here */
export function lettersOf(part: string, folds: boolean): Letters | null {
  // Names of classes, and escapes that mean something else in JavaScript or to one of the databases.
  if (/^[$^]$|\\[^dwsDWSnrt\W]|\[[:.=]|^\[\^?\]/.test(part)) return null;
  try {
    const matched = (flags: string) => ascii(allOfAscii.match(new RegExp(part, flags)) ?? []);
    // Part of a pattern may be out of it.
    const own = matched("gs") | (folds ? matched("gis") : 0n);
    const isBeyond = part === "." || part.startsWith("[^") || /[^\0-\x7f]/.test(part);
    const all = [...part.matchAll(/\\([dwsDWS])/g)].reduce((sum, [, name]) => sum | named[name!]!, own);
    if (!folds) return isBeyond ? all | beyond : all;
    return (isBeyond ? all | beyond | foldedLetters : all) | (own & foldedLetters ? word : 0n);
  } catch {
    return null;
  }
}

/** Whether no letter can be both: then a repetition of the one, where the other follows, ends at one place only. */
export const areApart = (a: Letters | null, b: Letters | null): boolean => a !== null && b !== null && (a & b) === 0n;
export const either = (a: Letters | null, b: Letters | null): Letters | null =>
  a === null || b === null ? null : a | b;
