import { beforeAll } from "bun:test";
import { useOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row } from "../support/wrong-input.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

const service = useService();
const operatorKey = useOperatorKey(service);
let token: string;
beforeAll(async () => {
  token = (await service.join("own")).token;
});

const cursorOf = (text: string) => `cursor=${Buffer.from(text).toString("base64url")}`;
const wrongQueries = (path: string): Row[] => {
  const query = (search: string, pointer = `?${search.split("=")[0]}`): Row => ({
    name: search.slice(0, 60),
    ...invalid,
    pointers: [pointer],
    path: `${path}?${search}`,
  });
  const noCursor = (search: string): Row => ({ ...query(search), type: "invalid_cursor", pointers: ["?cursor"] });
  return [
    query("from=yesterday"),
    query("from=2026-11-24"),
    query("from=2026-11-24T09:30:00"),
    query("from=2026-13-24T09:30:00Z"),
    query("from[$gt]=2026-11-24T09:30:00Z", "?from[$gt]"),
    query("to=1"),
    query("to=2026-11-24T00:00:00Z&to=2026-11-25T00:00:00Z", "?to"),
    query("act=session"),
    query("act=access.refused&act=key.create", "?act"),
    query("act=%24ne"),
    query("kind=session.sign_in"),
    query("kind="),
    query("outcome=succeeded"),
    query("limit=0"),
    query("limit=201"),
    query("limit=1.5"),
    query("limit=x"),
    query("cursor="),
    query("cursor=a%20b"),
    query(`cursor=${"a".repeat(201)}`),
    noCursor("cursor=x"),
    noCursor(cursorOf("1 platform/1")),
    noCursor(cursorOf("1 platform/000000000001\n")),
    noCursor(cursorOf('{"$gt":""}')),
    query("chain=platform"),
    query("Act=session.sign_in"),
    query("__proto__=x"),
  ];
};

const own = { method: "GET", path: "/org/audit", authorization: () => `Bearer ${token}` };
refuses(service, "GET /org/audit", own, [
  ...wrongAuthorizations(service, {}),
  ...wrongQueries("/org/audit"),
  {
    name: "another organization",
    ...invalid,
    pointers: ["?organization_id"],
    path: "/org/audit?organization_id=0123456789abcdef01234567",
  },
  {
    name: "an operator's key",
    status: 401,
    type: "token_invalid",
    authorization: () => `Bearer ${operatorKey()}`,
  },
  { name: "another method", status: 405, type: "method_not_allowed", method: "DELETE" },
]);

const all = { method: "GET", path: "/platform/audit", authorization: () => `Bearer ${operatorKey()}` };
refuses(service, "GET /platform/audit", all, [
  ...wrongQueries("/platform/audit"),
  { name: "no key", status: 401, type: "operator_key_missing", authorization: () => undefined },
  { name: "an admin's token", status: 401, type: "operator_key_invalid", authorization: () => `Bearer ${token}` },
  ...["x", "", "platform", "0123456789ABCDEF01234567"].map((id): Row => ({
    name: `organization_id=${id}`,
    ...invalid,
    pointers: ["?organization_id"],
    path: `/platform/audit?organization_id=${id}`,
  })),
  { name: "another method", status: 405, type: "method_not_allowed", method: "POST" },
]);
