import { describe, expect, test } from "bun:test";
import { parseExtendedJson, printExtendedJson } from "../../../src/lib/json/extended-json.ts";
import { placeFilter, readFilter } from "../../../src/tenant/query/filter.ts";
import { refusedAt } from "../../support/refused.ts";

const read = (text: string) => readFilter(parseExtendedJson(text));

describe("a tenant's filter may use", () => {
  test.each([
    "{}",
    '{"a":1,"b.c.0":null,"_id":{"t":"x","i":5}}',
    '{"$and":[{"$or":[{"a":1},{"_id":2}]},{"$nor":[{"b":{"$exists":false}}]}]}',
    '{"a":{"$eq":{"b":1},"$ne":[],"$gt":1,"$gte":{"$minKey":1},"$lt":"x","$lte":null}}',
    '{"a":{"$eq":{"$regularExpression":{"pattern":"a","options":""}}}}',
    '{"a":{"$in":[1,{"$regularExpression":{"pattern":"a","options":"i"}},null]},"b":{"$nin":[]}}',
    '{"a":{"$type":"object"},"b":{"$type":["number",2,-1,127]}}',
    '{"a":{"$not":{"$gt":1}},"b":{"$not":{"$regularExpression":{"pattern":"a","options":""}}}}',
    '{"a":{"$elemMatch":{"$gt":1,"$lt":5}},"b":{"$elemMatch":{"c":1,"$or":[{"tenant_id":1},{"_id.t":2}]}}}',
    '{"a":{"$all":[1,[2]]},"b":{"$all":[{"$elemMatch":{"c":1}}]}}',
    '{"a":{"$size":2},"b":{"$mod":[4,0.5]},"c":{"$exists":1}}',
    '{"a":{"$regex":"^a","$options":"imsx"},"b":{"$regex":{"$regularExpression":{"pattern":"a","options":"i"}}}}',
    '{"a":{"$bitsAllSet":5,"$bitsAnyClear":[0,3],"$bitsAllClear":{"$binary":{"base64":"AQ==","subType":"00"}}}}',
    // Ordinary names beneath the top.
    '{"a.tenant_id":1,"a._croupier":2,"a._id.t":3,"tenant_ids":4,"a":{"tenant_id":5}}',
    // What only looks like an operator is text.
    '{"a":"$where","b":["$$ROOT"]}',
    '{"$or":[{"a":{"$in":["tenant_id"]}}]}',
  ])("%s", (text) => {
    const filter = parseExtendedJson(text);
    expect(readFilter(filter)).toBe(filter as ReturnType<typeof readFilter>);
  });

  test("none at all, which is the empty one", () => {
    expect(readFilter(undefined)).toEqual({});
  });
});

