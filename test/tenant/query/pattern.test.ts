import { describe, expect, test } from "bun:test";
import { BSONRegExp } from "mongodb";
import { isFailure } from "../../../src/lib/failure.ts";
import { readFilter } from "../../../src/tenant/query/filter.ts";
import { costOfPattern } from "../../../src/tenant/query/cost/pattern.ts";
import { readPipeline } from "../../../src/tenant/query/pipeline.ts";

describe("a pattern", () => {
  test.each([
    "",
    "abc",
    "^abc",
    ".*foo.*",
    "^foo.*bar",
    "foo.{0,40}bar",
    "\\d{1,20}\\.\\d+",
    "^\\d+\\.\\d+$",
    "^[^@]+@[^@]+$",
    "^(?:[a-z]+,){2}[a-z]+$",
    "^a+|^b+c",
    "[[:alpha:]]+",
    "^[[:alpha:]]+",
    "^[a-z]+@[a-z]+\\.[a-z]+$",
    "(foo|bar)",
    "(foo|bar)?x",
    "^(?:ab)+$",
    "[*+?(]+",
    "\\(a\\)*",
    "\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}",
    "^(\\d{3}-){2}\\d{4}$",
    "colou?r",
    "a|b|c",
    "(?i)abc",
    "x{5}",
    "(",
    "[",
    "(?<year>\\d{4})-\\d{2}",
    "(^a+b)",
    "INV-\\d+$",
    "v\\d+\\.\\d+\\.\\d+",
    "order-\\d+-(paid|open)",
    "/products/\\d+/reviews",
    "foo\\s+bar",
    "'[^']*'",
    "https?://[^/]+/api",
    "^.*foo.*",
    "(.*)foo(.*)",
    "^(\\d+)-(\\d+)$",
    "^\\s*\\w+\\s*$",
    "^[^@]+@[^@]+\\.[a-z]+$",
    "^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}$",
    "^(foo|bar)+$",
    "^[a-z]+(-[a-z]+)*$",
    "^(?=.*\\d)(?=.*[a-z]).{8,}$",
    "^.*a|^.*b",
    "x( \\w+)*",
    "^(GET|POST|PUT) /(a|b)/\\d+$",
  ])("of few passes over a text is permitted: %s", (pattern) => {
    expect(costOfPattern(pattern)).toBeNull();
  });

  test.each([
    "^(a+)+$",
    "a*[bd]",
    "a+b",
    "foo.*bar",
    "foo.*$",
    "^.*foo.*bar",
    "^a*a*b",
    "^[a-z]+[^0-9]+b",
    "^a+|b+c",
    "^*a+b",
    "(?m)^[^b]*b",
    "^[[:alpha:]]*[[:alpha:]]*b",
    "^[a-z]*K*s",
    "^[]a]*a*b",
    "^[^]a]*b*]",
    "(a?){8}[bd]",
    "a{1,60}a{1,60}b",
    "\\Q[\\E(a+)+]",
    "\\c[(a+)+]",
    "(?#[)(a+)+#]",
    "(?x)^(?:a+#)\n)+$",
    "a".repeat(1_001),
    Array(31).fill("a").join("|"),
    "^(a*)*$",
    "(?:a+)+[bd]",
    "^(a|a)+$",
    "^(a|aa)+c",
    "(a?){30}a",
    "((a+)b)+",
    "([a-z]+)*=",
    "(?:(?:a+))*",
    "(a{1,20}){1,20}b",
    "(.*)(.*)(.*)(.*)x",
    "(a*){5}b",
    "a*a*a*b",
    "^.*a.*b.*c.*[de]",
    `${"a?".repeat(30)}${"a".repeat(30)}`,
    "(a)\\1",
    "(?R)",
    "(?1)(a)",
    "(?P<n>a)(?P=n)",
    "(*LIMIT_MATCH=9)a",
    "(?=(a+)+)b",
    "(?<x>a+)+$",
    "(?(?=a)b|c)",
    // Of these most beginnings come to nothing, at the end of the text.
    "a{60000}",
    "[ab]{60000}",
    ".{60000}",
    "a{65,}",
    "(?:(?:(?:a{10}){10}){10}){10}",
    `${"(a|a)".repeat(8)}b`,
    "(a|a|a|a){7}b",
    // Heads of groups that some databases know.
    "(?^m)^[^b]*b",
    "(?Jm)^[^b]*b",
    "(?mJ)^[^b]*b",
    "(?^x)^(?:a+#)\n)+$",
    "(?Jx)^(?:a+#)\n)+$",
    '(?C"(")(a+)+b',
    "^(?:\\p{L}+)*1",
    "^\\p{L}*\\pL*1",
    "\\p{L}*a",
    "^\\x41*\\x41*b",
    "1\\x41+b",
    "^(a{ 1, })+b",
    "^(a{,9}){30}b",
    "^a{1,}{1,}b",
    "a\\X+b",
    "(?i)^s*ſ*ſx",
    "(?i)^k*\u212a*\u212ax",
    "(?i)^(?-i:[^s]*S*)S",
    // One of many beginnings leads through the same letters as the next.
    "foo[^']*'",
    "<[^>]*>",
    "a\\d*\\d+b",
    "x\\d?\\d+y",
    "^.*foo.*$",
    "^[^@]+@[^@]+x[^@]+y",
    "x(?:ab)+y",
    "x(?:[a-z]+,)+$",
    "^(?:[a-z]+,)*[a-z]+$",
    "^(bar|baz)+$",
    "^(?:(?=.*a)b)*c",
    "(?=.*a)b",
  ])("a pattern of many passes over a text is refused: %s", (pattern) => {
    expect(costOfPattern(pattern)).toBeString();
  });

  test.each([
    ["^[^b]*b", "m"],
    ["^(?:a+#)\n)+$", "x"],
  ])("is refused for its options: %s with %s", (pattern, options) => {
    const refused = { failure: "expression_too_costly" };
    const thrown = (filter: unknown) => {
      try {
        readFilter(filter);
      } catch (error) {
        return error;
      }
    };
    expect(thrown({ a: new BSONRegExp(pattern, options) })).toMatchObject(refused);
    expect(thrown({ a: { $regex: pattern, $options: options } })).toMatchObject(refused);
    expect(() => readPipeline([{ $set: { r: { $regexMatch: { input: "$a", regex: pattern, options } } } }])).toThrow();
  });

  test("that is refused comes with what to ask instead, which is permitted", () => {
    const parts = { $and: [{ f: { $regex: "foo" } }, { f: { $regex: "bar" } }] };
    expect(() => readFilter({ f: { $regex: "foo.*bar" } })).toThrow(
      '{"$and": [{"f": {"$regex": "foo"}}, {"f": {"$regex": "bar"}}]}',
    );
    expect(readFilter(parts)).toBe(parts);
  });

  const refusedAt = (read: () => unknown): string | undefined => {
    try {
      read();
    } catch (error) {
      if (isFailure(error) && error.failure === "expression_too_costly") return error.errors![0]!.pointer;
      throw error;
    }
  };
  const bad = new BSONRegExp("^(a+)+$", "");
  test.each([
    [{ a: bad }, "/a"],
    [{ a: { $regex: "^(a+)+$" } }, "/a/$regex"],
    [{ a: { $regex: bad } }, "/a/$regex"],
    [{ a: { $in: ["x", bad] } }, "/a/$in/1"],
    [{ a: { $not: bad } }, "/a/$not"],
    [{ a: { $all: [bad] } }, "/a/$all/0"],
    [{ $or: [{ a: { $elemMatch: { b: bad } } }] }, "/$or/0/a/$elemMatch/b"],
  ])("is refused wherever it may stand in a filter: %p", (filter, at) => {
    expect(refusedAt(() => readFilter(filter))).toBe(`#/filter${at}`);
    expect(refusedAt(() => readPipeline([{ $match: filter }]))).toBe(`#/pipeline/0/$match${at}`);
  });

  test("counts in a filter as many conditions as it may take steps, and in an expression as many searches", () => {
    const of = (count: number, pattern: unknown) => ({ $or: Array(count).fill({ a: pattern }) });
    const wide = new BSONRegExp("a{1,11}a{1,11}[bd]", "");
    expect(refusedAt(() => readFilter(of(16, wide)))).toBeUndefined();
    for (const each of [wide, { $regex: wide }, { $not: wide }, { $in: [wide] }, { $all: [wide] }]) {
      expect(refusedAt(() => readFilter(of(190, each)))).toBe("#/filter");
    }
    const long = new BSONRegExp(`${"a".repeat(900)}b`, "");
    expect(refusedAt(() => readFilter(of(20, long)))).toBeUndefined();
    expect(refusedAt(() => readFilter(of(23, long)))).toBe("#/filter");
    const match = (count: number) => Array(count).fill({ $regexMatch: { input: "$a", regex: wide } });
    expect(refusedAt(() => readPipeline([{ $set: { r: match(2) } }]))).toBeUndefined();
    expect(refusedAt(() => readPipeline([{ $set: { r: match(10) } }]))).toBe("#/pipeline/0/$set/r");
  });

  test("and more than 200 conditions are, but not a long list", () => {
    const or = (count: number) => ({ $or: Array.from({ length: count }, (_, n) => ({ a: n })) });
    expect(refusedAt(() => readFilter(or(200)))).toBeUndefined();
    expect(refusedAt(() => readFilter(or(201)))).toBe("#/filter");
    expect(refusedAt(() => readFilter({ a: { $all: Array(201).fill(1) } }))).toBe("#/filter");
    expect(refusedAt(() => readFilter({ a: { $in: Array(20_000).fill(1) } }))).toBeUndefined();
    expect(refusedAt(() => readFilter({ a: { $in: Array(201).fill(new BSONRegExp("^a", "")) } }))).toBe("#/filter");
  });

  test.each([
    [{ $regexMatch: { input: "$a", regex: "^(a+)+$" } }, "/$regexMatch/regex"],
    [{ $regexFind: { input: "$a", regex: bad } }, "/$regexFind/regex"],
    [{ $regexMatch: { input: "$a", regex: { $substrCP: ["$b", 0, 9] } } }, "/$regexMatch"],
  ])("is refused in an expression: %p", (expression, at) => {
    expect(refusedAt(() => readPipeline([{ $set: { r: expression } }]))).toBe(`#/pipeline/0/$set/r${at}`);
  });
});
