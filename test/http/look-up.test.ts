import { describe, expect, test } from "bun:test";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";

const at = (name: string) => `/org/get?organization_name=${name}`;

describe("ORG_LOOKUP", () => {
  describe("minimal", () => {
    const service = useService({ ORG_LOOKUP: "minimal" });

    test("shows anybody all of an organization but its email, and says so in its description", async () => {
      const who = await service.join();
      const { status, body, text } = await service.send("GET", at(who.organization_name));
      expect(status).toBe(200);
      expect(body).toMatchObject({ id: who.id, organization_name: who.organization_name, tier: "professional" });
      expect(text).not.toContain(who.email);
      const described = (await service.send("GET", "/openapi.json")).body;
      const { schema } = described.paths["/org/get"].get.responses["200"].content["application/json"];
      expect(described.components.schemas[schema.$ref.split("/").at(-1)].properties).not.toHaveProperty("email");
    });
  });

  describe("admin", () => {
    const service = useService({ ORG_LOOKUP: "admin" });

    test("shows an admin the own organization, whole, and another's like one that there isn't", async () => {
      const [who, other] = [await service.join(), await service.join()];
      const { token } = who;
      const own = await service.send("GET", at(who.organization_name.toUpperCase()), { token });
      expect(own).toMatchObject({ status: 200, body: { id: who.id, email: who.email } });
      const answers = [
        await service.send("GET", at(other.organization_name), { token }),
        await service.send("GET", at("there-is-none"), { token }),
      ];
      for (const answer of answers) {
        expectProblem(answer, { status: 404, type: "organization_not_found", path: "/org/get" });
      }
      expect(answers[0]!.body.detail).toBe(answers[1]!.body.detail);
    });

    test("shows nobody else anything", async () => {
      const who = await service.join();
      const answer = await service.send("GET", at(who.organization_name));
      expectProblem(answer, { status: 401, type: "token_missing", path: "/org/get" });
    });
  });
});