describe("a tenant's filter is refused", () => {
  const refused: [text: string, pointer: string][] = [
    // Croupier's own fields, whatever the path looks like.
    ['{"tenant_id":"x"}', "/tenant_id"],
    ['{"tenant_id":{"$exists":true}}', "/tenant_id"],
    ['{"tenant_id.x":1}', "/tenant_id.x"],
    ['{"tenant_id.0":1}', "/tenant_id.0"],
    ['{"_croupier":null}', "/_croupier"],
    ['{"_croupier.v":{"$gt":1}}', "/_croupier.v"],
    ['{"_croupier.h.0":"x"}', "/_croupier.h.0"],
    ['{"$and":[{"a":1},{"$or":[{"$nor":[{"tenant_id":"x"}]}]}]}', "/$and/1/$or/0/$nor/0/tenant_id"],
    // Beneath the _id, where a shared document has its tenant.
    ['{"_id.t":"x"}', "/_id.t"],
    ['{"_id.i":1}', "/_id.i"],
    ['{"_id.i.x":1}', "/_id.i.x"],
    ['{"_id.0":1}', "/_id.0"],
    ['{"$or":[{"_id.t":"x"}]}', "/$or/0/_id.t"],
    // What runs code, leaves the collection or needs more than it.
    ...["$where", "$expr", "$jsonSchema", "$text", "$comment", "$sampleRate", "$alwaysTrue", "$query", "$function"].map(
      (name): [string, string] => [`{"${name}":"1"}`, `/${name}`],
    ),
    ['{"$and":[{"$where":"1"}]}', "/$and/0/$where"],
    ['{"$and":[{"$expr":{"$eq":["$tenant_id","x"]}}]}', "/$and/0/$expr"],
    ['{"a":{"$where":"1"}}', "/a/$where"],
    ['{"a":{"$elemMatch":{"$where":"1"}}}', "/a/$elemMatch/$where"],
    ['{"a":{"$elemMatch":{"b":1,"$expr":{}}}}', "/a/$elemMatch/$expr"],
    ['{"a":{"$not":{"$where":"1"}}}', "/a/$not/$where"],
    ['{"a":{"$all":[{"$elemMatch":{"$where":"1"}}]}}', "/a/$all/0/$elemMatch/$where"],
    ['{"a":{"$near":[0,0]}}', "/a/$near"],
    ['{"a":{"$geoWithin":{}}}', "/a/$geoWithin"],
    ['{"a":{"$EQ":1}}', "/a/$EQ"],
    ['{"a":{"$toString":1}}', "/a/$toString"],
    ['{"$toString":1}', "/$toString"],
    ['{"$and ":[{}]}', "/$and "],
    // Operators where values stand.
    ['{"a":{"b":{"$gt":1}}}', "/a/b/$gt"],
    ['{"a":{"$in":[{"$gt":1}]}}', "/a/$in/0/$gt"],
    ['{"a":{"$eq":{"$gt":1}}}', "/a/$eq/$gt"],
    ['{"a":[{"$gt":1}]}', "/a/0/$gt"],
    ['{"a":{"$gt":1,"b":2}}', "/a/b"],
    ['{"a":{"b":2,"$gt":1}}', "/a/b"],
    ['{"a":{"$ref":"c","$id":1}}', "/a/$ref"],
    // Paths.
    ['{"":1}', "/"],
    ['{"a..b":1}', "/a..b"],
    ['{".a":1}', "/.a"],
    ['{"a.":1}', "/a."],
    ['{"a.$id":1}', "/a.$id"],
    ['{"a.$":1}', "/a.$"],
    // Operands that the server would refuse.
    ['{"$and":[]}', "/$and"],
    ['{"$or":{}}', "/$or"],
    ['{"$nor":[1]}', "/$nor/0"],
    ['{"a":{"$in":1}}', "/a/$in"],
    ['{"a":{"$gt":{"$regularExpression":{"pattern":"a","options":""}}}}', "/a/$gt"],
    ['{"a":{"$ne":{"$regularExpression":{"pattern":"a","options":""}}}}', "/a/$ne"],
    ['{"a":{"$exists":"x"}}', "/a/$exists"],
    ['{"a":{"$type":"text"}}', "/a/$type"],
    ['{"a":{"$type":[0]}}', "/a/$type/0"],
    ['{"a":{"$type":[]}}', "/a/$type"],
    ['{"a":{"$not":1}}', "/a/$not"],
    ['{"a":{"$not":{}}}', "/a/$not"],
    ['{"a":{"$elemMatch":1}}', "/a/$elemMatch"],
    ['{"a":{"$size":-1}}', "/a/$size"],
    ['{"a":{"$size":1.5}}', "/a/$size"],
    ['{"a":{"$mod":[0,1]}}', "/a/$mod"],
    ['{"a":{"$mod":[0.5,1]}}', "/a/$mod"],
    ['{"a":{"$mod":[1]}}', "/a/$mod"],
    ['{"a":{"$regex":1}}', "/a/$regex"],
    ['{"a":{"$regex":"a\\u0000"}}', "/a/$regex"],
    ['{"a":{"$regex":"a","$options":"g"}}', "/a/$options"],
    ['{"a":{"$options":"i"}}', "/a/$options"],
    ['{"a":{"$bitsAllSet":-1}}', "/a/$bitsAllSet"],
    ['{"a":{"$bitsAnySet":["x"]}}', "/a/$bitsAnySet/0"],
    ["[]", ""],
    ["null", ""],
    ['"a"', ""],
    [`{"$oid":"0123456789abcdef01234567"}`, ""],
  ];
  test.each(refused)("a filter of what isn't on the allow-list is refused: %s", (text, pointer) => {
    expect(refusedAt(() => read(text))).toBe(`#/filter${pointer}`);
  });

  test("the pointer begins where the caller says", () => {
    expect(refusedAt(() => readFilter({ tenant_id: 1 }, "?filter"))).toBe("?filter/tenant_id");
  });
});

