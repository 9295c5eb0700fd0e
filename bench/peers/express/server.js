// The five endpoints the way most tutorials write them: Express 5, mongoose models, bcrypt, jsonwebtoken, one file.
// Nothing in here is slowed down on purpose, and nothing is tuned: no lean(), no cluster, no request log.
import bcrypt from "bcrypt";
import express from "express";
import jwt from "jsonwebtoken";
import mongoose from "mongoose";

const { PORT, MONGODB_URL, MONGODB_DB_NAME, JWT_SECRET_KEY } = process.env;
const rounds = Number(process.env.BCRYPT_ROUNDS);

const organizationSchema = new mongoose.Schema({
  organization_name: { type: String, required: true, lowercase: true, trim: true, unique: true },
  email: { type: String, required: true, lowercase: true, trim: true },
  connection_details: { type: String, required: true },
  tier: { type: String, default: "professional" },
  region: { type: String, default: "default" },
  status: { type: String, default: "active" },
  created_at: { type: Date, default: Date.now },
  updated_at: { type: Date, default: null },
});
const Organization = mongoose.model("Organization", organizationSchema);

const adminSchema = new mongoose.Schema({
  email: { type: String, required: true, lowercase: true, trim: true, unique: true },
  password: { type: String, required: true },
  organization_id: { type: mongoose.Schema.Types.ObjectId, ref: "Organization", required: true },
  created_at: { type: Date, default: Date.now },
});
adminSchema.index({ email: 1, organization_id: 1 }, { unique: true });
const Admin = mongoose.model("Admin", adminSchema);

const toJson = (organization) => ({
  id: organization._id,
  organization_name: organization.organization_name,
  email: organization.email,
  connection_details: organization.connection_details,
  created_at: organization.created_at,
  updated_at: organization.updated_at,
  tier: organization.tier,
  region: organization.region,
  status: organization.status,
});

function goodPassword(password) {
  return typeof password === "string" && /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d).{8,72}$/.test(password);
}

async function authenticate(req, res, next) {
  const [scheme, token] = (req.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer" || !token) return res.status(401).json({ detail: "Not authenticated" });
  try {
    req.admin = await Admin.findById(jwt.verify(token, JWT_SECRET_KEY).admin_id);
  } catch {
    return res.status(401).json({ detail: "Could not validate credentials" });
  }
  if (!req.admin) return res.status(401).json({ detail: "Could not validate credentials" });
  next();
}

const app = express();
app.use(express.json());

app.get("/health", async (_req, res) => {
  await mongoose.connection.db.admin().ping();
  res.json({ status: "healthy", service: "express", version: "1.0.0", database: "connected" });
});

app.post("/org/create", async (req, res) => {
  const { organization_name, email, password } = req.body ?? {};
  if (!organization_name || !email || !goodPassword(password)) return res.status(422).json({ detail: "Invalid input" });
  const name = organization_name.toLowerCase();
  if (await Organization.findOne({ organization_name: name })) {
    return res.status(400).json({ detail: "Organization already exists" });
  }
  if (await Admin.findOne({ email: email.toLowerCase() }))
    return res.status(400).json({ detail: "Email already exists" });
  const hash = await bcrypt.hash(password, rounds);
  const collection = await mongoose.connection.createCollection(`org_${name}`);
  await collection.createIndex({ created_at: 1 });
  const organization = await Organization.create({
    organization_name: name,
    email,
    connection_details: `Collection: org_${name}`,
  });
  await Admin.create({ email, password: hash, organization_id: organization._id });
  res.status(201).json(toJson(organization));
});

app.get("/org/get", async (req, res) => {
  const name = req.query.organization_name;
  if (typeof name !== "string" || !name) return res.status(422).json({ detail: "organization_name is required" });
  const organization = await Organization.findOne({ organization_name: name.toLowerCase() });
  if (!organization) return res.status(404).json({ detail: "Organization not found" });
  res.json(toJson(organization));
});

app.put("/org/update", authenticate, async (req, res) => {
  const { organization_name, email, password } = req.body ?? {};
  if (!organization_name && !email && !password) return res.status(422).json({ detail: "Nothing to update" });
  if (password && !goodPassword(password)) return res.status(422).json({ detail: "Invalid input" });
  const organization = await Organization.findById(req.admin.organization_id);
  if (!organization) return res.status(404).json({ detail: "Organization not found" });
  const name = organization_name?.toLowerCase();
  if (name && name !== organization.organization_name) {
    if (await Organization.findOne({ organization_name: name })) {
      return res.status(400).json({ detail: "Organization already exists" });
    }
    await mongoose.connection.db.renameCollection(`org_${organization.organization_name}`, `org_${name}`);
    organization.organization_name = name;
    organization.connection_details = `Collection: org_${name}`;
  }
  if (email) organization.email = req.admin.email = email;
  if (password) req.admin.password = await bcrypt.hash(password, rounds);
  organization.updated_at = new Date();
  await organization.save();
  await req.admin.save();
  res.json(toJson(organization));
});

app.delete("/org/delete", authenticate, async (req, res) => {
  const organization = await Organization.findById(req.admin.organization_id);
  if (!organization) return res.status(404).json({ detail: "Organization not found" });
  await mongoose.connection.dropCollection(`org_${organization.organization_name}`);
  await Admin.deleteMany({ organization_id: organization._id });
  await organization.deleteOne();
  res.status(204).end();
});

app.post("/admin/login", async (req, res) => {
  const { email, password } = req.body ?? {};
  if (!email || !password) return res.status(422).json({ detail: "Invalid input" });
  const admin = await Admin.findOne({ email: email.toLowerCase() }).populate("organization_id");
  if (!admin || !(await bcrypt.compare(password, admin.password))) {
    return res.status(401).set("WWW-Authenticate", "Bearer").json({ detail: "Incorrect email or password" });
  }
  const organization = admin.organization_id;
  const token = jwt.sign({ admin_id: admin._id, organization_id: organization._id }, JWT_SECRET_KEY, {
    expiresIn: "1h",
  });
  res.json({
    access_token: token,
    token_type: "bearer",
    expires_in: 3600,
    admin_id: admin._id,
    organization_id: organization._id,
    organization_name: organization.organization_name,
  });
});

app.use((error, _req, res, _next) => {
  if (error.code === 11000) return res.status(400).json({ detail: "Already exists" });
  res.status(error.status ?? 500).json({ detail: error.message });
});

await mongoose.connect(MONGODB_URL, { dbName: MONGODB_DB_NAME });
await Promise.all([Organization.init(), Admin.init()]);
app.listen(Number(PORT), "127.0.0.1");
