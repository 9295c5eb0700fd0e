/** Which letters a part of a pattern may be: those of ASCII, and whether others. */
type Letters = { ascii: ReadonlySet<string>; beyond: boolean };

const allOfAscii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join("");

/** @param part a letter, an escaped one or a class. @returns null when it isn't known here; in either case of letters */
function lettersOf(part: string): Letters | null {
  // Names of classes, and escapes that mean something else in JavaScript or to one of the databases.
  if (/\\[^dwsDWSnrt\W]|\[[:.=]|^\[\^?\]/.test(part)) return null;
  try {
    const beyond = part === "." || part.startsWith("[^") || /\\[dwsDWS]|[^\0-\x7f]/.test(part);
    return { ascii: new Set(allOfAscii.match(new RegExp(part, "gis"))), beyond };
  } catch {
    return null;
  }
}

/** Whether no letter can be both: then a repetition of the one, where the other follows, ends at one place only. */
export function areApart(part: string, next: string): boolean {
  const [a, b] = [lettersOf(part), lettersOf(next)];
  return a !== null && b !== null && !(a.beyond && b.beyond) && a.ascii.isDisjointFrom(b.ascii);
}
