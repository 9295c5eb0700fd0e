import { setting, settingsOf, wholeNumberOf } from "../lib/settings.ts";
import type { Quotas } from "./quota.ts";

/** Without it there is no quota. */
const quota = wholeNumberOf(1, 2 ** 50).optional();
const documents = (tier: string) =>
  setting(quota, `maximum number of documents of an organization in the tier \`${tier}\`; see [quotas](quotas.md)`);
const bytes = (tier: string) =>
  setting(quota, `maximum size, in bytes, of all documents of an organization in the tier \`${tier}\``);

export const quotaSettings = settingsOf({
  shape: {
    QUOTA_ORGANIZATIONS: setting(quota, "maximum number of organizations in the deployment"),
    QUOTA_STARTER_DOCUMENTS: documents("starter"),
    QUOTA_STARTER_BYTES: bytes("starter"),
    QUOTA_PROFESSIONAL_DOCUMENTS: documents("professional"),
    QUOTA_PROFESSIONAL_BYTES: bytes("professional"),
    QUOTA_ENTERPRISE_DOCUMENTS: documents("enterprise"),
    QUOTA_ENTERPRISE_BYTES: bytes("enterprise"),
  },
  read(value): { quotas: Quotas } {
    const of = (tier: "STARTER" | "PROFESSIONAL" | "ENTERPRISE") => ({
      documents: value[`QUOTA_${tier}_DOCUMENTS`] ?? null,
      bytes: value[`QUOTA_${tier}_BYTES`] ?? null,
    });
    const tiers = { starter: of("STARTER"), professional: of("PROFESSIONAL"), enterprise: of("ENTERPRISE") };
    return { quotas: { organizations: value.QUOTA_ORGANIZATIONS ?? null, tiers } };
  },
});
