import { expect, setDefaultTimeout, test } from "bun:test";
import { MongoBulkWriteError } from "mongodb";
import { emailKeys, normalizeEmail } from "../../src/admin/admin.ts";
import { findByEmail } from "../../src/admin/store.ts";
import { prepare } from "../../src/prepare.ts";
import { inspect } from "../../src/takeover/inspect.ts";
import { useFleet } from "../support/fleet.ts";
import { legacyRecords } from "../support/legacy.ts";

setDefaultTimeout(60_000);
const fleet = useFleet();

/** Letters in forms that folding or normalizing makes one of, or that one might think so. */
const letters = [
  ["\u01f0", "j\u030c", "J\u030c"],
  ["\u00e5", "a\u030a", "\u212b", "\u00c5"],
  ["\u0390", "\u1fd3", "\u03b9\u0308\u0301", "\u0399\u0308\u0301"],
  ["\u1e96", "h\u0331", "H\u0331"],
  ["k", "K", "\u212a"],
  ["i", "I", "\u0131", "\u0130", "i\u0307"],
  ["ss", "\u00df", "\u1e9e", "SS", "\u017f\u017f"],
  ["\u03c3", "\u03c2", "\u03a3"],
  ["\u0149", "\u02bcn", "\u02bcN"],
  ["\u0345a", "\u03b9a", "\u0399a", "\u1fbea"],
  ["q\u0323\u0307", "q\u0307\u0323", "Q\u0307\u0323"],
  ["a@\u00fc.example", "a@xn--tda.example", "a@u\u0308.example", "a@\u00dc.example", "A@XN--TDA.example"],
];

/** In each order in which two of them, or all, may have been made. */
function orders(forms: readonly string[]): string[][] {
  const pairs = forms.flatMap((one) => forms.filter((other) => other !== one).map((other) => [one, other]));
  return [...pairs, [...forms], [...forms].reverse()];
}

test.each([
  ["all are taken over", (): boolean => false],
  ["the first one was made by this version", (place: number): boolean => place === 0],
])(
  "of emails that differ in the form of a letter only, each is found by its own spelling or reported, when %s",
  async (name, isNew) => {
    const groups = letters.flatMap(orders).map((forms, group) =>
      forms.map((form, place) => {
        const hint = `${name.length}g${group}`;
        const typed = form.includes("@") ? hint + form : `${hint}${form}@letters.example`;
        const email = isNew(place) ? normalizeEmail(typed) : typed;
        const createdAt = new Date(Date.UTC(2020, 0, 1 + place));
        return legacyRecords(`${hint}-${place}`, email, {
          createdAt,
          ...(isNew(place) && { admin: { email_keys: emailKeys(email) } }),
        });
      }),
    );
    const all = groups.flat();
    await fleet.db.collection("organizations").insertMany(all.map(({ organization }) => organization));
    const inserted = await fleet.db
      .collection("admin_users")
      .insertMany(
        all.map(({ admin }) => admin!),
        { ordered: false },
      )
      .catch((error: MongoBulkWriteError) => error);
    const refused =
      inserted instanceof MongoBulkWriteError ? [inserted.writeErrors].flat().map(({ index }) => index) : [];
    await prepare(fleet.deps);
    const findings = await inspect(fleet.deps);
    const reported = new Set(findings.flatMap((finding) => ("admin_ids" in finding ? finding.admin_ids : [])));
    const lost: string[] = [];
    for (const [index, { admin }] of all.entries()) {
      if (refused.includes(index)) continue;
      const { _id, email } = admin!;
      const found = await findByEmail(fleet.db, email);
      if (!found?._id.equals(_id) && !reported.has(_id.toHexString())) lost.push(email);
    }
    expect(lost).toEqual([]);
    // The same spelling after normalizing can be there once.
    expect(refused.length).toBeLessThan(all.length / 3);
  },
);
