import { describe, expect, test } from "bun:test";
import { parseExtendedJson, printExtendedJson } from "../../../src/lib/json/extended-json.ts";
import { placePipeline, readPipeline } from "../../../src/tenant/query/pipeline.ts";
import { refusedAt } from "../../support/refused.ts";

const read = (text: string) => readPipeline(parseExtendedJson(text));

describe("a tenant's pipeline may use", () => {
  test.each([
    '{"$match":{"a":{"$gt":1},"_id.x":1,"$or":[{"$expr":{"$eq":["$a","$$ROOT.b"]}}]}}',
    '{"$project":{"a":1,"b.c":{"$add":["$x",1]},"_id":0,"d":{"e":"$$CURRENT.f"}}}',
    '{"$set":{"b.tenant_id":"$tenant_id","x":{"$cond":{"if":"$a","then":"$$REMOVE","else":"$$NOW"}}}}',
    '{"$addFields":{"a":{"$literal":{"$where":"$$SEARCH_META"}}}}',
    '{"$group":{"_id":{"a":"$a"},"n":{"$sum":1},"all":{"$push":"$$ROOT"},"top":{"$top":{"sortBy":{"a":1},"output":"$b"}}}}',
    '{"$group":{"_id":null}}',
    '{"$bucket":{"groupBy":"$a","boundaries":[0,5],"default":"x","output":{"n":{"$sum":1}}}}',
    '{"$bucketAuto":{"groupBy":"$a","buckets":3}}',
    '{"$sortByCount":{"$toLower":"$a"}}',
    '{"$count":"n"}',
    '{"$sort":{"a":1,"b.c":-1}}',
    '{"$limit":5}',
    '{"$skip":0}',
    '{"$sample":{"size":3}}',
    '{"$unset":["a","b.c"]}',
    '{"$unset":"a"}',
    '{"$unwind":"$a.b"}',
    '{"$unwind":{"path":"$a","includeArrayIndex":"i","preserveNullAndEmptyArrays":true}}',
    '{"$replaceRoot":{"newRoot":{"$mergeObjects":["$$ROOT","$a"]}}}',
    '{"$replaceWith":{"$setField":{"field":"a.b","input":"$$ROOT","value":"$$REMOVE"}}}',
    '{"$facet":{"a":[{"$count":"n"}],"b":[{"$match":{"x":1}},{"$limit":1}]}}',
    '{"$setWindowFields":{"partitionBy":"$a","sortBy":{"b":1},"output":{"r":{"$rank":{}},"s":{"$sum":"$b","window":{"documents":["unbounded","current"]}}}}}',
    '{"$densify":{"field":"a","partitionByFields":["b"],"range":{"step":1,"bounds":[0,100]}}}',
    '{"$fill":{"sortBy":{"a":1},"output":{"b":{"method":"locf"},"c":{"value":0}}}}',
    '{"$set":{"a":{"$let":{"vars":{"x":"$b"},"in":{"$map":{"input":"$$x","as":"y","in":["$$y","$$y.z"]}}}}}}',
    '{"$set":{"a":{"$filter":{"input":"$b","cond":{"$gt":["$$this",1]}}},"b":{"$reduce":{"input":"$b","initialValue":0,"in":{"$add":["$$value","$$this"]}}}}}',
    '{"$set":{"a":{"$getField":{"field":{"$literal":"$x"},"input":"$$ROOT"}}}}',
  ])("%s", (stage) => {
    expect(() => read(`[${stage}]`)).not.toThrow();
  });

  test("50 stages, and none", () => {
    expect(read("[]")).toEqual([]);
    expect(read(`[${Array(50).fill('{"$limit":1}').join()}]`)).toHaveLength(50);
  });
});

