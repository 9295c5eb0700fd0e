import { setting, settingsOf, wholeNumber } from "../lib/settings.ts";

export const auditSettings = settingsOf({
  shape: {
    AUDIT_RETENTION_DAYS: setting(wholeNumber(400, 0, 36_500), "how long audit log entries are kept; `0` keeps all"),
  },
  read: (value) => ({ auditRetentionDays: value.AUDIT_RETENTION_DAYS }),
});
