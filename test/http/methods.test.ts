import { expect, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { fill } from "../support/attack.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";

const service = useService();
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];

test("Allow names each method that a resource has, and no other", async () => {
  const { routes } = createApp(service.running.deps);
  const paths = new Set(routes.filter(({ method }) => method !== "ALL").map(({ path }) => fill(path)));
  expect(paths.size).toBeGreaterThan(30);
  for (const path of paths) {
    const answers = await Promise.all(methods.map((method) => service.send(method, path)));
    const refused = answers.filter(({ status }) => status === 405);
    expect(refused.length).toBeGreaterThan(0);
    const taken = methods.filter((_method, index) => answers[index]!.status !== 405);
    for (const answer of refused) {
      if (answer.text !== "") expectProblem(answer, { status: 405, type: "method_not_allowed", path });
      expect({ path, allow: answer.headers.get("allow")!.split(", ").sort() }).toEqual({ path, allow: taken.sort() });
    }
  }
});
