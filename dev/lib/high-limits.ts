const limits = [
  "SIGN_IN",
  "SIGN_IN_EMAIL",
  "SIGN_IN_ADDRESS",
  "CREATE",
  "PASSWORD",
  "READ",
  "REFUSED",
  "STARTER",
  "PROFESSIONAL",
  "ENTERPRISE",
  "OPERATOR",
];

/** Settings for those who send from one address, and as few organizations, what thousands would: nobody meets a limit. */
export const highLimits = (limit: number): Record<string, string> => ({
  ...Object.fromEntries(limits.map((name) => [`RATE_LIMIT_${name}`, String(limit)])),
  REQUESTS_AT_ONCE: "100000",
  REQUESTS_WAITING: "100000",
});
