import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { organizations } from "../../src/organization/store.ts";
import { enterpriseDatabase, type Placement, tiers } from "../../src/tenant/placement.ts";
import { findViolations } from "../support/invariants.ts";
import { newcomer } from "../support/service.ts";
import { useTiers } from "../support/tenants.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

const services = useTiers();

describe.each([...tiers])("an organization in the tier %s", (tier) => {
  const service = services[tier];
  let made: Awaited<ReturnType<typeof service.join>>;
  let neighbour: typeof made;
  beforeAll(async () => {
    neighbour = await service.join(tier);
    made = await service.join(tier);
  });
  afterAll(async () => {
    // It takes a document for another's when its id doesn't begin with the organization's.
    const violations = (await findViolations(service.db)).filter((one) => !one.includes("holds another's documents"));
    expect(violations).toEqual([]);
  });

  const details = (id: string, name: string) =>
    ({
      starter: "Shared collection: tenant_documents",
      professional: `Collection: org_${name}`,
      enterprise: `Database: ${enterpriseDatabase(service.db.databaseName, id, 1)}`,
    })[tier];
  const placement = async (id: string): Promise<Placement> =>
    (await organizations(service.db).findOne({ _id: new ObjectId(id) }))!.placement!;
  const collectionsAt = async ({ database, collection }: Placement) =>
    (await service.db.client.db(database).listCollections({ name: collection }).toArray()).length;
  const countAt = ({ database, collection, key }: Placement) =>
    service.db.client.db(database).collection(collection).countDocuments({ tenant_id: key });
  const find = (name: string) => service.send("GET", `/org/get?organization_name=${name}`);
  const insert = (token: string, ids: string[]) =>
    service.send("POST", "/org/documents", { token, body: ids.map((_id) => ({ _id })) });

  test("is made with its storage, which connection_details names", async () => {
    const found = await find(made.organization_name);
    expect(found.body).toMatchObject({ id: made.id, tier, region: "default", status: "active" });
    expect(found.body.connection_details).toBe(details(made.id, made.organization_name));
    const place = await placement(made.id);
    expect(await collectionsAt(place)).toBe(1);
    expect((await insert(made.token, ["a", "b"])).status).toBe(201);
    expect((await insert(neighbour.token, ["a", "c"])).status).toBe(201);
    expect(await countAt(place)).toBe(2);
  });

  test("is renamed with its documents, and says where they are", async () => {
    const name = newcomer("renamed").organization_name;
    const { token } = made;
    const renamed = await service.send("PUT", "/org/update", { token, body: { organization_name: name } });
    expect(renamed.status).toBe(200);
    expect(renamed.body).toMatchObject({ organization_name: name, tier, connection_details: details(made.id, name) });
    expect((await find(name)).body).toEqual(renamed.body);
    expect((await find(made.organization_name)).status).toBe(404);
    const listed = await service.send("GET", "/org/documents", { token });
    expect(listed.body.documents).toEqual([{ _id: "a" }, { _id: "b" }]);
    expect(await countAt(await placement(made.id))).toBe(2);
  });

  test("is deleted with all that it has, and its neighbour keeps its own", async () => {
    const place = await placement(made.id);
    expect((await service.send("DELETE", "/org/delete", { token: made.token })).status).toBe(204);
    expect(await countAt(place)).toBe(0);
    expect(await collectionsAt(place)).toBe(tier === "starter" ? 1 : 0);
    const { databases } = await service.db.admin().listDatabases({ nameOnly: true });
    expect(databases.map(({ name }) => name).filter((name) => name.includes(made.id))).toEqual([]);
    const listed = await service.send("GET", "/org/documents", { token: neighbour.token });
    expect(listed.body.documents).toEqual([{ _id: "a" }, { _id: "c" }]);
    expect((await service.send("GET", "/org/documents", { token: made.token })).status).toBe(401);
  });
});
