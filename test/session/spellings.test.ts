import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { emailKey, emailKeys } from "../../src/admin/admin.ts";
import { inspect } from "../../src/takeover/inspect.ts";
import { createLogger } from "../../src/log.ts";
import { takeOver } from "../../src/takeover/take-over.ts";
import { newcomer, useService } from "../support/service.ts";
import { deploymentsOf } from "../support/fleet.ts";

setDefaultTimeout(60_000);
const service = useService();

/** Letters that have another case or another normal form; of those of Hangul all are made alike. */
const letters = function* () {
  for (let point = 0x80; point <= 0x1ffff; point++) {
    const letter = String.fromCodePoint(point);
    if (!letter.isWellFormed() || /[\p{C}\p{Z}]/u.test(letter) || (point > 0xac10 && point < 0xd7a0)) continue;
    const others = [letter.toLowerCase(), letter.toUpperCase(), letter.normalize("NFD"), letter.normalize("NFC")];
    if (others.some((other) => other !== letter)) yield letter;
  }
};

describe("the form in which emails are compared", () => {
  test("is the same for a letter in whatever case and normal form, and isn't changed by taking it again", () => {
    const wrong: string[] = [];
    for (const letter of letters()) {
      for (const text of [letter, `a${letter}`, `${letter}\u030c`]) {
        const key = emailKey(`${text}@example.com`);
        const forms = [
          text.normalize("NFC"),
          text.normalize("NFD"),
          text.toLowerCase(),
          text.toLowerCase().normalize("NFC"),
        ];
        if ([...forms.map((form) => emailKey(`${form}@example.com`)), emailKey(key)].some((each) => each !== key))
          wrong.push(text);
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each([
    ["Ada@Example.COM", "ada@example.com"],
    ["a@b\u00fccher.example", "a@xn--bcher-kva.example"],
    ["a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"],
    ["a@BU\u0308CHER.example", "a@xn--bcher-kva.example"],
    ["a@fa\u00df.de", "a@xn--fa-hia.de"],
    ["a@\uff45xample.com", "a@example.com"],
    ["\u039f\u0394\u039f\u03a3@a.example", "\u03bf\u03b4\u03bf\u03c3@a.example"],
    ["\u03bf\u03b4\u03bf\u03c2@a.example", "\u03bf\u03b4\u03bf\u03c3@a.example"],
    ["J\u030c@a.example", "\u01f0@a.example"],
    ["\u0131@a.example", "\u0131@a.example"],
    ["stra\u00dfe@a.example", "stra\u00dfe@a.example"],
    // No domain: it is left as it is.
    ["a@xn--a.example", "a@xn--a.example"],
    ["a@1.2.3", "a@1.2.3"],
  ])("of %s is %s", (email, key) => {
    expect(emailKey(email)).toBe(key);
    expect(emailKeys(email)[0]).toBe(key);
  });
});

test("one mailbox is one account, with its domain in letters and in ASCII", async () => {
  const one = newcomer("idn");
  const [readable, ascii] = ["b\u00fccher.example", "xn--bcher-kva.example"].map(
    (domain) => `${one.organization_name}@${domain}`,
  );
  for (const [first, second] of [
    [readable!, ascii!],
    [ascii!.replace("idn", "idn2"), readable!.replace("idn", "idn2").toUpperCase()],
  ] as const) {
    const made = await service.send("POST", "/org/create", { body: { ...newcomer("idn"), email: first } });
    expect(made).toMatchObject({ status: 201, body: { email: first } });
    const again = await service.send("POST", "/org/create", { body: { ...newcomer("idn"), email: second } });
    expect(again.status).toBe(400);
    expect(again.body.detail).toContain("already exists");
    for (const email of [first, second, second.toLowerCase(), `${first.slice(0, -7)}EXAMPLE`]) {
      const signedIn = await service.send("POST", "/admin/login", { body: { email, password: one.password } });
      expect([email, signedIn.status]).toEqual([email, 200]);
    }
    const token = (await service.send("POST", "/admin/login", { body: { email: first, password: one.password } })).body
      .access_token;
    // The other spelling of the own email, and a new one: the old one is free again, in all its spellings.
    for (const email of [second, newcomer().email]) {
      const changed = await service.send("PUT", "/org/update", { token, body: { email } });
      expect(changed.status).toBe(200);
    }
    const free = await service.send("POST", "/org/create", { body: { ...newcomer("idn"), email: second } });
    expect(free.status).toBe(201);
  }
});

test("accounts that were stored in other forms are found, keep others out, and are reported where two are one mailbox", async () => {
  const { db } = service;
  const admins = db.collection<{ email: string; email_keys?: string[] }>("admin_users");
  const store = async (domain: string, local: string, form: "earlier" | "first") => {
    const who = newcomer("old");
    await service.send("POST", "/org/create", { body: who });
    const email = `${local}@${domain}`;
    const keys = form === "first" ? { $unset: { email_keys: 1 } } : {};
    await admins.updateOne({ email: who.email }, {
      $set: { email, ...(form === "earlier" && { email_keys: [email.toLowerCase()] }) },
      ...keys,
    } as never);
    return email;
  };
  const signIn = async (email: string) =>
    (await service.send("POST", "/admin/login", { body: { email, password: newcomer().password } })).body
      ?.organization_name;
  for (const form of ["earlier", "first"] as const) {
    for (const domain of ["m\u00fcller.example", "xn--mller-kva.example"]) {
      const email = await store(domain, `${form}-${domain.length}`, form);
      await takeOver({ db, log: createLogger("silent") });
      for (const other of ["m\u00fcller.example", "xn--mller-kva.example"]) {
        const spelled = `${email.slice(0, email.indexOf("@"))}@${other}`;
        expect([spelled, await signIn(spelled)]).toEqual([spelled, expect.stringContaining("old")]);
        const again = await service.send("POST", "/org/create", { body: { ...newcomer(), email: spelled } });
        expect(again.status).toBe(400);
      }
    }
  }
  const both = [
    await store("m\u00fcller.example", "both", "first"),
    await store("xn--mller-kva.example", "both", "first"),
  ];
  await takeOver({ db, log: createLogger("silent") });
  const names = await Promise.all(both.map(signIn));
  expect(new Set(names).size).toBe(2);
  expect(names).not.toContain(undefined);
  const found = await admins.find({ email: { $in: both } }).toArray();
  const findings = (await inspect({ db, deployments: deploymentsOf(db), log: createLogger("silent") })).filter(
    ({ finding }) => finding === "emails_differ_in_case_only",
  );
  expect(findings).toEqual([
    {
      finding: "emails_differ_in_case_only",
      admin_ids: expect.arrayContaining(found.map(({ _id }) => _id.toHexString())),
    },
  ]);
});
