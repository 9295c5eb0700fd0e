/**
 * The limit for tenants' documents: Bun.serve and the driver with the statement that Croupier sends in each tier, and
 * nothing else. No validation, no token, no lease, no log, no error handling; a double may come back as an int.
 */
import { type Document, MongoClient, ObjectId } from "mongodb";
import { limitTiers } from "./limit-tiers.ts";

const url = process.env.MONGODB_URL as string;
const client = await new MongoClient(url, { writeConcern: { w: "majority" } }).connect();
const majority = { readConcern: { level: "majority" } } as const;
const tiers = limitTiers(client.db(process.env.MONGODB_DB_NAME));

type Place = { params: { tier: string; tenant: string } };
const placeOf = ({ params: { tier, tenant } }: Place) => tiers[tier as keyof typeof tiers](tenant);
const shown = ({ _id, tenant_id: _, _croupier: __, ...fields }: Document, idOf: (id: unknown) => unknown) => ({
  _id: idOf(_id),
  ...fields,
});

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  routes: {
    "/readiness": new Response("ready"),
    "/:tier/:tenant": {
      POST: async (req) => {
        const { collection, idIn, idOf } = placeOf(req);
        const fields = (await req.json()) as Document;
        const stored = { _id: idIn(new ObjectId()), ...fields, tenant_id: req.params.tenant };
        await collection.insertOne(stored as Document);
        return Response.json(shown(stored, idOf), { status: 201 });
      },
      GET: async (req) => {
        const { collection, all, idOf } = placeOf(req);
        const options = { sort: { _id: 1 as const }, limit: 20, ...majority };
        const documents = await collection.find({ tenant_id: req.params.tenant, ...all }, options).toArray();
        return Response.json({ documents: documents.map((stored) => shown(stored, idOf)) });
      },
    },
    "/:tier/:tenant/:id": async (req) => {
      const { collection, idIn, idOf } = placeOf(req);
      const { tenant, id } = req.params;
      const found = await collection.findOne({ _id: idIn(new ObjectId(id)), tenant_id: tenant } as Document, majority);
      return found ? Response.json(shown(found, idOf)) : new Response(null, { status: 404 });
    },
  },
});
