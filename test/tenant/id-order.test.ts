import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { Document, ObjectId } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { exactBson } from "../../src/lib/bson/bson.ts";
import { readBson } from "../../src/lib/bson/bson-reader.ts";
import { idKey } from "../../src/tenant/document-id.ts";
import type { Position } from "../../src/tenant/id-order.ts";
import { offerPlace, type Placement, type Tier } from "../../src/tenant/placement.ts";
import type { Direction } from "../../src/tenant/query/sort.ts";
import { collectionAt, openScope, type TenantScope } from "../../src/tenant/scope.ts";
import { createPlace, createSharedCollection } from "../../src/tenant/place/storage.ts";
import { firstMeta, readStored, toStored } from "../../src/tenant/stored.ts";
import { anyId } from "../support/bson-values.ts";
import { deploymentsOf } from "../support/fleet.ts";
import { freshDatabaseName } from "../support/service.ts";

setDefaultTimeout(60_000);

const client = createClient(process.env.MONGODB_URL!);
const db = client.db(freshDatabaseName());
const deployments = deploymentsOf(db);
const offer = (tier: Tier, organizationId: string, candidate: number) =>
  offerPlace(tier, { masterDatabase: db.databaseName, organizationId, organizationName: "walked" }, candidate);
/** Of one organization's stays the keys are alike, and other organizations' lie on both sides. */
const [before, own, after] = ["65f0000000000000000000aa", "65f0000000000000000000ab", "65f0000000000000000000ac"];
const places = [offer("starter", own!, 2), offer("professional", own!, 1)];
const neighbours = [
  offer("starter", before!, 1),
  ...[1, 3].map((stay) => offer("starter", own!, stay)),
  offer("starter", after!, 1),
];
const plain = db.collection("plain", exactBson);

beforeAll(async () => {
  await createSharedCollection({ home: db });
  await createPlace(deployments, places[1]!);
});
afterAll(async () => {
  await db.dropDatabase();
  await client.close();
});

const meta = firstMeta("w");
async function fill(place: Placement, ids: unknown[]): Promise<void> {
  await collectionAt(deployments, place).insertMany(
    ids.map((id) => toStored(place, { id, fields: { of: place.key }, meta })),
  );
}

async function walk(scope: TenantScope, direction: Direction, from: Position, limit: number): Promise<string[]> {
  const seen: string[] = [];
  for (let at = from; ;) {
    const { sort, ranges } = scope.walk(direction, at);
    const page: Document[] = [];
    for (const filter of ranges) {
      if (page.length === limit) break;
      const { documents } = await scope.list({ filter, sort, limit: limit - page.length });
      page.push(...documents.map((bytes) => readBson(bytes)));
    }
    for (const document of page) expect(document.tenant_id).toBe(scope.placement.key);
    const shown = page.map((document) => readStored(scope.placement, document).id);
    seen.push(...shown.map(idKey));
    if (page.length < limit) return seen;
    at = { id: shown.at(-1) };
  }
}

const ids = fc.uniqueArray(anyId, { selector: idKey, minLength: 1, maxLength: 12 });

test("in every tier a walk shows a tenant's documents in the order that their ids have in a plain collection, and no other's", async () => {
  await fc.assert(
    fc.asyncProperty(
      ids,
      fc.constantFrom<Direction>(1, -1),
      fc.nat(),
      fc.integer({ min: 1, max: 5 }),
      async (all, direction, gone, limit) => {
        for (const place of [...places, ...neighbours]) await collectionAt(deployments, place).deleteMany({});
        await plain.deleteMany({});
        // The document at which a walk goes on may have been deleted.
        const from = all[gone % all.length];
        const left = all.filter((id) => id !== from);
        await plain.insertMany(all.map((_id) => ({ _id: _id as ObjectId })));
        const ordered = (await plain.find({}, { sort: { _id: direction } }).toArray()).map(({ _id }) => idKey(_id));
        for (const place of neighbours) await fill(place, all);
        for (const place of places) {
          if (left.length > 0) await fill(place, left);
          const scope = openScope(deployments, place);
          const rest = ordered.filter((id) => id !== idKey(from));
          expect(await walk(scope, direction, null, limit)).toEqual(rest);
          expect(await walk(scope, direction, { id: from }, limit)).toEqual(
            ordered.slice(ordered.indexOf(idKey(from)) + 1),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});
