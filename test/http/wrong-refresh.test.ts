import { beforeAll } from "bun:test";
import { makeRefreshToken } from "../../src/session/token/refresh-token.ts";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row, strangersReader, wrongBodies, wrongTexts } from "../support/wrong-input.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  token = (await service.join("own")).token;
});
const good = { refresh_token: makeRefreshToken() };
/** Text that is no token of ours is refused as one, not as a wrong request: 422 is for what isn't text. */
const asToken = ({ pointers: _, ...row }: Row): Row => ({ ...row, status: 401, type: "refresh_token_invalid" });
const isTextOfItsLength = ({ name }: Row) => /NUL|replacement|surrogate|UTF-8/.test(name);

refuses(service, "POST /admin/refresh", { method: "POST", path: "/admin/refresh" }, [
  { name: "missing", ...invalid, pointers: ["#/refresh_token"], body: {} },
  { name: "null", ...invalid, pointers: ["#/refresh_token"], body: { refresh_token: null } },
  ...wrongTexts(good, "refresh_token").map((row) => (isTextOfItsLength(row) ? asToken(row) : row)),
  ...wrongBodies(good, strangersReader),
  { name: "201 characters", ...invalid, pointers: ["#/refresh_token"], body: { refresh_token: "x".repeat(201) } },
  ...["x", `${good.refresh_token}\n`, ` ${good.refresh_token}`, good.refresh_token.toUpperCase(), "crt_", "null"].map(
    (refresh_token) => asToken({ name: JSON.stringify(refresh_token), ...invalid, body: { refresh_token } }),
  ),
  asToken({ name: "of nobody's", ...invalid, body: good }),
  { name: "another method", status: 405, type: "method_not_allowed", method: "GET" },
]);

const authorization = () => `Bearer ${token}`;
const authorizations = wrongAuthorizations(service, {});
const someId = "0b9f7a3e-3c1d-4d0e-9f5b-6a2c8d7e1f40";
const at = (id: string) => `/admin/sessions/${id}`;

refuses(service, "GET /admin/sessions", { method: "GET", path: "/admin/sessions", authorization }, [
  ...authorizations,
  { name: "another method", status: 405, type: "method_not_allowed", method: "POST" },
]);

const wrongIds = [
  "x",
  someId.toUpperCase(),
  `${someId}0`,
  `{${someId}}`,
  `${someId}%0A`,
  "%00",
  "%FF",
  "..%2F..",
  "{%22$ne%22:1}",
  "x".repeat(8_000),
];
refuses(service, "DELETE /admin/sessions/:id", { method: "DELETE", path: at(someId), authorization }, [
  ...authorizations,
  ...wrongIds.map((id) => ({ name: `id: ${id.slice(0, 40)}`, ...invalid, pointers: ["{id}"], path: at(id) })),
  { name: "an id of nobody's", status: 404, type: "session_not_found" },
  { name: "a body of 5 MB", status: 413, type: "body_too_large", body: "x".repeat(5_000_000) },
  { name: "another method", status: 405, type: "method_not_allowed", method: "PUT" },
]);
