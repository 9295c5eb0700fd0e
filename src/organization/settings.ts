import { oneOf, setting, settingsOf, wholeNumber } from "../lib/settings.ts";
import { tenantIndexesMax } from "../tenant/place/indexes.ts";
import { tiers } from "../tenant/placement.ts";

export const organizationSettings = settingsOf({
  shape: {
    ORG_LOOKUP: setting(
      oneOf("full", "minimal", "admin").default("full"),
      "what `GET /org/get` shows to everyone: `full` shows all, as clients of the first Croupier expect; `minimal` omits the email; `admin` shows admins their own organization only",
    ),
    DEFAULT_TIER: setting(
      oneOf(...tiers).default("professional"),
      "tier of new organizations: `starter`, `professional` or `enterprise`",
    ),
    STARTER_INDEXES: setting(
      wholeNumber(3, 0, tenantIndexesMax),
      `maximum number of indexes of an organization in the tier \`starter\`, 0 to ${tenantIndexesMax}; ${tenantIndexesMax} in the other tiers`,
    ),
    OPERATION_LEASE_MS: setting(
      wholeNumber(5_000, 100, 600_000),
      "an operation without progress for this long is taken over by another process",
    ),
    PLACEMENT_LEASE_MS: setting(
      // The gate of a move, which waits for half of it, is closed for four seconds at the most.
      wholeNumber(500, 20, 5_000),
      "how long this process uses a placement before asking again, 20 to 5000; may differ between processes",
    ),
    MOVE_DOCUMENTS_PER_SECOND: setting(wholeNumber(0, 0, 100_000_000), "maximum speed of a move; 0 is unlimited"),
  },
  read: (value) => ({
    organizationLookUp: value.ORG_LOOKUP,
    defaultTier: value.DEFAULT_TIER,
    starterIndexes: value.STARTER_INDEXES,
    operationLeaseMs: value.OPERATION_LEASE_MS,
    placementLeaseMs: value.PLACEMENT_LEASE_MS,
    moveDocumentsPerSecond: value.MOVE_DOCUMENTS_PER_SECOND,
  }),
});
