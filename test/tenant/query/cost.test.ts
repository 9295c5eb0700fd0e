import { describe, expect, test } from "bun:test";
import { isFailure } from "../../../src/lib/failure.ts";
import { parseExtendedJson, printExtendedJson } from "../../../src/lib/json/extended-json.ts";
import { readPipeline } from "../../../src/tenant/query/pipeline.ts";

/** The pointer of what costs too much, or null for what is permitted. */
function costlyAt(text: string): string | null {
  try {
    readPipeline(parseExtendedJson(text));
    return null;
  } catch (error) {
    if (!isFailure(error) || error.failure !== "expression_too_costly") throw error;
    return error.errors![0]!.pointer.replace("#/pipeline/", "");
  }
}
const set = (expression: string) => `[{"$set":{"r":${expression}}}]`;
/** The same stage so many times. */
const repeated = (count: number, stage: string) => `[${Array(count).fill(stage).join()}]`;
/** `$let` in `$let`, each variable made of the one before. */
const lets = (count: number, made: (before: string) => string, first: string) =>
  Array.from({ length: count }).reduceRight<string>(
    (inner, _, n) => `{"$let":{"vars":{"v${n}":${n === 0 ? first : made(`$$v${n - 1}`)}},"in":${inner}}}`,
    `"$$v${count - 1}"`,
  );

