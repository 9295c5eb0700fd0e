import { beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { BSON } from "mongodb";
import { documentBytesMax } from "../../src/document/document.ts";
import { tiers } from "../../src/tenant/placement.ts";
import { expectProblem } from "../support/problem.ts";
import { type Client, joinAs, moveTo, useTiers } from "../support/tenants.ts";

// Three services, moves, and documents of 16 MB: a busy machine takes its time.
setDefaultTimeout(60_000);
const services = useTiers();
const hexId = expect.stringMatching(/^[0-9a-f]{24}$/);
const tag = expect.stringMatching(/^"[1-9]\d*-[\w-]{12}"$/);
const documents = "/documents";

/** Everything that a document can hold, as it is answered. */
const everyType = [
  '"int":5,"negative":-2147483648,"long":2147483648,"large":9007199254740991',
  '"larger":{"$numberLong":"9007199254740993"},"least":{"$numberLong":"-9223372036854775808"}',
  '"double":5.0,"half":0.5,"minus":-0.0,"huge":1e+300,"nan":{"$numberDouble":"NaN"},"inf":{"$numberDouble":"-Infinity"}',
  '"decimal":{"$numberDecimal":"1.10"},"tiny":{"$numberDecimal":"1E-6176"}',
  '"date":{"$date":"2026-11-24T09:30:00.123Z"},"early":{"$date":{"$numberLong":"-1"}}',
  '"first":{"$date":{"$numberLong":"-62135596800001"}},"last":{"$date":{"$numberLong":"8640000000000000"}}',
  '"oid":{"$oid":"0123456789abcdef01234567"},"uuid":{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}',
  '"bytes":{"$binary":{"base64":"AAEC","subType":"05"}},"none":{"$binary":{"base64":"","subType":"00"}}',
  '"pattern":{"$regularExpression":{"pattern":"^a/b","options":"im"}},"time":{"$timestamp":{"t":4294967295,"i":1}}',
  '"min":{"$minKey":1},"max":{"$maxKey":1},"null":null,"yes":true,"no":false',
  '"text":"é😀\\u0000\\"\\\\","empty":"","list":[1,[2.0,[]],{}],"inside":{"tenant_id":1,"_croupier":2,"_id":{"t":3}}',
  '"constructor":1,"toString":2,"10":"a name that is a number"',
];
// JavaScript puts names that are numbers first.
const sorted = (text: string) => JSON.stringify(JSON.parse(text));
const everything = `{"_id":"every",${everyType.join()}}`;

const scalars: [name: string, id: string][] = [
  ["an int", "42"],
  ["a negative int", "-1"],
  ["a long", '{"$numberLong":"9007199254740993"}'],
  ["a double", "4.5"],
  ["a whole double", "7.0"],
  ["NaN", '{"$numberDouble":"NaN"}'],
  ["a decimal", '{"$numberDecimal":"0.10"}'],
  ["true", "true"],
  ["false", "false"],
  ["a date", '{"$date":"2026-11-24T09:30:00Z"}'],
  ["a date before 1970", '{"$date":{"$numberLong":"-1"}}'],
  ["an ObjectId", '{"$oid":"0123456789abcdef01234567"}'],
  ["a UUID", '{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}'],
  ["bytes", '{"$binary":{"base64":"AAEC","subType":"00"}}'],
  ["a text", '"order-5"'],
  ["a text that looks like an ObjectId", '"0123456789abcdef01234568"'],
  ["a text that looks like a number", '"42"'],
  ["a text that looks like Extended JSON", '"{\\"$oid\\":\\"0123456789abcdef01234567\\"}"'],
  ["a text in quotes", '"\\"x\\""'],
  ["an empty text", '""'],
  ["a dot", '"."'],
  ["two dots", '".."'],
  ["a way up", '"../../x"'],
  ["slashes", '"a/b//c"'],
  ["signs of URLs", '"?a=1&b#c%2F%41+ ;@:"'],
  ["spaces", '" x "'],
  ["NUL", '"a\\u0000b"'],
  ["a text beyond ASCII", '"é😀"'],
  ["a word", '"null"'],
  ["a route's name", '"find"'],
  ["another route's name", '"count"'],
  ["1,024 bytes", JSON.stringify("é".repeat(512))],
];

describe.each([...tiers])("documents in the tier %s", (tier) => {
  let me: Client;
  beforeAll(async () => {
    me = await joinAs(services[tier]);
  });
  const insert = (body: unknown, headers?: Record<string, string>) => me.ask("POST", documents, body, headers);
  const at = (id: string) => `${documents}/${encodeURIComponent(id)}`;

  test("one that is inserted gets an id and a place, and is there", async () => {
    const { status, headers, body } = await insert({ color: "red", n: [1] });
    expect({ status, body }).toEqual({ status: 201, body: { _id: { $oid: hexId }, color: "red", n: [1] } });
    expect(headers.get("etag")).toEqual(tag);
    expect(headers.get("location")).toBe(`/org/documents/${body._id.$oid}`);
    expect(headers.get("cache-control")).toBe("no-store");
    const there = await me.ask("GET", at(body._id.$oid));
    expect({ status: there.status, body: there.body }).toEqual({ status: 200, body });
    expect(there.headers.get("etag")).toBe(headers.get("etag"));
  });

  test.each(scalars)("one whose id is %s is where Location says, and changes and goes by it", async (_name, id) => {
    const made = await insert(`{"_id":${id},"n":1}`);
    expect({ status: made.status, text: made.text }).toEqual({ status: 201, text: `{"_id":${id},"n":1}` });
    const path = made.headers.get("location")!.slice("/org".length);
    expect((await me.ask("GET", path)).text).toBe(made.text);
    expect((await me.ask("PATCH", path, { n: 2 })).text).toBe(`{"_id":${id},"n":2}`);
    expect((await me.ask("PUT", path, `{"_id":${id},"m":3}`)).text).toBe(`{"_id":${id},"m":3}`);
    expect((await insert(`{"_id":${id}}`)).status).toBe(409);
    expect((await me.ask("POST", `${documents}/find`, `{"filter":{"_id":${id}}}`)).text).toBe(
      `{"documents":[{"_id":${id},"m":3}],"next_cursor":null}`,
    );
    expect((await me.ask("DELETE", path)).status).toBe(204);
    expect((await me.ask("GET", path)).status).toBe(404);
  });

  test("every type of BSON comes back as it was sent, also after a change of another field and moves there and back", async () => {
    const made = await insert(everything);
    const fields = sorted(everything);
    expect(sorted(made.text)).toBe(fields);
    const typed = made.text;
    expect((await me.ask("GET", at("every"))).text).toBe(typed);
    const patched = await me.ask("PATCH", at("every"), { int: 6 });
    const now = typed.replace('"int":5', '"int":6');
    expect(patched.text).toBe(now);
    expect((await me.ask("GET", at("every"))).text).toBe(now);
    const found = await me.ask("POST", `${documents}/find`, { filter: { _id: "every" } });
    expect(found.text).toBe(`{"documents":[${now}],"next_cursor":null}`);
    for (const next of [...tiers.filter((other) => other !== tier), tier]) {
      await moveTo(services[tier], me.id, next);
      const moved = await me.ask("GET", at("every"));
      expect(moved.text).toBe(now);
      expect(moved.headers.get("etag")).toBe(patched.headers.get("etag"));
    }
  }, 120_000);

  test("If-Match lets only through who has seen the newest version, If-None-Match only who hasn't, and a refusal has its tag", async () => {
    const path = at("tagged");
    const first = (await insert({ _id: "tagged", n: 1 })).headers.get("etag")!;
    const changed = await me.ask("PATCH", path, { n: 2 }, { "if-match": `"7-x", ${first}` });
    expect(changed.status).toBe(200);
    const second = changed.headers.get("etag")!;
    expect(second).toEqual(tag);
    expect(second).not.toBe(first);
    for (const header of [first, `W/${second}`, '"0"', `"2-x",${first}`]) {
      for (const [method, body] of [["PUT", { n: 9 }], ["PATCH", { n: 9 }], ["DELETE"]] as const) {
        const answer = await me.ask(method, path, body, { "if-match": header });
        expectProblem(answer, { status: 412, type: "precondition_failed", path: `/org${path}` });
        expect(answer.headers.get("etag")).toBe(second);
      }
      const read = await me.ask("GET", path, undefined, { "if-match": header });
      expectProblem(read, { status: 412, type: "precondition_failed", path: `/org${path}` });
      expect(read.headers.get("etag")).toBe(second);
    }
    for (const header of [second, `W/${second}`, "*", `"1-x", ${second}`]) {
      for (const [method, body] of [["PUT", { n: 9 }], ["PATCH", { n: 9 }], ["DELETE"]] as const) {
        const answer = await me.ask(method, path, body, { "if-none-match": header });
        expectProblem(answer, { status: 412, type: "precondition_failed", path: `/org${path}` });
        expect(answer.headers.get("etag")).toBe(second);
      }
    }
    // First If-Match, then If-None-Match (RFC 9110, 13.2.2).
    const both = { "if-match": first, "if-none-match": second };
    expect((await me.ask("GET", path, undefined, both)).status).toBe(412);
    expect((await me.ask("GET", path, undefined, { ...both, "if-match": second })).status).toBe(304);
    expect((await me.ask("GET", path, undefined, { "if-match": `"0", ${second}` })).status).toBe(200);
    for (const header of [second, `W/${second}`, "*", `"1-x", ${second}`]) {
      const same = await me.ask("GET", path, undefined, { "if-none-match": header });
      expect({ status: same.status, text: same.text }).toEqual({ status: 304, text: "" });
      expect(same.headers.get("etag")).toBe(second);
    }
    expect((await me.ask("GET", path, undefined, { "if-none-match": first })).body).toEqual({ _id: "tagged", n: 2 });
    const other = { "if-match": "*", "if-none-match": first };
    expect((await me.ask("PUT", path, { n: 3 }, other)).body).toEqual({ _id: "tagged", n: 3 });
    const newest = (await me.ask("GET", path)).headers.get("etag")!;
    expect((await me.ask("DELETE", path, undefined, { "if-match": newest })).status).toBe(204);
    expect((await me.ask("DELETE", path)).status).toBe(404);
    const gone = await me.ask("PUT", path, {}, { "if-match": "*" });
    expect([gone.status, gone.headers.get("etag")]).toEqual([412, null]);
    expect((await me.ask("PUT", path, {}, { "if-none-match": "*" })).status).toBe(404);
    expect((await me.ask("GET", path, undefined, { "if-match": "*" })).status).toBe(404);
  });

  test("a merge patch sets, merges and removes; a replacement leaves nothing of before", async () => {
    await insert('{"_id":"patched","a":1,"b":{"c":1,"d":[1,2]},"e":{"$date":"2026-01-01T00:00:00Z"}}');
    const patch = '{"a":null,"b":{"c":null,"d":[3],"x":{"y":null,"z":1}},"f":5.0,"nothing":null}';
    const headers = { "content-type": "application/merge-patch+json" };
    expect((await me.ask("PATCH", at("patched"), patch, headers)).text).toBe(
      '{"_id":"patched","b":{"d":[3],"x":{"z":1}},"e":{"$date":"2026-01-01T00:00:00Z"},"f":5.0}',
    );
    expect((await me.ask("PATCH", at("patched"), { b: 1, e: { x: 1 } })).text).toBe(
      '{"_id":"patched","b":1,"e":{"x":1},"f":5.0}',
    );
    expect((await me.ask("PUT", at("patched"), { a: null })).text).toBe('{"_id":"patched","a":null}');
    expect((await me.ask("PATCH", at("patched"), {})).text).toBe('{"_id":"patched","a":null}');
    expect((await me.ask("GET", at("patched"))).text).toBe('{"_id":"patched","a":null}');
  });

  test("of several each is inserted by itself, and the answer says which were not and what is stored", async () => {
    const all = await insert([{ _id: "m1" }, { n: 1 }, { _id: 5 }]);
    expect({ status: all.status, body: all.body }).toEqual({
      status: 201,
      body: { inserted_count: 3, inserted_ids: ["m1", { $oid: hexId }, 5] },
    });
    expect(all.headers.get("location")).toBeNull();
    const some = await insert([{ _id: "m2" }, { _id: "m1" }, { n: 2 }, { _id: { $numberDecimal: "5" } }]);
    expectProblem(some, {
      status: 409,
      type: "document_exists",
      path: "/org/documents",
      pointers: ["#/1/_id", "#/3/_id"],
    });
    expect(some.body.inserted_ids).toEqual(["m2", { $oid: hexId }]);
    expect((await me.ask("GET", at("m2"))).status).toBe(200);
    const one = await insert([{ _id: "m1" }]);
    expect(one.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(["#/0/_id"]);
    expect(one.body.inserted_ids).toEqual([]);
  });

  test("an id that is taken is said to be, whatever the organization is called", async () => {
    for (const organization_name of ["x-index", "x-index_id_"]) {
      const other = await joinAs(services[tier]);
      expect((await other.ask("PUT", "/update", { organization_name })).status).toBe(200);
      await other.ask("POST", "/indexes", { key: { mail: 1 }, unique: true });
      await other.ask("POST", documents, { _id: "a", mail: "a" });
      const path = "/org/documents";
      const exists = { status: 409, type: "document_exists", path };
      expectProblem(await other.ask("POST", documents, { _id: "a", mail: "b" }), { ...exists, pointers: ["#/_id"] });
      const some = await other.ask("POST", documents, [{ _id: "b" }, { _id: "a", mail: "b" }]);
      expectProblem(some, { ...exists, pointers: ["#/1/_id"] });
      const taken = await other.ask("POST", documents, { _id: "c", mail: "a" });
      expectProblem(taken, { status: 409, type: "unique_violated", path, pointers: ["#"] });
    }
  });

  describe("an Idempotency-Key", () => {
    const key = (value: string) => ({ "idempotency-key": value });
    const count = async (filter: object) => (await me.ask("POST", `${documents}/count`, { filter })).body.count;
    /** As if the process had died before it could say that an insert was done. */
    const forget = () => services[tier].db.collection("idempotency_keys").updateMany({}, { $set: { done: false } });

    test("makes one document of an insert that is sent twice, and gives the same answer", async () => {
      const answers = [await insert({ once: 1 }, key("a")), await insert({ once: 1 }, key("a"))];
      for (const { status, body } of answers) expect({ status, body }).toEqual({ status: 201, body: answers[0]!.body });
      for (const name of ["etag", "location"])
        expect(answers[1]!.headers.get(name)).toBe(answers[0]!.headers.get(name));
      expect(await count({ once: 1 })).toBe(1);
    });

    test("makes one of twenty that arrive together, of one document and of several", async () => {
      for (const body of [{ twenty: 1 }, [{ twenty: 2 }, { _id: "twenty", twenty: 2 }]]) {
        const name = JSON.stringify(body).replaceAll('"', "'");
        const answers = await Promise.all(Array.from({ length: 20 }, () => insert(body, key(name))));
        expect([...new Set(answers.map(({ status, text }) => `${status} ${text}`))]).toHaveLength(1);
        expect(answers[0]!.status).toBe(201);
      }
      expect([await count({ twenty: 1 }), await count({ twenty: 2 })]).toEqual([1, 2]);
    });

    test("is refused with another body", async () => {
      await insert({ reused: 1 }, key("b"));
      const again = await insert({ reused: 2 }, key("b"));
      expectProblem(again, { status: 422, type: "idempotency_key_reused", path: "/org/documents" });
      expect(await count({ reused: 2 })).toBe(0);
    });

    test("does not bring back what was removed or changed since", async () => {
      const { body, text } = await insert({ removed: 1 }, key("c"));
      await me.ask("DELETE", at(body._id.$oid));
      const again = await insert({ removed: 1 }, key("c"));
      expect({ status: again.status, text: again.text }).toEqual({ status: 201, text });
      expect(await count({ removed: 1 })).toBe(0);
    });

    test("brings nothing back when its answer was lost and others have changed or removed what it had stored", async () => {
      const sent = [{ _id: "lost-1" }, { _id: "lost-2" }, { _id: "lost-3" }];
      const first = await insert(sent, key("lost"));
      await forget();
      for (let n = 0; n < 6; n++) await me.ask("PUT", at("lost-1"), { n });
      await me.ask("DELETE", at("lost-2"));
      await me.ask("DELETE", at("lost-3"));
      await insert({ _id: "lost-3", another: true });
      const again = await insert(sent, key("lost"));
      expect({ status: again.status, text: again.text }).toEqual({ status: 201, text: first.text });
      expect((await me.ask("GET", at("lost-1"))).body).toEqual({ _id: "lost-1", n: 5 });
      expect((await me.ask("GET", at("lost-2"))).status).toBe(404);
      expect((await me.ask("GET", at("lost-3"))).body).toEqual({ _id: "lost-3", another: true });
    });

    test("gives a refusal again too, and doesn't bring back what was stored beside it", async () => {
      await insert({ _id: "taken" });
      const sent = [{ _id: "beside" }, { _id: "taken" }, { beside: 1 }];
      const first = await insert(sent, key("d"));
      expect(first.status).toBe(409);
      await me.ask("DELETE", at("beside"));
      await me.ask("DELETE", at("taken"));
      const again = await insert(sent, key("d"));
      const { request_id: _, ...problem } = first.body;
      expect(again.body).toMatchObject(problem);
      expect((await me.ask("GET", at("beside"))).status).toBe(404);
      expect(await count({ beside: 1 })).toBe(1);
    });

    test("is an organization's own", async () => {
      const other = await joinAs(services[tier]);
      const answers = [
        await insert({ own: 1 }, key("e")),
        await other.ask("POST", documents, { own: 2 }, key("e")),
        await other.ask("POST", documents, { own: 2 }, key("e")),
      ];
      expect(answers.map(({ status, body }) => [status, body.own])).toEqual([
        [201, 1],
        [201, 2],
        [201, 2],
      ]);
      expect((await other.ask("POST", `${documents}/count`, {})).body).toEqual({ count: 1 });
    });

    test("remembers ids that are long and many", async () => {
      const sent = Array.from({ length: 10_000 }, (_, n) => ({ _id: `${n}-`.padEnd(1_024, "x"), long: 1 }));
      const answers = [await insert(sent, key("f")), await insert(sent, key("f"))];
      await forget();
      answers.push(await insert(sent, key("f")));
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
      expect(await count({ long: 1 })).toBe(10_000);
    }, 60_000);

    test("that comes with documents that are all refused is remembered with a letter for each of them", async () => {
      const other = await joinAs(services[tier]);
      const sent = Array.from({ length: 2_000 }, (_, n) => ({ _id: n }));
      await other.ask("POST", documents, sent);
      for (let time = 0; time < 2; time++) {
        const refused = await other.ask("POST", documents, sent, key("g"));
        expect(refused.status).toBe(409);
        expect(refused.body.inserted_ids).toEqual([]);
        expect(refused.body.errors[999]).toMatchObject({ pointer: "#/999/_id", code: "document_exists" });
      }
      const records = await services[tier].db.collection("idempotency_keys").find({ done: true }).toArray();
      const record = records.find(({ outcome }) => outcome === "i".repeat(2_000));
      expect(BSON.calculateObjectSize(record!)).toBeLessThan(2_500);
    }, 60_000);
  });

  test("a document may have 16 MB, and not a byte more", async () => {
    const overhead = 4 + 1 + 1 + "_id\0".length + 4 + "big\0".length + 1 + "a\0".length + 4 + 1;
    const largest = "x".repeat(documentBytesMax - overhead);
    expect((await insert({ _id: "big", a: largest })).status).toBe(201);
    expect((await me.ask("GET", at("big"))).body.a === largest).toBeTrue();
    const path = `/org${at("big")}`;
    const tooLarge = { status: 413, type: "document_too_large" };
    expectProblem(await insert({ _id: "big", a: `${largest}x` }), { ...tooLarge, path: "/org/documents" });
    expectProblem(await me.ask("PUT", at("big"), { a: `${largest}x` }), { ...tooLarge, path });
    expectProblem(await me.ask("PATCH", at("big"), { b: 1 }), { ...tooLarge, path });
    expect((await me.ask("PUT", at("big"), { a: largest })).status).toBe(200);
    expect((await me.ask("DELETE", at("big"))).status).toBe(204);
  }, 60_000);

  test("a batch of thousands is there as a whole, and is walked through page by page", async () => {
    const other = await joinAs(services[tier]);
    const sent = Array.from({ length: 5_000 }, (_, n) => ({ _id: n, group: n % 7, text: "x".repeat(n % 50) }));
    expect((await other.ask("POST", documents, sent)).body.inserted_count).toBe(5_000);
    expect((await other.ask("POST", `${documents}/count`, {})).body).toEqual({ count: 5_000 });
    const walked: { _id: number; group: number }[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor ? `&cursor=${cursor}` : "";
      const page = await other.ask("GET", `${documents}?limit=999&sort=-group&filter={"group":{"$gt":2}}${query}`);
      expect(page.status).toBe(200);
      walked.push(...page.body.documents);
      cursor = page.body.next_cursor;
    } while (cursor);
    const expected = sent.filter(({ group }) => group > 2).sort((a, b) => b.group - a.group || a._id - b._id);
    expect(walked).toEqual(expected);
  }, 60_000);

  test("a batch of more documents than the database takes at once is there as a whole, but for what was there", async () => {
    const other = await joinAs(services[tier]);
    const sent = Array.from({ length: 30_000 }, (_, n) => ({ _id: n }));
    await other.ask("POST", documents, [sent[9], sent[29_990]]);
    const refused = await other.ask("POST", documents, sent);
    const pointers = ["#/9/_id", "#/29990/_id"];
    expect(refused.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers);
    expect(refused.body.inserted_ids).toEqual(sent.map(({ _id }) => _id).filter((n) => n !== 9 && n !== 29_990));
    expect((await other.ask("POST", `${documents}/count`, {})).body).toEqual({ count: 30_000 });
  }, 60_000);

  test.each([
    ["ids", "document_exists", 100],
    // FerretDB finds out one by one who waits for whom.
    ["unique values", "unique_violated", 8],
  ])(
    "arrays that come together with the same %s, in any order, store each once",
    async (what, type, length) => {
      const other = await joinAs(services[tier]);
      await other.ask("POST", "/indexes", { key: { mail: 1 }, unique: true });
      for (let round = 0; round < 3; round++) {
        const names = Array.from({ length }, (_, n) => `${round}.${n}`);
        const ids = names.map((name) => (what === "ids" ? { _id: name, mail: name } : { mail: name }));
        const arrays = [ids, ids.toReversed(), ids, ids.toReversed()];
        const answers = await Promise.all(arrays.map((each) => other.ask("POST", documents, each)));
        for (const answer of answers) {
          if (answer.status !== 201) expectProblem(answer, { status: 409, type, path: "/org/documents" });
        }
        const counts = answers.map(({ body }) => body.inserted_ids.length);
        expect(counts.reduce((sum, count) => sum + count)).toBe(length);
      }
      const pipeline = [{ $group: { _id: "$mail" } }];
      expect((await other.ask("POST", `${documents}/aggregate`, { pipeline })).body.documents).toHaveLength(3 * length);
      expect((await other.ask("POST", `${documents}/count`, {})).body).toEqual({ count: 3 * length });
    },
    60_000,
  );

  test("a page has at most 16 MB, and the next one goes on from there", async () => {
    const other = await joinAs(services[tier]);
    for (const _id of [1, 2, 3, 4, 5]) await other.ask("POST", documents, { _id, text: "x".repeat(6_000_000) });
    const walked: number[] = [];
    let cursor: string | null = null;
    do {
      const page = await other.ask("POST", `${documents}/find`, { sort: "-_id", cursor });
      expect(page.text.length).toBeLessThan(20_000_000);
      walked.push(...page.body.documents.map(({ _id }: { _id: number }) => _id));
      cursor = page.body.next_cursor;
    } while (cursor);
    expect(walked).toEqual([5, 4, 3, 2, 1]);
    const all = await other.ask("POST", `${documents}/aggregate`, { pipeline: [] });
    expectProblem(all, { status: 422, type: "query_refused", path: "/org/documents/aggregate" });
    const some = await other.ask("POST", `${documents}/aggregate`, { pipeline: [{ $unset: "text" }] });
    expect(some.body.documents).toHaveLength(5);
  }, 60_000);

  test("an aggregate has at most a thousand results, and is not refused for having all of them", async () => {
    const other = await joinAs(services[tier]);
    await other.ask(
      "POST",
      documents,
      Array.from({ length: 1_200 }, (_, n) => ({ _id: n })),
    );
    const limit = (n: number) => [{ $sort: { _id: 1 } }, { $limit: n }];
    const pipelines = [[], [{ $group: { _id: { $add: ["$_id", 1] } } }], limit(999), limit(1_000), limit(1_001)];
    const counts: number[] = [];
    for (const pipeline of pipelines) {
      const { body, text } = await other.ask("POST", `${documents}/aggregate`, { pipeline });
      counts.push(body.documents?.length ?? text);
    }
    expect(counts).toEqual([1_000, 1_000, 999, 1_000, 1_000]);
  });

  test("lists, finds, counts and aggregates what matches, in the order that is asked for", async () => {
    const other = await joinAs(services[tier]);
    await other.ask("POST", documents, [
      { _id: 1, color: "red", n: 3, tags: ["a", "b"] },
      { _id: 2, color: "blue", n: 1 },
      { _id: 3, color: "red", n: 2, deep: { x: 1, y: 2 } },
    ]);
    const ids = ({ body }: { body: any }) => body.documents.map(({ _id }: { _id: unknown }) => _id);
    const q = (value: unknown) => encodeURIComponent(JSON.stringify(value));
    const list = (search: string) => other.ask("GET", `${documents}?${search}`);
    const find = (body: object) => other.ask("POST", `${documents}/find`, body);
    expect(ids(await list(""))).toEqual([1, 2, 3]);
    expect(ids(await list("sort=-n"))).toEqual([1, 3, 2]);
    expect(ids(await list(`sort=${q({ color: -1, n: 1 })}`))).toEqual([3, 1, 2]);
    expect(ids(await list(`filter=${q({ color: "red" })}&limit=1`))).toEqual([1]);
    expect((await list(`filter=${q({ _id: 3 })}&projection=${q({ "deep.y": 1, _id: 0 })}`)).body).toEqual({
      documents: [{ deep: { y: 2 } }],
      next_cursor: null,
    });
    expect(ids(await find({ filter: { tags: "b" } }))).toEqual([1]);
    expect(ids(await find({ filter: { _id: { $in: [1, 3] } }, sort: { _id: -1 } }))).toEqual([3, 1]);
    const page = await find({ sort: "color", limit: 2, projection: { n: 1 } });
    expect(page.body.documents).toEqual([
      { _id: 2, n: 1 },
      { _id: 1, n: 3 },
    ]);
    const rest = await find({ sort: "color", limit: 2, projection: { n: 1 }, cursor: page.body.next_cursor });
    expect(rest.body).toEqual({ documents: [{ _id: 3, n: 2 }], next_cursor: null });
    expect((await other.ask("POST", `${documents}/count`, { filter: { color: "red" } })).body).toEqual({ count: 2 });
    const pipeline = [{ $match: { n: { $lt: 3 } } }, { $sort: { _id: -1 } }, { $project: { all: "$$ROOT" } }];
    expect((await other.ask("POST", `${documents}/aggregate`, { pipeline })).body.documents).toEqual([
      { _id: 3, all: { _id: 3, color: "red", n: 2, deep: { x: 1, y: 2 } } },
      { _id: 2, all: { _id: 2, color: "blue", n: 1 } },
    ]);
    const wrongCursor = await find({ sort: "n", limit: 2, cursor: page.body.next_cursor });
    expectProblem(wrongCursor, { status: 422, type: "invalid_cursor", path: "/org/documents/find" });
  });

  test("an organization that was deleted takes its tokens along at once", async () => {
    const leaving = await joinAs(services[tier]);
    await leaving.ask("POST", documents, { _id: "x" });
    expect((await leaving.ask("DELETE", "/delete")).status).toBe(204);
    expect((await leaving.ask("GET", documents)).status).toBe(401);
    expect((await leaving.ask("POST", documents, { _id: "y" })).status).toBe(401);
  });
});
