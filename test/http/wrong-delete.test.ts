import { beforeAll } from "bun:test";
import { useService } from "../support/service.ts";
import { refuses, type Row, wrongBodies, wrongTexts } from "../support/wrong-input.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  token = (await service.join("own")).token;
});

const good = { current_password: "Correct-Horse-7" };
/** A body that isn't a JSON object is as if there were none: clients of before send it so. `current-password.test.ts` does. */
const isNone = ({ name, type, pointers }: Row) =>
  type === "unsupported_content_type" ||
  type === "malformed_json" ||
  pointers?.[0] === "#" ||
  name === "body: nested very deep";
/** And with any other fields. */
const isReadOver = ({ name }: Row) => name.startsWith("unknown field: ");

refuses(
  service,
  "DELETE /org/delete",
  { method: "DELETE", path: "/org/delete", authorization: () => `Bearer ${token}` },
  [
    ...wrongAuthorizations(service, {}),
    ...wrongTexts(good, "current_password"),
    ...wrongBodies(good).filter((row) => !isNone(row) && !isReadOver(row)),
    { name: "a wrong password", status: 403, type: "current_password_incorrect", body: { current_password: "x" } },
    { name: "a body of 5 MB", status: 413, type: "body_too_large", body: "x".repeat(5_000_000) },
  ],
);