describe("an expression may", () => {
  test.each([
    // What pipelines usually hold.
    '{"$map":{"input":"$items","in":{"$multiply":["$$this.price","$$this.count"]}}}',
    '{"$sum":{"$map":{"input":"$items","as":"x","in":{"$multiply":["$$x.price",{"$subtract":[1,"$$x.rebate"]}]}}}}',
    '{"$filter":{"input":"$items","as":"x","cond":{"$and":[{"$eq":["$$x.kind","book"]},{"$gt":["$$x.price",5]}]}}}',
    '{"$reduce":{"input":"$items","initialValue":0,"in":{"$add":["$$value","$$this.price"]}}}',
    '{"$reduce":{"input":"$items","initialValue":{"n":0,"s":0},"in":{"n":{"$add":["$$value.n",1]},"s":{"$add":["$$value.s","$$this.price"]}}}}',
    '{"$reduce":{"input":"$items.price","initialValue":null,"in":{"$max":["$$value","$$this"]}}}',
    '{"$reduce":{"input":"$items","initialValue":false,"in":{"$or":["$$value",{"$eq":["$$this.kind","book"]}]}}}',
    '{"$reduce":{"input":"$words","initialValue":"","in":{"$cond":[{"$gt":["$$this","$$value"]},"$$this","$$value"]}}}',
    '{"$size":{"$setUnion":["$tags","$labels"]}}',
    '{"$in":["red",{"$ifNull":["$tags",[]]}]}',
    '{"$filter":{"input":"$items","cond":{"$in":["$$this.kind",["book","map","globe"]]}}}',
    '{"$arrayElemAt":["$items",-1]}',
    '{"$let":{"vars":{"last":{"$last":"$items"}},"in":{"$concat":["$$last.name"," (","$name",")"]}}}',
    '{"$mergeObjects":["$defaults","$settings",{"seen":true}]}',
    '{"$concat":["$first"," ","$last"]}',
    '{"$concatArrays":["$a","$b",["c"]]}',
    '{"$arrayToObject":{"$map":{"input":{"$objectToArray":"$prices"},"in":{"k":"$$this.k","v":{"$round":["$$this.v",2]}}}}}',
    '{"$sortArray":{"input":"$items","sortBy":{"price":-1}}}',
    '{"$slice":[{"$sortArray":{"input":{"$filter":{"input":"$items","cond":"$$this.open"}},"sortBy":{"price":-1}}},3]}',
    '{"$zip":{"inputs":["$a","$b"],"useLongestLength":true,"defaults":[0,0]}}',
    '{"$switch":{"branches":[{"case":{"$gt":["$n",9]},"then":"many"},{"case":{"$gt":["$n",0]},"then":"some"}],"default":"none"}}',
    '{"$dateToString":{"date":"$at","format":"%Y-%m"}}',
    '{"$split":["$path","/"]}',
    '{"$map":{"input":{"$split":["$text"," "]},"as":"word","in":{"$toLower":"$$word"}}}',
    '{"$replaceAll":{"input":{"$substrCP":["$text",0,4000]},"find":"\\n","replacement":"<br>"}}',
    '{"$regexMatch":{"input":"$text","regex":"^[a-z]+$"}}',
    '{"$regexFindAll":{"input":{"$substrCP":["$text",0,200]},"regex":"[0-9]+"}}',
    // A loop in a loop over what the outer one's element leads to.
    '{"$map":{"input":"$orders","as":"o","in":{"$sum":{"$map":{"input":"$$o.lines","in":{"$multiply":["$$this.n","$$this.price"]}}}}}}',
    '{"$map":{"input":"$orders","as":"o","in":{"$size":{"$filter":{"input":"$$o.lines","cond":"$$this.open"}}}}}',
    '{"$map":{"input":"$orders","as":"o","in":{"$let":{"vars":{"open":{"$filter":{"input":"$$o.lines","cond":"$$this.open"}}},"in":{"$size":"$$open"}}}}}',
    '{"$sum":{"$map":{"input":"$a","as":"x","in":{"$max":{"$map":{"input":"$$x.b","as":"y","in":{"$sum":"$$y.c.d"}}}}}}}',
    // Values from outside.
    '{"$map":{"input":"$items","in":{"$multiply":["$$this.price","$rate"]}}}',
    '{"$filter":{"input":"$items","cond":{"$and":[{"$eq":["$$this.sku","$sku"]},{"$gt":["$$this.n","$limits.low"]}]}}}',
    '{"$reduce":{"input":"$items","initialValue":0,"in":{"$add":["$$value",{"$multiply":["$$this.n","$rate"]}]}}}',
    '{"$map":{"input":"$orders","as":"o","in":{"$sum":{"$map":{"input":"$$o.lines","in":{"$multiply":["$$this.n","$rate"]}}}}}}',
    // Short literals, and what is bound by a loop over them.
    '{"$map":{"input":"$items","as":"x","in":{"$map":{"input":["a","b","c"],"in":{"$concat":["$$x.name","$$this"]}}}}}',
    '{"$map":{"input":["$rate"],"as":"rate","in":{"$map":{"input":"$items","in":{"$multiply":["$$this.price","$$rate"]}}}}}',
    '{"$map":{"input":["$sku"],"as":"sku","in":{"$filter":{"input":"$items","cond":{"$eq":["$$this.sku","$$sku"]}}}}}',
    '{"$map":{"input":{"$range":[0,24]},"as":"h","in":{"hour":"$$h","two":{"$multiply":["$$h",2]}}}}',
    '{"$range":[0,10000]}',
    '{"$range":[0,1000000000,1000000]}',
    '{"$range":[0,{"$numberLong":"12"}]}',
    '{"$range":[0,{"$literal":12}]}',
    '{"$range":[0,{"$size":"$items"}]}',
    '{"$range":[1,{"$subtract":[{"$size":"$items"},1]},2]}',
  ])("%s", (expression) => {
    expect(costlyAt(set(expression))).toBeNull();
  });

  test.each([
    [
      "40 fields from further down",
      `[{"$project":{${Array.from({ length: 40 }, (_, n) => `"f${n}":"$a.b${n}"`).join()}}},{"$replaceWith":{"$mergeObjects":["$$ROOT",{"x":1}]}}]`,
    ],
    [
      "30 counts of one group",
      `[{"$group":{"_id":"$a",${Array.from({ length: 30 }, (_, n) => `"f${n}":{"$sum":"$n${n}"}`).join()}}},{"$project":{${Array.from({ length: 30 }, (_, n) => `"g${n}":{"$add":["$f${n}",1]}`).join()}}}]`,
    ],
    [
      "a list of a group's documents",
      '[{"$group":{"_id":"$k","all":{"$push":"$$ROOT"}}},{"$set":{"first":{"$first":"$all"},"n":{"$size":"$all"}}}]',
    ],
    [
      "what is the same in each round, set before the loop",
      '[{"$set":{"n":{"$strLenCP":"$text"}}},{"$set":{"r":{"$map":{"input":"$a","in":{"$multiply":["$$this","$n"]}}}}}]',
    ],
    [
      "a flattened array",
      '[{"$unwind":"$items"},{"$unwind":"$items.tags"},{"$group":{"_id":"$_id","tags":{"$addToSet":"$items.tags"}}}]',
    ],
    [
      "days between two dates",
      '[{"$densify":{"field":"at","range":{"step":1,"unit":"day","bounds":[{"$date":"2026-01-01T00:00:00Z"},{"$date":"2027-01-01T00:00:00Z"}]}}}]',
    ],
  ])("stand with others in a pipeline: %s", (_, pipeline) => {
    expect(costlyAt(pipeline)).toBeNull();
  });
});

