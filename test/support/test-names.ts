/** Where the text in brackets that begins at `from` ends; texts in it may have brackets. */
function endOfBrackets(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at++) {
    const character = source[at]!;
    if (/["'`]/.test(character)) {
      for (at++; at < source.length && source[at] !== character; at++) if (source[at] === "\\") at++;
    } else if (/[([{]/.test(character)) depth++;
    else if (/[)\]}]/.test(character) && --depth === 0) return at + 1;
  }
  return source.length;
}

/** The first argument of a call if it is a text; of `test.each(…)("name")` that of the last call. */
function nameAt(source: string, from: number): string | null {
  const [, text, template] =
    /^\(\s*(?:"((?:\\.|[^"\\])*)"|`((?:\\.|[^`\\])*)`)/.exec(source.slice(from, from + 1_000)) ?? [];
  const name = text ?? template;
  if (name !== undefined) return name.replaceAll(/\\(.)/g, "$1");
  const end = endOfBrackets(source, from);
  return source[end] === "(" ? nameAt(source, end) : null;
}

/** The full names of the tests and groups of a file, `group > test`, as its text has them: with `%s` and `${…}` in them. */
export function testNamesOf(source: string): string[] {
  const groups: { indent: number; name: string }[] = [];
  const names: string[] = [];
  // What `refuses` of test/support/wrong-input.ts makes of its title.
  const calls = source.replaceAll(
    /^refuses\(\s*service,\s*"([^"]+)"/gm,
    'describe("$1 refuses with a problem document, storing nothing:"',
  );
  for (const call of calls.matchAll(/^( *)(describe|test)(?:\.\w+)?(?:<[^()]*>)?(?=\()/gm)) {
    const indent = call[1]!.length;
    const name = nameAt(calls, call.index + call[0].length);
    while (groups.length > 0 && groups.at(-1)!.indent >= indent) groups.pop();
    if (name === null) continue;
    names.push([...groups.map((group) => group.name), name].join(" > "));
    if (call[2] === "describe") groups.push({ indent, name });
  }
  return names;
}
