import { useService } from "../support/service.ts";
import { invalid, refuses, type Row } from "../support/wrong-input.ts";

const service = useService();

const pointers = ["?organization_name"];
const query = (name: string, text: string): Row => ({
  name,
  ...invalid,
  pointers,
  path: `/org/get${text}`,
});

refuses(service, "GET /org/get", { method: "GET", path: "/org/get" }, [
  query("no query", ""),
  query("another parameter", "?name=acme"),
  query("a name without a value", "?organization_name"),
  query("empty", "?organization_name="),
  query("2 characters", "?organization_name=ab"),
  query("51 characters", `?organization_name=${"a".repeat(51)}`),
  query("8,000 characters", `?organization_name=${"a".repeat(8_000)}`),
  query("given twice", "?organization_name=acme&organization_name=acme"),
  query("given twice, once wrong", "?organization_name=acme&organization_name=%00"),
  query("given as an array", "?organization_name[]=acme"),
  query("an operator", "?organization_name[$ne]=x"),
  query("an operator as JSON", "?organization_name=%7B%22%24ne%22%3A1%7D"),
  query("NUL at its end", "?organization_name=acme%00"),
  query("a newline at its end", "?organization_name=acme%0A"),
  query("a space at its end", "?organization_name=acme+"),
  query("a byte that is no UTF-8", "?organization_name=acme%FF"),
  query("a surrogate in UTF-8", "?organization_name=acme%ED%A0%80"),
  query("a broken escape", "?organization_name=acme%ZZ"),
  query("the Kelvin sign for K", "?organization_name=ac%E2%84%AAe"),
  query("a dot", "?organization_name=acme.2"),
  query("a slash", "?organization_name=..%2Facme"),
  query("a fragment of a pattern", "?organization_name=.*"),
  query("the name of an inherited property", "?__proto__=acme"),
  {
    name: "a name that nobody has",
    status: 404,
    type: "organization_not_found",
    path: "/org/get?organization_name=nobody-has-this",
  },
  {
    name: "the name of an inherited property, as a name",
    status: 404,
    type: "organization_not_found",
    path: "/org/get?organization_name=__proto__",
  },
]);
