/**
 * The limit: what Bun.serve, the driver and Bun.password do when nothing else is done. No validation, no token, no log,
 * no error handling, so no service can be expected to reach it; how near one comes is what its own code costs.
 */
import { type Document, MongoClient, ObjectId } from "mongodb";

const rounds = Number(process.env.BCRYPT_ROUNDS);
const client = await new MongoClient(process.env.MONGODB_URL as string).connect();
const db = client.db(process.env.MONGODB_DB_NAME);
const organizations = db.collection("organizations");
const admins = db.collection("admin_users");
await Promise.all([
  organizations.createIndex({ organization_name: 1 }, { unique: true }),
  admins.createIndex({ email: 1 }, { unique: true }),
  admins.createIndex({ email: 1, organization_id: 1 }, { unique: true }),
]);

function toJson({ _id, ...organization }: Document) {
  return { id: _id, ...organization };
}

Bun.serve({
  // 128 sign-ins on two cores take 16 seconds; ten is the default.
  idleTimeout: 120,
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  routes: {
    "/readiness": new Response("ready"),
    "/health": async () => {
      await db.command({ ping: 1 });
      return Response.json({ status: "healthy", service: "limit", version: "1.0.0", database: "connected" });
    },
    "/org/get": async (req) => {
      const name = req.url.slice(req.url.indexOf("=") + 1);
      const organization = await organizations.findOne({ organization_name: name });
      return organization ? Response.json(toJson(organization)) : new Response(null, { status: 404 });
    },
    "/org/create": async (req) => {
      const { organization_name, email, password } = (await req.json()) as Record<string, string>;
      const organization = {
        _id: new ObjectId(),
        organization_name,
        email,
        connection_details: `Collection: org_${organization_name}`,
        created_at: new Date(),
        updated_at: null,
        tier: "professional",
        region: "default",
        status: "active",
      };
      const hash = await Bun.password.hash(password as string, { algorithm: "bcrypt", cost: rounds });
      await organizations.insertOne(organization);
      await admins.insertOne({ email, password: hash, organization_id: organization._id, created_at: new Date() });
      const collection = await db.createCollection(`org_${organization_name}`);
      await collection.createIndex({ created_at: 1 });
      return Response.json(toJson(organization), { status: 201 });
    },
    "/admin/login": async (req) => {
      const { email, password } = (await req.json()) as Record<string, string>;
      const admin = await admins.findOne({ email });
      const right = admin && (await Bun.password.verify(password as string, admin.password));
      return right ? Response.json({ admin_id: admin._id }) : new Response(null, { status: 401 });
    },
  },
});
