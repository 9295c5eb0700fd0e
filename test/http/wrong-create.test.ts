import { newcomer, useService } from "../support/service.ts";
import { invalid, refuses, type Row, strangersReader, wrongBodies, wrongTexts } from "../support/wrong-input.ts";
import { wrongNames } from "../support/wrong-names.ts";

const service = useService();
const good = newcomer("never");
const call = { method: "POST", path: "/org/create" };

const wrong = (field: keyof typeof good) => (name: string, value: unknown) => ({
  name: `${field}: ${name}`,
  ...invalid,
  pointers: [`#/${field}`],
  body: { ...good, [field]: value },
});
const name = wrong("organization_name");
const email = wrong("email");
const password = wrong("password");
const without = (field: keyof typeof good): Row => ({
  name: `${field}: missing`,
  ...invalid,
  pointers: [`#/${field}`],
  body: Object.fromEntries(Object.entries(good).filter(([key]) => key !== field)),
});

refuses(service, "POST /org/create", call, [
  without("organization_name"),
  without("email"),
  without("password"),
  { name: "all missing", ...invalid, pointers: ["#/organization_name", "#/email", "#/password"], body: {} },
  name("null", null),
  email("null", null),
  password("null", null),
  ...wrongTexts(good, "organization_name"),
  ...wrongTexts(good, "email"),
  ...wrongTexts(good, "password"),
  ...wrongNames.map(([what, value]) => name(what, value)),
  email("no @", "ada.example.com"),
  email("no domain", "ada@"),
  email("no local part", "@example.com"),
  email("a domain of one label", "ada@localhost"),
  email("two @", "ada@x@example.com"),
  email("two dots", "ada@example..com"),
  email("a dot at the start", ".ada@example.com"),
  email("a label that starts with a hyphen", "ada@-example.com"),
  email("a space", "ada lovelace@example.com"),
  email("a newline at its end", "ada@example.com\n"),
  email("a header after it", "ada@example.com\r\nBcc: eve@example.com"),
  email("a name around it", "Ada <ada@example.com>"),
  email("a list", "ada@example.com,eve@example.com"),
  email("a local part of 65 characters", `${"a".repeat(65)}@example.com`),
  email("255 characters", `a@${"b.".repeat(125)}com`),
  email("a zero-width space", "a\u200Bda@example.com"),
  email("an override of the writing direction", "ada\u202E@example.com"),
  password("7 characters", "Abcde-7"),
  password("7 characters, one of them typed as two", "E\u0301bcde-7"),
  password("73 bytes", `Aa1${"x".repeat(70)}`),
  password("73 bytes of 39 characters", `Aa1${"\u00e9".repeat(35)}`),
  password("no upper-case letter", "correct-horse-7"),
  password("no lower-case letter", "CORRECT-HORSE-7"),
  password("no digit", "Correct-Horse"),
  ...wrongBodies(good, strangersReader),
]);
