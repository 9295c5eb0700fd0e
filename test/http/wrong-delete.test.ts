import { beforeAll } from "bun:test";
import { useService } from "../support/service.ts";
import { refuses } from "../support/wrong-input.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  token = (await service.join("own")).token;
});

refuses(
  service,
  "DELETE /org/delete",
  { method: "DELETE", path: "/org/delete", authorization: () => `Bearer ${token}` },
  [
    ...wrongAuthorizations(service, {}),
    { name: "a body of 5 MB", status: 413, type: "body_too_large", body: "x".repeat(5_000_000) },
  ],
);
