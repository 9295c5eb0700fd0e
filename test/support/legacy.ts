import { BSON, type Db, type Document, ObjectId } from "mongodb";

/** Passwords with the hashes that Python's bcrypt 5.0 made of them, as the first Croupier did. */
export const legacyPasswords = {
  plain: { password: "Legacy-Horse-1", hash: "$2b$12$CQsflBKW3p7HymuB0fcTjeoMXrUB1MN8VQl5MxfDmmlnZ35lm4av." },
  other: { password: "Legacy-Horse-2", hash: "$2b$12$aHWn1vHK93wZTGMcZFwTvOJNkvkCO38/D43SaM5BxTqIvZntGsh0y" },
  accents: { password: "Pässword-Über-3", hash: "$2b$12$FHwOgKTqx3cE5t5cYEjZbuoCNrI0VcjkmegUx5UHgTR3AG3wMlPBe" },
  /** Of fewer rounds, for tests that are about something else. */
  quick: { password: "Legacy-Horse-1", hash: "$2b$04$0TCcjja0sC/rU.m8g6xnu.WXDDZq/.P2J0DLKyyMuwh05NRgZuec6" },
  quickOther: { password: "Legacy-Horse-2", hash: "$2b$04$oCxH6J7PU6yuBgS5Uj1uxOcP8uPyNd8DFuk1BCgVS1SLP61FxCunC" },
  /** Hashed as it was typed: letters and their dots apart (Unicode form D). */
  decomposed: {
    password: "Pässword-Über-4".normalize("NFD"),
    hash: "$2b$12$6DRdXo1.vMZz00hTNayoqeHZWduL40S4oWQLkC7Sof94yNEtehaAO",
  },
};

/** The indexes that the first Croupier made when it started. */
export async function createLegacyIndexes(db: Db): Promise<void> {
  await db.collection("organizations").createIndex({ organization_name: 1 }, { unique: true });
  await db.collection("admin_users").createIndex({ email: 1 }, { unique: true });
}

export type Legacy = { organizationId: ObjectId; adminId: ObjectId; name: string; email: string };
type Fields = {
  /** Null when there is none. */
  admin?: Document | null;
  organization?: Document;
  hash?: string;
  /** Null when the collection isn't there. */
  documents?: Document[] | null;
  createdAt?: Date;
};

const longAgo = new Date("2023-05-06T07:08:09.123Z");

/** The two records of an organization as the first Croupier wrote them. */
export function legacyRecords(name: string, email: string, fields: Fields = {}) {
  const { admin, organization = {}, hash = legacyPasswords.quick.hash, createdAt = longAgo } = fields;
  const [organizationId, adminId] = [new ObjectId(), new ObjectId()];
  const times = { created_at: createdAt, updated_at: null };
  return {
    organization: {
      _id: organizationId,
      organization_name: name,
      email,
      connection_details: `Collection: org_${name}`,
      ...times,
      ...organization,
    },
    admin:
      admin === null
        ? null
        : {
            _id: adminId,
            email,
            password: hash,
            organization_id: organizationId.toHexString(),
            organization_name: name,
            ...times,
            ...admin,
          },
  };
}

/** Writes an organization with its admin and its collection. */
export async function plantLegacy(db: Db, name: string, email: string, fields: Fields = {}): Promise<Legacy> {
  const { documents = [{ _id: `${name} 1` }, { _id: `${name} 2` }] } = fields;
  const { organization, admin } = legacyRecords(name, email, fields);
  await db.collection<Document>("organizations").insertOne(organization as Document);
  if (admin) await db.collection<Document>("admin_users").insertOne(admin as Document);
  const collection = `org_${name}`;
  if (documents && documents.length > 0)
    await db.collection(collection).insertMany(documents.map((one) => ({ ...one })) as never[]);
  else if (documents) await db.createCollection(collection);
  const adminId = (admin?._id as ObjectId | undefined) ?? new ObjectId();
  return { organizationId: organization._id, adminId, name, email: String(admin?.email ?? email) };
}

/** What a worker adds sooner or later, above all when it stamps, which no comparison of two moments should hang on. */
const ofStamping = new Set([
  "operations",
  "primaries",
  "processes",
  "chores",
  "guard",
  "unstamped",
  "tenant_id",
  "_croupier",
]);

/** All that a database holds, but for what stamping adds. */
export const dumpBesideStamps = async (db: Db): Promise<string> =>
  JSON.stringify(JSON.parse(await dump(db)), (name, value) => (ofStamping.has(name) ? undefined : value), 1);

/** All that a database holds: every document of every collection and every index, as text that can be compared. */
async function dump(db: Db): Promise<string> {
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).sort();
  const all: Document = {};
  for (const name of names) {
    const indexes = (await db.collection(name).indexes()).map(({ ns: _, ...index }) => index);
    all[name] = {
      indexes: indexes.sort((a, b) => String(a.name).localeCompare(String(b.name))),
      documents: await db.collection(name).find().sort({ _id: 1 }).toArray(),
    };
  }
  // Places name the database.
  return BSON.EJSON.stringify(all, undefined, 1).replaceAll(db.databaseName, "DATABASE");
}
