import * as z from "zod";
import { parseCidr } from "../../lib/net/cidr.ts";
import { allowListMax } from "../../organization/allow-list.ts";

const cidr = z
  .string()
  .transform((text, context) => {
    const parsed = parseCidr(text);
    if (parsed !== null) return parsed;
    context.addIssue({
      code: "custom",
      message: "must be a network like 192.0.2.0/24 or 2001:db8::/32, with no host bits set",
    });
    return z.NEVER;
  })
  .meta({ description: "CIDR notation (RFC 4632), IPv4 or IPv6; a single address is allowed, too" });

export const allowListRequest = z
  .strictObject({
    cidrs: z
      .array(cidr)
      .max(allowListMax, `must have at most ${allowListMax} networks`)
      .transform((cidrs) => [...new Set(cidrs)])
      .meta({ example: ["192.0.2.0/24", "2001:db8::/32"] }),
  })
  .meta({ id: "SetAllowList" });

export const allowListAnswer = z
  .object({
    cidrs: z
      .array(z.string())
      .meta({ description: "Empty: every address is allowed", example: ["192.0.2.0/24", "2001:db8::/32"] }),
  })
  .meta({ id: "AllowList" });