describe("a tenant's pipeline is refused", () => {
  const refused: [text: string, pointer: string][] = [
    ...(
      "lookup graphLookup unionWith out merge documents collStats indexStats planCacheStats currentOp listSessions " +
      "listLocalSessions changeStream search searchMeta vectorSearch geoNear redact toString hasOwnProperty"
    )
      .split(" ")
      .map((name): [string, string] => [`[{"$${name}":{}}]`, `/0/$${name}`]),
    ['[{"$facet":{"a":[{"$lookup":{"from":"x"}}]}}]', "/0/$facet/a/0/$lookup"],
    ['[{"$facet":{"a":[{"$facet":{"b":[]}}]}}]', "/0/$facet/a/0/$facet"],
    ['[{"$facet":{"a":[{"$out":"x"}]}}]', "/0/$facet/a/0/$out"],
    ['[{"$facet":{}}]', "/0/$facet"],
    ['[{"$facet":{"a":5}}]', "/0/$facet/a"],
    // Filters by the same rules as anywhere.
    ['[{"$match":{"tenant_id":"x"}}]', "/0/$match/tenant_id"],
    ['[{"$group":{"_id":"$a"}},{"$match":{"$or":[{"_croupier.v":1}]}}]', "/1/$match/$or/0/_croupier.v"],
    ['[{"$match":{"$where":"1"}}]', "/0/$match/$where"],
    ['[{"$match":{"$text":{"$search":"x"}}}]', "/0/$match/$text"],
    ['[{"$match":{"$expr":{"$function":{}}}}]', "/0/$match/$expr/$function"],
    ['[{"$match":{"a":{"$elemMatch":{"$expr":true}}}}]', "/0/$match/a/$elemMatch/$expr"],
    ['[{"$match":5}]', "/0/$match"],
    // Code, and what shows the server, at any depth.
    ['[{"$project":{"a":{"$function":{"body":"","args":[],"lang":"js"}}}}]', "/0/$project/a/$function"],
    ['[{"$set":{"a":{"b":[{"$add":[1,{"$function":{}}]}]}}}]', "/0/$set/a/b/0/$add/1/$function"],
    ['[{"$group":{"_id":"$a","n":{"$accumulator":{}}}}]', "/0/$group/n/$accumulator"],
    ['[{"$group":{"_id":{"$function":{}}}}]', "/0/$group/_id/$function"],
    ['[{"$group":{"_id":null,"n":{"$sum":{"$function":{}}}}}]', "/0/$group/n/$sum/$function"],
    ['[{"$project":{"k":{"$meta":"indexKey"}}}]', "/0/$project/k/$meta"],
    ['[{"$sort":{"a":{"$meta":"textScore"}}}]', "/0/$sort/a"],
    ['[{"$set":{"a":{"$rand":{}}}}]', "/0/$set/a/$rand"],
    ['[{"$set":{"a":{"$toString ":1}}}]', "/0/$set/a/$toString "],
    ['[{"$set":{"a":{"$constructor":1}}}]', "/0/$set/a/$constructor"],
    // Variables.
    ...[
      "USER_ROLES",
      "CLUSTER_TIME",
      "SEARCH_META",
      "JS_SCOPE",
      "IS_MR",
      "KEEP",
      "PRUNE",
      "DESCEND",
      "this",
      "x",
      "",
    ].map((name): [string, string] => [`[{"$set":{"a":"$$${name}"}}]`, "/0/$set/a"]),
    ['[{"$set":{"a":["$$USER_ROLES.0"]}}]', "/0/$set/a/0"],
    ['[{"$set":{"a":{"$map":{"input":"$$this","in":1}}}}]', "/0/$set/a/$map/input"],
    ['[{"$set":{"a":{"$map":{"input":[],"as":"x","in":"$$this"}}}}]', "/0/$set/a/$map/in"],
    ['[{"$set":{"a":{"$let":{"vars":{"x":"$$x"},"in":1}}}}]', "/0/$set/a/$let/vars/x"],
    ['[{"$set":{"a":{"$let":{"vars":{"CURRENT":1},"in":1}}}}]', "/0/$set/a/$let/vars/CURRENT"],
    ['[{"$set":{"a":{"$map":{"input":[],"as":"a.b","in":1}}}}]', "/0/$set/a/$map/as"],
    ['[{"$set":{"a":{"$let":5}}}]', "/0/$set/a/$let"],
    ['[{"$unwind":"$$ROOT"}]', "/0/$unwind"],
    // Croupier's names at the top.
    ...[
      ["$set", '{"tenant_id":1}', "/tenant_id"],
      ["$addFields", '{"_croupier.v":1}', "/_croupier.v"],
      ["$project", '{"tenant_id":0}', "/tenant_id"],
      ["$unset", '"_croupier"', ""],
      ["$sort", '{"_croupier.v":1}', "/_croupier.v"],
      ["$count", '"tenant_id"', ""],
      ["$group", '{"_id":1,"tenant_id":{"$sum":1}}', "/tenant_id"],
      ["$unwind", '{"path":"$a","includeArrayIndex":"tenant_id"}', "/includeArrayIndex"],
      ["$fill", '{"output":{"tenant_id":{"value":1}}}', "/output/tenant_id"],
      ["$setWindowFields", '{"output":{"_croupier":{"$sum":1}}}', "/output/_croupier"],
      ["$densify", '{"field":"tenant_id","range":{"step":1,"bounds":"full"}}', "/field"],
      ["$replaceWith", '{"$setField":{"field":"tenant_id","input":"$$ROOT","value":1}}', "/$setField/field"],
      ["$set", '{"a":{"$setField":{"field":{"$literal":"_croupier"},"input":{},"value":1}}}', "/a/$setField/field"],
    ].map(([name, argument, at]): [string, string] => [`[{"${name}":${argument}}]`, `/0/${name}${at}`]),
    // Shapes.
    ['[{"$set":{"a":{"$add":[1],"b":1}}}]', "/0/$set/a"],
    ['[{"$set":{"a":{"$add":[1],"$sum":1}}}]', "/0/$set/a"],
    ['[{"$set":{}}]', "/0/$set"],
    ['[{"$set":{"a.$b":1}}]', "/0/$set/a.$b"],
    ['[{"$group":{"n":{"$sum":1}}}]', "/0/$group/_id"],
    ['[{"$group":{"_id":1,"n":1}}]', "/0/$group/n"],
    ['[{"$group":{"_id":1,"n":{"$sum":1,"$avg":1}}}]', "/0/$group/n"],
    ['[{"$limit":0}]', "/0/$limit"],
    ['[{"$skip":-1}]', "/0/$skip"],
    ['[{"$count":"a.b"}]', "/0/$count"],
    ['[{"$count":"$a"}]', "/0/$count"],
    ['[{"$sort":{"a":1,"0":1}}]', "/0/$sort"],
    ['[{"$sample":{"size":1,"from":"x"}}]', "/0/$sample/from"],
    ['[{"$unwind":{"path":"a"}}]', "/0/$unwind/path"],
    ['[{"$unset":[]}]', "/0/$unset"],
    ['[{"$setWindowFields":{"output":{"a":{"$function":{}}}}}]', "/0/$setWindowFields/output/a/$function"],
    ['[{"$setWindowFields":{"output":{"a":{"$sum":1,"window":{"x":1}}}}}]', "/0/$setWindowFields/output/a/window/x"],
    ['[{"$fill":{"output":{"a":{"value":{"$function":{}}}}}}]', "/0/$fill/output/a/value/$function"],
    ['[{"$bucket":{"groupBy":"$a","boundaries":[{"$function":{}}]}}]', "/0/$bucket/boundaries/0/$function"],
    ['[{"$limit":1,"$skip":1}]', "/0"],
    ["[{}]", "/0"],
    ["[5]", "/0"],
    ["{}", ""],
    ["null", ""],
    [`[${Array(51).fill('{"$limit":1}').join()}]`, ""],
    [`[{"$facet":{"a":[${Array(50).fill('{"$limit":1}').join()}]}}]`, ""],
  ];
  test.each(refused)("a pipeline of what isn't on the allow-list is refused: %.80s", (text, pointer) => {
    expect(refusedAt(() => read(text))).toBe(`#/pipeline${pointer}`);
  });

  test("a stage without its filter", () => {
    expect(refusedAt(() => readPipeline([{ $match: undefined }]))).toBe("#/pipeline/0/$match");
  });
});