describe("in the shared collection", () => {
  test.each([
    ['{"_id":5}', '{"_id.i":5}'],
    ['{"a":{"_id":1},"_id":{"$in":[1,{"_id":2}]}}', '{"a":{"_id":1},"_id.i":{"$in":[1,{"_id":2}]}}'],
    [
      '{"$and":[{"$or":[{"_id":1},{"b":2}]},{"$nor":[{"_id":{"$type":"object"}}]}]}',
      '{"$and":[{"$or":[{"_id.i":1},{"b":2}]},{"$nor":[{"_id.i":{"$type":"object"}}]}]}',
    ],
    ['{"_id":{"$not":{"$exists":true}}}', '{"_id.i":{"$not":{"$exists":true}}}'],
    ['{"_id":{"$elemMatch":{"_id":1}}}', '{"_id.i":{"$elemMatch":{"_id":1}}}'],
    ['{"a":{"$elemMatch":{"_id":1,"$or":[{"_id":2}]}}}', '{"a":{"$elemMatch":{"_id":1,"$or":[{"_id":2}]}}}'],
    ['{"a":"_id","a._id":"$_id"}', '{"a":"_id","a._id":"$_id"}'],
    ['{"_identity":1}', '{"_identity":1}'],
    [
      '{"b":{"$in":[{"$regularExpression":{"pattern":"a","options":""}}]}}',
      '{"b":{"$in":[{"$regularExpression":{"pattern":"a","options":""}}]}}',
    ],
  ])("%s asks %s", (text, placed) => {
    expect(printExtendedJson(placeFilter(read(text), "_id.i", "ferretdb"))).toBe(placed);
    expect(printExtendedJson(placeFilter(read(text), "_id", "ferretdb"))).toBe(text);
  });

  test("patterns in an $in of _id are asked in other words, as FerretDB doesn't find them", () => {
    const [one, pattern] = ["x", '{"$regularExpression":{"pattern":"a","options":""}}'];
    expect(
      printExtendedJson(
        placeFilter(read(`{"_id":{"$in":["${one}",${pattern}],"$ne":5},"$and":[{}]}`), "_id", "ferretdb"),
      ),
    ).toBe(`{"$and":[{"_id":{"$ne":5},"$and":[{}]},{"_id":{"$not":{"$nin":["${one}",${pattern}]}}}]}`);
    expect(printExtendedJson(placeFilter(read(`{"_id":{"$in":[${pattern}]}}`), "_id.i", "ferretdb"))).toBe(
      `{"_id.i":{"$not":{"$nin":[${pattern}]}}}`,
    );
  });

  test.each([
    ['{"a":{"$elemMatch":{"$gt":1}}}', '{"a":{"$not":{"$not":{"$elemMatch":{"$gt":1}}}}}'],
    [
      '{"_id":{"$ne":5,"$elemMatch":{"$gt":1}},"b":2}',
      '{"$and":[{"_id.i":{"$ne":5},"b":2},{"_id.i":{"$not":{"$not":{"$elemMatch":{"$gt":1}}}}}]}',
    ],
    [
      '{"$or":[{"a":{"$elemMatch":{"$not":{"$gt":1}}}},{"b":1}]}',
      '{"$or":[{"a":{"$not":{"$not":{"$elemMatch":{"$not":{"$gt":1}}}}}},{"b":1}]}',
    ],
    [
      '{"a":{"$all":[{"$elemMatch":{"$gt":1}},{"$elemMatch":{"b":1}}]}}',
      '{"$and":[{"a":{"$not":{"$not":{"$elemMatch":{"$gt":1}}}}},{"a":{"$not":{"$not":{"$elemMatch":{"b":1}}}}}]}',
    ],
    ['{"a":{"$elemMatch":{"b":{"$elemMatch":{"$gt":1}}}}}', '{"a":{"$elemMatch":{"b":{"$elemMatch":{"$gt":1}}}}}'],
    ['{"a":{"$elemMatch":{"$or":[{"b":1}]}}}', '{"a":{"$elemMatch":{"$or":[{"b":1}]}}}'],
    [
      '{"a":{"$all":[1,2]},"b":{"$not":{"$elemMatch":{"$gt":1}}}}',
      '{"a":{"$all":[1,2]},"b":{"$not":{"$elemMatch":{"$gt":1}}}}',
    ],
  ])("an $elemMatch of values is asked in other words, as it ends FerretDB: %s", (text, placed) => {
    expect(printExtendedJson(placeFilter(read(text), "_id.i", "ferretdb"))).toBe(placed);
    // MongoDB is asked as the caller asks: behind two `$not` it uses no index either.
    expect(printExtendedJson(placeFilter(read(text), "_id", "mongodb"))).toBe(text);
  });
});
