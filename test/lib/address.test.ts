import { expect, test } from "bun:test";
import { urlToAsk } from "../../src/lib/net/address.ts";

test.each([
  [{}, "http://127.0.0.1:8000"],
  [{ HOST: "", PORT: "" }, "http://127.0.0.1:8000"],
  [{ HOST: "0.0.0.0", PORT: "9000" }, "http://127.0.0.1:9000"],
  [{ HOST: "::" }, "http://[::1]:8000"],
  [{ HOST: "0:0::0" }, "http://[::1]:8000"],
  [{ HOST: "10.1.2.3" }, "http://10.1.2.3:8000"],
  [{ HOST: "2001:db8::7" }, "http://[2001:db8::7]:8000"],
  [{ HOST: "[2001:db8::7]" }, "http://[2001:db8::7]:8000"],
  [{ HOST: "localhost" }, "http://localhost:8000"],
])("a service at %j is asked at %s", (environment, url) => {
  expect(urlToAsk(environment)).toBe(url);
});
