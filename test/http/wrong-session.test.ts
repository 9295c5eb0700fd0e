import { beforeAll } from "bun:test";
import { useService } from "../support/service.ts";
import { refuses, type Row } from "../support/wrong-input.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  token = (await service.join("own")).token;
});

const authorization = () => `Bearer ${token}`;
const large: Row = { name: "a body of 5 MB", status: 413, type: "body_too_large", body: "x".repeat(5_000_000) };
const authorizations = wrongAuthorizations(service, {});

for (const path of ["/admin/logout", "/admin/logout-all"]) {
  refuses(service, `POST ${path}`, { method: "POST", path, authorization }, [
    ...authorizations,
    large,
    { name: "another method", status: 405, type: "method_not_allowed", method: "GET" },
  ]);
}
refuses(service, "GET /org/usage", { method: "GET", path: "/org/usage", authorization }, [
  ...authorizations,
  { name: "another method", status: 405, type: "method_not_allowed", method: "DELETE" },
]);
refuses(service, "GET /admin/me", { method: "GET", path: "/admin/me", authorization }, [
  ...authorizations,
  { name: "another method", status: 405, type: "method_not_allowed", method: "DELETE" },
]);
