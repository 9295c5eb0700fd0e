import * as z from "zod";
import { parseCidr } from "../lib/net/cidr.ts";
import { listOf, mayBeEmpty, oneOf, setting, settingsOf, wholeNumber, wholeNumberOf } from "../lib/settings.ts";

/** As browsers write it: no path, no default port, no capitals; `*` and `null` are none. */
const isOrigin = (text: string) => /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;

/** A count, or networks. */
const proxies = z
  .string()
  .default("0")
  .transform((text, context): number | string[] => {
    if (/^(\d|10)$/.test(text)) return Number(text);
    const networks = listOf(text).map(parseCidr);
    if (networks.length > 0 && networks.every((network) => network !== null)) return networks;
    context.addIssue({ code: "custom", message: "must be a whole number from 0 to 10, or networks: 10.0.0.0/8, …" });
    return z.NEVER;
  });

export const httpSettings = settingsOf({
  shape: {
    HOST: setting(z.string().default("127.0.0.1"), "address to listen on"),
    PORT: setting(wholeNumber(8000, 0, 65_535), "port to listen on"),
    VALIDATION_ERRORS: setting(
      oneOf("problem", "v1").default("problem"),
      'body of a 422 of the five endpoints that the first Croupier had: a problem document, or with `v1` the earlier `{"detail": [{"loc", "msg", "type"}]}`',
    ),
    MAX_BODY_BYTES: setting(
      wholeNumber(1_048_576, 1_024, 64 * 1_048_576),
      "maximum size of a body, which without a token or key is 64 KiB at most; larger ones get 413",
    ),
    MAX_DOCUMENTS_BYTES: setting(wholeNumber(17 * 1_048_576, 1_024, 48_000_000), "the same for bodies with documents"),
    MAX_BODIES_BYTES: setting(
      wholeNumberOf(1_048_576, 2 ** 40).optional(),
      "total size of all bodies in progress; one organization may use half, the next half of what is left; beyond that 503 `bodies_busy`",
      "4 × the larger of the two above",
    ),
    MAX_LARGE_BYTES: setting(
      wholeNumberOf(34 * 1_048_576, 2 ** 40).default(136 * 1_048_576),
      "total size of stored documents of 128 KiB or more, and of pages of 1 MiB or more, that are being returned or changed, shared in the same way; beyond that 503 `documents_busy`",
    ),
    TRUSTED_PROXIES: setting(
      proxies,
      "proxies that write `X-Forwarded-For` and `X-Forwarded-Proto`: their number or their networks (`10.0.0.0/8,fd00::/8`); with `0` both headers are ignored. See [operating](operating.md#behind-a-proxy)",
    ),
    PUBLIC_ORIGIN: setting(
      z
        .string()
        .refine(
          (text) => isOrigin(text) && text.startsWith("https:"),
          "must be an origin by HTTPS: https://api.example",
        )
        .optional(),
      "public URL of the service: `https://api.example`",
    ),
    ENFORCE_HTTPS: setting(
      oneOf("true", "false").default("false"),
      "`true`: accept only requests that reached the proxy by HTTPS (needs `TRUSTED_PROXIES`); reads are redirected to `PUBLIC_ORIGIN`, others rejected; sends HSTS",
    ),
    CORS_ORIGINS: mayBeEmpty(
      setting(
        z
          .string()
          .transform(listOf)
          .refine((origins) => origins.every(isOrigin), "must be origins as browsers send them: https://app.example, …")
          .optional(),
        "origins whose pages may use the API from a browser, separated by commas: `https://app.example`; empty: none",
        "in development all of localhost",
      ),
    ),
    REQUEST_TIMEOUT_MS: setting(
      wholeNumber(30_000, 100, 240_000),
      "requests that take longer, including the time to send the body, get 503, and their queries are ended",
    ),
  },
  read: (value, { development }) => ({
    host: value.HOST,
    port: value.PORT,
    validationErrors: value.VALIDATION_ERRORS,
    bodyBytesMax: value.MAX_BODY_BYTES,
    /** For bodies with documents. */
    documentsBytesMax: value.MAX_DOCUMENTS_BYTES,
    /** Of all requests that are at work together. */
    bodiesBytesMax: value.MAX_BODIES_BYTES ?? 4 * Math.max(value.MAX_DOCUMENTS_BYTES, value.MAX_BODY_BYTES),
    largeBytesMax: value.MAX_LARGE_BYTES,
    trustedProxies: value.TRUSTED_PROXIES,
    /** Null: it isn't known. */
    publicOrigin: value.PUBLIC_ORIGIN ?? null,
    enforceHttps: value.ENFORCE_HTTPS === "true",
    corsOrigins: value.CORS_ORIGINS ?? (development ? ("localhost" as const) : []),
    requestTimeoutMs: value.REQUEST_TIMEOUT_MS,
  }),
  problems(value) {
    const wrong: string[] = [];
    if (value?.ENFORCE_HTTPS === "true" && value.TRUSTED_PROXIES === 0)
      wrong.push(
        "ENFORCE_HTTPS needs TRUSTED_PROXIES: only a proxy in front of the service knows whether callers use HTTPS",
      );
    if (value?.MAX_BODIES_BYTES !== undefined && value.MAX_BODIES_BYTES < 2 * value.MAX_DOCUMENTS_BYTES)
      wrong.push(
        "MAX_BODIES_BYTES must be at least twice MAX_DOCUMENTS_BYTES, because one organization may use only half of it",
      );
    return wrong;
  },
});
