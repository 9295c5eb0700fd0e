import * as z from "zod";
import { adminSettings } from "./admin/settings.ts";
import { auditSettings } from "./audit/settings.ts";
import { httpSettings } from "./http/settings.ts";
import { mongoSettings } from "./lib/mongo/mongo-settings.ts";
import {
  type Given,
  isEmptyMeant,
  oneOf,
  rowsOf,
  type SettingRow,
  setting,
  type SettingsContext,
  settingsOf,
} from "./lib/settings.ts";
import { limitSettings } from "./limit-settings.ts";
import { organizationSettings } from "./organization/settings.ts";
import { quotaSettings } from "./quota/settings.ts";
import { sessionSettings } from "./session/settings.ts";

const ownSettings = settingsOf({
  shape: {
    CROUPIER_ENV: setting(
      oneOf("production", "development").default("production"),
      "`development` allows a missing `JWT_SECRET_KEY` (a random one is created and kept in `.croupier/`) and lets pages on localhost use the API",
    ),
    LOG_LEVEL: setting(
      oneOf("fatal", "error", "warn", "info", "debug", "trace", "silent").default("info"),
      "`silent` to `trace`; JSON lines with request ids, never with emails or secrets",
    ),
  },
  read: (value) => ({ environment: value.CROUPIER_ENV, logLevel: value.LOG_LEVEL }),
});

/** Each noun says which settings it has, and what becomes of them. */
const nouns = [
  mongoSettings,
  httpSettings,
  ownSettings,
  sessionSettings,
  adminSettings,
  organizationSettings,
  quotaSettings,
  limitSettings,
  auditSettings,
] as const;

type Both<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void
  ? All
  : never;
export type Config = Both<ReturnType<(typeof nouns)[number]["read"]>>;

/** Every setting there is, as `--help` and docs/configuration.md show it. */
export const settingRows: SettingRow[] = nouns.flatMap(({ shape }) => rowsOf(shape));

const schemas: z.ZodRawShape = Object.assign({}, ...nouns.map(({ shape }) => shape));

/**
 * Reads the settings (docs/configuration.md has the table). One that isn't given and one that is given empty are the same, as in
 * most shells and compose files, unless empty means something (`mayBeEmpty`).
 *
 * @throws Error whose message names every setting that is wrong, one a line.
 */
export function readConfig(environment: Given): Config {
  const given: Given = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => value || (value === "" && isEmptyMeant(schemas[name]))),
  );
  // The first Croupier read either name.
  given.ACCESS_TOKEN_EXPIRE_MINUTES ??= given.JWT_ACCESS_TOKEN_EXPIRE_MINUTES;
  const context: SettingsContext = { given, development: given.CROUPIER_ENV === "development" };
  const wrong: string[] = [];
  const reads: (() => object)[] = [];
  for (const { shape, read, problems } of nouns as readonly AnyNoun[]) {
    const { data, error } = z.object(shape).safeParse(given);
    wrong.push(...(error?.issues ?? []).map(({ path, message }) => `${path.join(".")} ${message}`));
    wrong.push(...(problems?.(data, context) ?? []));
    reads.push(() => read(data, context));
  }
  if (wrong.length > 0) throw new Error(`The configuration is invalid:\n  ${wrong.join("\n  ")}`);
  return Object.assign({}, ...reads.map((read) => read()));
}

type AnyNoun = {
  shape: z.ZodRawShape;
  read(value: unknown, context: SettingsContext): object;
  problems?(value: unknown, context: SettingsContext): string[];
};
