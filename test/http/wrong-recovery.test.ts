import { beforeAll } from "bun:test";
import { makeRecoveryToken } from "../../src/session/token/recovery-token.ts";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row, strangersReader, wrongBodies, wrongTexts } from "../support/wrong-input.ts";

const service = useService();
beforeAll(async () => {
  await service.join("own");
});
const good = { token: makeRecoveryToken(), password: "Correct-Horse-7" };
/** Text that is no token of ours is refused as one, not as a wrong request: 422 is for what isn't text. */
const asToken = ({ pointers: _, ...row }: Row): Row => ({ ...row, status: 401, type: "recovery_token_invalid" });
const isTextOfItsLength = ({ name }: Row) => /NUL|replacement|surrogate|UTF-8/.test(name);
const wrong = (field: string, name: string, value: unknown): Row => ({
  name: `${field}: ${name}`,
  ...invalid,
  pointers: [`#/${field}`],
  body: { ...good, [field]: value },
});

refuses(service, "POST /admin/recovery", { method: "POST", path: "/admin/recovery" }, [
  { name: "no field", ...invalid, pointers: ["#/token", "#/password"], body: {} },
  { name: "no password", ...invalid, pointers: ["#/password"], body: { token: good.token } },
  { name: "no token", ...invalid, pointers: ["#/token"], body: { password: good.password } },
  wrong("token", "null", null),
  wrong("password", "null", null),
  ...wrongTexts(good, "token").map((row) => (isTextOfItsLength(row) ? asToken(row) : row)),
  ...wrongTexts(good, "password"),
  wrong("token", "201 characters", "x".repeat(201)),
  wrong("password", "7 characters", "Abcde-7"),
  wrong("password", "73 bytes", `Aa1${"x".repeat(70)}`),
  wrong("password", "no upper-case letter", "correct-horse-7"),
  wrong("password", "no lower-case letter", "CORRECT-HORSE-7"),
  wrong("password", "no digit", "Correct-Horse"),
  { ...wrong("email", "as if it said whose it is", "ada@acme.example"), pointers: ["#/email"] },
  ...wrongBodies(good, strangersReader),
  ...["x", `${good.token}\n`, ` ${good.token}`, good.token.toUpperCase(), "crv_", "null", `crt_${"A".repeat(43)}`].map(
    (token) => asToken(wrong("token", JSON.stringify(token), token)),
  ),
  asToken({ name: "of nobody's", ...invalid, body: good }),
  { name: "another method", status: 405, type: "method_not_allowed", method: "PUT" },
]);
