export type OperatorFailure =
  "operator_key_missing" | "operator_key_invalid" | "operator_key_not_found" | "scope_missing" | "address_not_allowed";

/** What a key may be used for; each route under `/platform` names the one that it needs. */
export const scopes = [
  "organizations:read",
  "organizations:write",
  "recovery:write",
  "moves:write",
  "audit:read",
] as const;
export type Scope = (typeof scopes)[number];
export const isScope = (text: string): text is Scope => (scopes as readonly string[]).includes(text);

export type KeyDocument = {
  /** Eight hexadecimal digits, which stand in the key: it is found by them. */
  _id: string;
  name: string;
  hash: string;
  scopes: Scope[];
  /** Networks in CIDR notation that it may be used from; from anywhere when there are none. */
  allow: string[];
  created_at: Date;
  /** Null when it holds until it is revoked. */
  expires_at: Date | null;
  /** Within a minute. */
  last_used_at: Date | null;
  revoked_at: Date | null;
};

/** Who acts under `/platform`. */
export type Operator = { keyId: KeyDocument["_id"]; name: string };

/** What is shown of a key: the start by which it is recognized, nothing that it could be used by. */
export type KeyView = {
  id: string;
  prefix: string;
  name: string;
  status: "active" | "expired" | "revoked";
  scopes: Scope[];
  allow: string[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
};

export const keyPrefix = "crp_live_";

export const isExpired = ({ expires_at }: Pick<KeyDocument, "expires_at">, now: Date): boolean =>
  expires_at !== null && expires_at <= now;

export const viewKey = (key: KeyDocument, now: Date): KeyView => ({
  id: key._id,
  prefix: keyPrefix + key._id,
  name: key.name,
  status: key.revoked_at ? "revoked" : isExpired(key, now) ? "expired" : "active",
  scopes: key.scopes,
  allow: key.allow,
  created_at: key.created_at.toISOString(),
  expires_at: key.expires_at?.toISOString() ?? null,
  last_used_at: key.last_used_at?.toISOString() ?? null,
  revoked_at: key.revoked_at?.toISOString() ?? null,
});
