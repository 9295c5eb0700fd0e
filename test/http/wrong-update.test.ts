import { beforeAll } from "bun:test";
import { useService } from "../support/service.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";
import { invalid, refuses, type Row, wrongBodies, wrongTexts } from "../support/wrong-input.ts";
import { wrongNames } from "../support/wrong-names.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  const own = await service.join("own");
  token = own.token;
  await service.db.collection(`org_${own.organization_name}`).insertOne({ kept: true });
});

const call = { method: "PUT", path: "/org/update", authorization: () => `Bearer ${token}` };
const wrong = (field: string, name: string, value: unknown): Row => ({
  name: `${field}: ${name}`,
  ...invalid,
  pointers: [`#/${field}`],
  // Together with changes that would be right: they are not made either.
  body: { organization_name: "other-name", email: "other@example.com", password: "Other-Horse-8", [field]: value },
});
const nothing = (name: string, body: unknown): Row => ({
  name: `nothing to change: ${name}`,
  ...invalid,
  pointers: ["#"],
  body,
});

refuses(service, "PUT /org/update", call, [
  nothing("no field", {}),
  nothing("the current password only", { current_password: "Correct-Horse-7" }),
  ...wrongTexts({ current_password: "Correct-Horse-7", organization_name: "other-name" }, "current_password"),
  wrong("current_password", "1,001 characters", "x".repeat(1_001)),
  {
    name: "current_password: a wrong one",
    status: 403,
    type: "current_password_incorrect",
    body: { current_password: "Wrong-Horse-1", organization_name: "other-name" },
  },
  nothing("all null", { organization_name: null, email: null, password: null }),
  ...wrongTexts({ organization_name: "other-name" }, "organization_name"),
  ...wrongTexts({ organization_name: "other-name", email: "other@example.com" }, "email"),
  ...wrongTexts({ password: "Other-Horse-8", email: "other@example.com" }, "password"),
  ...wrongNames.map(([name, value]) => wrong("organization_name", name, value)),
  wrong("email", "no @", "other.example.com"),
  wrong("email", "a newline at its end", "other@example.com\n"),
  wrong("password", "7 characters", "Abcde-7"),
  wrong("password", "73 bytes", `Aa1${"x".repeat(70)}`),
  wrong("password", "no upper-case letter", "correct-horse-7"),
  wrong("password", "no lower-case letter", "CORRECT-HORSE-7"),
  wrong("password", "no digit", "Correct-Horse"),
  {
    name: "every field wrong at once",
    ...invalid,
    pointers: ["#/organization_name", "#/email", "#/password"],
    body: { organization_name: "a", email: "b", password: "c" },
  },
  ...wrongBodies({ organization_name: "other-name", email: "other@example.com" }),
]);

refuses(service, "PUT /org/update", call, wrongAuthorizations(service, { body: { organization_name: "other-name" } }));