describe("a pipeline is placed so that it sees the tenant's own documents", () => {
  const own = { tenant_id: "t" };
  const set = '{"$set":{"_id":"$_id.i"}},';
  const unset = '{"$unset":["tenant_id","_croupier"]}';
  const barrier = '{"$limit":2147483647}';
  const mine = '{"$match":{"tenant_id":"t"}}';
  const expression = '{"$match":{"$and":[{"$expr":{"$eq":["$tenant_id","t"]}}]}}';
  test.each([
    ["nothing", "[]", `[${mine},SET${unset}]`],
    [
      "filters first",
      '[{"$match":{"_id":1}},{"$match":{"$or":[{"_id.x":2},{"b":3}]}},{"$set":{"c":1}},{"$match":{"_id":4}}]',
      `[{"$match":{"$and":[{"tenant_id":"t"},{"ID":1},{"$or":[{"ID.x":2},{"b":3}]}]}},SET${unset},${barrier},{"$set":{"c":1}},{"$match":{"_id":4}}]`,
    ],
    [
      "sorts and limits as well",
      '[{"$match":{"_id":1}},{"$sort":{"a":1,"_id":-1}},{"$skip":1},{"$match":{"_id":2}},{"$limit":2},{"$count":"n"}]',
      `[{"$match":{"$and":[{"tenant_id":"t"},{"ID":1}]}},{"$sort":{"a":1,"ID":-1}},{"$skip":1},{"$match":{"ID":2}},{"$limit":2},SET${unset},${barrier},{"$sort":{"a":1,"_id":-1}},{"$count":"n"}]`,
    ],
    [
      "a sort without a limit stays",
      '[{"$match":{"_id":1}},{"$sort":{"a":1}},{"$match":{"_id":2}},{"$count":"n"}]',
      `[{"$match":{"$and":[{"tenant_id":"t"},{"ID":1}]}},SET${unset},${barrier},{"$sort":{"a":1}},{"$match":{"_id":2}},{"$count":"n"}]`,
    ],
    ["all of it", '[{"$sort":{"_id":1}},{"$limit":1}]', `[${mine},{"$sort":{"ID":1}},{"$limit":1},SET${unset}]`],
    [
      "an expression would see the stored document",
      `[${expression},{"$match":{"a":1}}]`,
      `[${mine},SET${unset},${barrier},${expression},{"$match":{"a":1}}]`,
    ],
  ])("%s", (_, text, placed) => {
    expect(printExtendedJson(placePipeline(read(text), own, "_id.i", "ferretdb"))).toBe(
      placed.replace("SET", set).replaceAll("ID", "_id.i"),
    );
    expect(printExtendedJson(placePipeline(read(text), own, "_id", "ferretdb"))).toBe(
      placed.replace("SET", "").replaceAll("ID", "_id"),
    );
  });
});