describe("an expression that does more than linear work", () => {
  const filterIn = "/$filter/cond";
  test.each<[name: string, expression: string, at: string]>([
    ["runs through an array once for each element of it", '{"$map":{"input":"$a","in":{"$sum":"$a"}}}', "/$map/in"],
    ["filters an array by another", '{"$filter":{"input":"$a","cond":{"$in":["$$this","$b"]}}}', filterIn],
    ["looks each element's place up", '{"$map":{"input":"$a","in":{"$indexOfArray":["$b","$$this"]}}}', "/$map/in"],
    [
      "takes from an array by its index",
      '{"$map":{"input":{"$range":[0,{"$size":"$a"}]},"in":{"$arrayElemAt":["$a","$$this"]}}}',
      "/$map/in",
    ],
    [
      "loops over the array that it loops over",
      '{"$map":{"input":"$a","as":"x","in":{"$map":{"input":"$a","as":"y","in":{"$add":["$$x","$$y"]}}}}}',
      "/$map/in",
    ],
    [
      "loops so three deep",
      '{"$map":{"input":"$a","as":"x","in":{"$map":{"input":"$$x.b","as":"y","in":{"$map":{"input":"$$x.b","as":"z","in":1}}}}}}',
      "/$map/in/$map/in",
    ],
    [
      "hides the array in a variable",
      '{"$let":{"vars":{"b":"$b"},"in":{"$filter":{"input":"$a","cond":{"$in":["$$this","$$b"]}}}}}',
      `/$let/in${filterIn}`,
    ],
    [
      "hides the loop in a variable",
      '{"$let":{"vars":{"s":{"$sum":"$b"}},"in":{"$map":{"input":"$a","in":{"$add":["$$this","$$s"]}}}}}',
      "/$let/in/$map/in",
    ],
    [
      "hides the loop in a loop over one",
      '{"$map":{"input":["$b"],"as":"b","in":{"$filter":{"input":"$a","cond":{"$in":["$$this","$$b"]}}}}}',
      `/$map/in${filterIn}`,
    ],
    [
      "copies a value of the document each time",
      '{"$map":{"input":"$a","in":{"n":"$$this","of":"$name"}}}',
      "/$map/in",
    ],
    [
      "looks six names of the document up each time",
      '{"$map":{"input":"$a","in":{"$add":["$$this","$b","$c","$d","$e","$f","$g"]}}}',
      "/$map/in",
    ],
    [
      "walks each time what it looks up",
      '{"$map":{"input":"$a","in":{"$multiply":["$$this",{"$strLenCP":"$text"}]}}}',
      "/$map/in",
    ],
    [
      "compares two texts of the document each time",
      '{"$map":{"input":["$s"],"as":"s","in":{"$map":{"input":["$t"],"as":"t","in":{"$filter":{"input":"$a","cond":{"$eq":["$$s","$$t"]}}}}}}}',
      `/$map/in/$map/in${filterIn}`,
    ],
    ["copies the document for each element", '{"$map":{"input":"$a","in":{"x":"$$this","all":"$$ROOT"}}}', "/$map/in"],
    [
      "copies what a loop around it has, for each element",
      '{"$map":{"input":["$b"],"as":"b","in":{"$map":{"input":"$a","in":["$$b"]}}}}',
      "/$map/in/$map/in",
    ],
    ["counts as far as the document says", '{"$range":[0,"$n"]}', "/$range"],
    ["counts as far as an element says", '{"$map":{"input":"$a","in":{"$range":[0,"$$this"]}}}', "/$map/in/$range"],
    ["counts from where the document says", '{"$range":["$n",10]}', "/$range"],
    ["counts by steps of the document", '{"$range":[0,10,"$n"]}', "/$range"],
    ["counts too far", '{"$range":[0,10001]}', "/$range"],
    ["counts too far down", '{"$range":[5000,-6000,-1]}', "/$range"],
    ["counts in each round", '{"$map":{"input":{"$range":[0,200]},"in":{"$range":[0,200]}}}', ""],
    [
      "reduces a range in a range",
      '{"$reduce":{"input":{"$range":[0,5000]},"initialValue":0,"in":{"$reduce":{"input":{"$range":[0,5000]},"initialValue":"$$value","in":{"$add":["$$value",1]}}}}}',
      "",
    ],
    ["counts far for each element", '{"$map":{"input":"$a","in":{"$size":{"$range":[0,1000]}}}}', ""],
    [
      "adds an array to the result so far",
      '{"$reduce":{"input":"$a","initialValue":[],"in":{"$concatArrays":["$$value","$$this"]}}}',
      "/$reduce/in",
    ],
    [
      "adds to the result so far by name",
      '{"$reduce":{"input":"$a","initialValue":[],"in":{"$let":{"vars":{"v":"$$value"},"in":{"$concatArrays":["$$v","$$this"]}}}}}',
      "/$reduce/in",
    ],
    [
      "adds a text to the result so far",
      '{"$reduce":{"input":"$a","initialValue":"","in":{"$concat":["$$value",",","$$this"]}}}',
      "/$reduce/in",
    ],
    [
      "merges into the result so far",
      '{"$reduce":{"input":"$a","initialValue":{},"in":{"$mergeObjects":["$$value","$$this"]}}}',
      "/$reduce/in",
    ],
    [
      "sets a field of the result so far",
      '{"$reduce":{"input":"$a","initialValue":{},"in":{"$setField":{"field":"x","input":"$$value","value":"$$this"}}}}',
      "/$reduce/in",
    ],
    [
      "unites with the result so far",
      '{"$reduce":{"input":"$a","initialValue":[],"in":{"$setUnion":["$$value",["$$this"]]}}}',
      "/$reduce/in",
    ],
    ["wraps the result so far", '{"$reduce":{"input":"$a","initialValue":0,"in":["$$value","$$this"]}}', "/$reduce/in"],
    ["wraps it in an object", '{"$reduce":{"input":"$a","initialValue":0,"in":{"v":"$$value"}}}', "/$reduce/in"],
    [
      "doubles the result so far",
      '{"$reduce":{"input":[1,2,3,4,5],"initialValue":"$s","in":{"$concat":["$$value","$$value"]}}}',
      "/$reduce/in",
    ],
    [
      "maps the result so far",
      '{"$reduce":{"input":"$a","initialValue":"$b","in":{"$map":{"input":"$$value","in":{"$add":["$$this",1]}}}}}',
      "/$reduce/in",
    ],
    [
      "walks the result so far",
      '{"$reduce":{"input":"$a","initialValue":"$b","in":{"$cond":[{"$in":[1,"$$value"]},"$$value","$$value"]}}}',
      "/$reduce/in",
    ],
    ["holds what it has twice, again and again", lets(12, (v) => `{"$concatArrays":["${v}","${v}"]}`, '"$a"'), ""],
    ["does what it has done twice, again and again", lets(16, (v) => `{"$add":["${v}","${v}"]}`, '{"$sum":"$a"}'), ""],
    ["does so without a document", lets(20, (v) => `{"$add":["${v}","${v}"]}`, "1"), ""],
    ["wraps it twice, again and again", lets(12, (v) => `{"x":"${v}","y":"${v}"}`, '"$a"'), ""],
    [
      "replaces each part by a text of the document",
      '{"$replaceAll":{"input":"$s","find":"a","replacement":"$s"}}',
      "/$replaceAll",
    ],
    [
      "replaces all in a text of any length",
      '{"$replaceAll":{"input":"$s","find":"a","replacement":"b"}}',
      "/$replaceAll",
    ],
    ["searches a text of the document in another", '{"$indexOfCP":["$s","$t"]}', "/$indexOfCP"],
    ["splits by a text of the document", '{"$split":["$s","$t"]}', "/$split"],
    ["trims by a text of the document", '{"$trim":{"input":"$s","chars":"$t"}}', "/$trim"],
    ["finds all of a pattern", '{"$regexFindAll":{"input":"$s","regex":"a"}}', "/$regexFindAll"],
    ["finds by a pattern of the document", '{"$regexMatch":{"input":"$s","regex":"$t"}}', "/$regexMatch"],
    [
      "fills rows that are mostly empty",
      `{"$zip":{"inputs":["$a",${Array(40).fill("[]").join()}],"useLongestLength":true}}`,
      "",
    ],
    [
      "walks a zip of arrays as if it had two rows",
      '{"$map":{"input":{"$zip":{"inputs":["$a","$b"]}},"in":{"$sum":"$c"}}}',
      "/$map/in",
    ],
    [
      "has a long list for each element",
      `{"$filter":{"input":"$a","cond":{"$in":["$$this",[${Array.from({ length: 2_000 }, (_, n) => n).join()}]]}}}`,
      "",
    ],
    ["walks the array 300 times", `[${Array(300).fill('{"$sum":"$a"}').join()}]`, ""],
    [
      "walks it often in all, behind a condition",
      `{"$cond":["$a",[${Array(300).fill('{"$sum":"$a"}').join()}],0]}`,
      "",
    ],
  ])("an expression is refused that %s", (_, expression, at) => {
    const pointer = costlyAt(set(expression));
    if (!expression.startsWith('{"$let":{"vars":{"v0"')) expect(pointer).toBe(`0/$set/r${at}`);
    else expect(pointer).toStartWith("0/$set/r");
  });

  const costly = '{"$map":{"input":"$a","in":{"$sum":"$a"}}}';
  test.each([
    ["$match", `{"$and":[{"x":1},{"$expr":${costly}}]}`, "/$and/1/$expr/$map/in"],
    ["$set", `{"x":{"y":${costly}}}`, "/x/y/$map/in"],
    ["$project", `{"x":${costly}}`, "/x/$map/in"],
    ["$group", `{"_id":${costly}}`, "/_id/$map/in"],
    ["$group", `{"_id":1,"n":{"$sum":${costly}}}`, "/n/$sum/$map/in"],
    ["$group", `{"_id":1,"n":{"$top":{"sortBy":{"a":1},"output":${costly}}}}`, "/n/$top/output/$map/in"],
    ["$bucket", `{"groupBy":${costly},"boundaries":[0,1]}`, "/groupBy/$map/in"],
    ["$bucket", `{"groupBy":"$a","boundaries":[0,1],"output":{"n":{"$sum":${costly}}}}`, "/output/n/$sum/$map/in"],
    ["$bucketAuto", `{"groupBy":${costly},"buckets":2}`, "/groupBy/$map/in"],
    ["$sortByCount", costly, "/$map/in"],
    ["$replaceRoot", `{"newRoot":{"x":${costly}}}`, "/newRoot/x/$map/in"],
    ["$replaceWith", `{"x":${costly}}`, "/x/$map/in"],
    ["$setWindowFields", `{"partitionBy":${costly},"output":{"n":{"$sum":1}}}`, "/partitionBy/$map/in"],
    ["$setWindowFields", `{"output":{"n":{"$sum":${costly}}}}`, "/output/n/$sum/$map/in"],
    ["$fill", `{"partitionBy":${costly},"output":{"n":{"value":1}}}`, "/partitionBy/$map/in"],
    ["$fill", `{"output":{"n":{"value":${costly}}}}`, "/output/n/value/$map/in"],
    ["$facet", `{"f":[{"$set":{"x":${costly}}}]}`, "/f/0/$set/x/$map/in"],
    ["$setWindowFields", '{"output":{"a.b":{"$push":"$c"}}}', "/output/a.b"],
    ["$fill", '{"output":{"a.b":{"value":"$c"}}}', "/output/a.b"],
    ["$densify", '{"field":"a","range":{"step":1,"bounds":"full"}}', "/range/bounds"],
    ["$densify", '{"field":"a","range":{"step":1,"bounds":"partition"},"partitionByFields":["b"]}', "/range/bounds"],
    ["$densify", '{"field":"a","range":{"step":1,"bounds":[0,10001]}}', "/range/bounds"],
    ["$densify", '{"field":"a","range":{"step":0,"bounds":[0,1]}}', "/range/bounds"],
    [
      "$densify",
      '{"field":"a","range":{"step":1,"unit":"second","bounds":[{"$date":0},{"$date":100000000}]}}',
      "/range/bounds",
    ],
  ])("an expression of more than linear work is refused, in %s: %.60s", (stage, argument, at) => {
    expect(costlyAt(`[{"${stage}":${argument}}]`)).toBe(`0/${stage}${at}`);
  });

  test.each([
    ["doubles an array", repeated(20, '{"$set":{"a":{"$concatArrays":["$a","$a"]}}}'), /^\d\/\$set\/a$/],
    ["doubles a text", repeated(20, '{"$set":{"a":{"$concat":["$a","$a"]}}}'), /^\d\/\$set\/a$/],
    ["sets long texts in elements", `[{"$set":{"a.b":"${"x".repeat(1_000)}"}}]`, /^0\/\$set/],
    ["wraps the document in itself", repeated(45, '{"$set":{"a":"$$ROOT"}}'), /^\d+\/\$set/],
    [
      "wraps the document twice in its place",
      repeated(20, '{"$replaceWith":{"a":"$$ROOT","b":"$$ROOT"}}'),
      /^\d+\/\$replaceWith/,
    ],
    [
      "adds in turn",
      repeated(20, '{"$set":{"a":{"$concatArrays":["$a","$b"]},"b":{"$concatArrays":["$b","$a"]}}}'),
      /^\d+\/\$set/,
    ],
    [
      "goes through a group",
      repeated(10, '{"$set":{"a":{"$concat":["$a","$a"]}}},{"$group":{"_id":"$_id","a":{"$first":"$a"}}}'),
      /^\d+\/\$set/,
    ],
    [
      "goes through a facet",
      `[{"$set":{"a":{"$concat":["$a","$a","$a","$a","$a"]}}},{"$facet":{"f":${repeated(5, '{"$set":{"a":{"$concat":["$a","$a"]}}}')}}}]`,
      /^1\/\$facet\/f\/\d\/\$set/,
    ],
    [
      "asks again and again",
      repeated(5, `{"$match":{"$or":[${Array(50).fill('{"a":{"$lt":1}}').join()}]}}`),
      /^4\/\$match$/,
    ],
    ["walks again and again", repeated(40, `{"$set":{"r":[${Array(8).fill('{"$sum":"$a"}').join()}]}}`), /^\d+\/\$set/],
  ])("stages that together do more than linear work are refused: %s", (_, pipeline, at) => {
    expect(costlyAt(pipeline)).toMatch(at);
  });

  test("an expression that is refused comes with what to write instead", () => {
    const flat = set('{"$reduce":{"input":"$a","initialValue":[],"in":{"$concatArrays":["$$value","$$this"]}}}');
    expect(() => readPipeline(parseExtendedJson(flat))).toThrow(
      /#\/pipeline\/0\/\$set\/r\/\$reduce\/in makes .*\$unwind and \$group/,
    );
    const twice = set('{"$map":{"input":"$a","in":{"$in":["$$this","$b"]}}}');
    expect(() => readPipeline(parseExtendedJson(twice))).toThrow(
      /not iterate over or copy them; use \$unwind and \$group/,
    );
  });
});

test("an expression of many fields at each of many depths is measured in time that goes with its length", () => {
  const nested = (depth: number, width: number) =>
    Array.from({ length: depth }).reduce<unknown>(
      (inner, _, level) => [...Array.from({ length: width }, (_, n) => `$f${level}_${n}`), inner],
      1,
    );
  // The least of some tries, as anything may come in between.
  const leastMs = (expression: unknown) =>
    Math.min(
      ...Array.from({ length: 5 }, () => {
        const before = process.cpuUsage();
        costlyAt(printExtendedJson([{ $set: { r: expression } }]));
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1_000;
      }),
    );
  expect(leastMs(nested(88, 85))).toBeLessThan(7 * leastMs(nested(22, 85)) + 5);
});
