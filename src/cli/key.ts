import { type Command, InvalidArgumentError } from "commander";
import type { Config } from "../config.ts";
import { parseCidr } from "../lib/net/cidr.ts";
import { listOf } from "../lib/settings.ts";
import { parseTime } from "../lib/time.ts";
import { createKey } from "../operator/create-key.ts";
import { isScope, type Scope, scopes, viewKey } from "../operator/key.ts";
import { revokeKey } from "../operator/revoke-key.ts";
import { listAll } from "../operator/store.ts";
import { printLine, withDeps } from "./with-deps.ts";

const now = () => new Date();
const dayMs = 86_400_000;

function readName(text: string): string {
  if (/^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u.test(text)) return text;
  throw new InvalidArgumentError("Must be one line of 1 to 100 characters.");
}

function readScopes(text: string): Scope[] {
  const given = listOf(text);
  const wrong = given.filter((scope) => !isScope(scope));
  if (given.length > 0 && wrong.length === 0) return scopes.filter((scope) => given.includes(scope));
  throw new InvalidArgumentError(
    `${wrong.length > 0 ? `Unknown: ${wrong.join(", ")}` : "None given"}. Scopes: ${scopes.join(", ")}.`,
  );
}

/** A number of days (`90d`), or a time (RFC 3339). */
function readExpiry(text: string): Date {
  const days = /^([1-9]\d{0,4})d$/.exec(text)?.[1];
  const time = parseTime(text.length === 10 ? `${text}T00:00:00Z` : text)?.getTime() ?? Number.NaN;
  const at = days === undefined ? time : now().getTime() + Number(days) * dayMs;
  if (at > now().getTime()) return new Date(at);
  throw new InvalidArgumentError("Must be a number of days like 90d, or a future time like 2027-01-31T12:00:00Z.");
}

function readNetworks(text: string): string[] {
  const given = listOf(text);
  // A variable that is not set must not make a key for everywhere.
  if (given.length === 0) throw new InvalidArgumentError("No network given.");
  return given.map((network) => {
    const cidr = parseCidr(network);
    if (cidr !== null) return cidr;
    throw new InvalidArgumentError(`${network} is not a network like 192.0.2.0/24 or 2001:db8::/32.`);
  });
}

/** The commands that make, show and revoke operators' keys: only whoever may use the server and its database can. */
export function addKey(program: Command, readSettings: () => Config): void {
  const key = program.command("key").description("create, list and revoke operator keys for /platform");

  key
    .command("create")
    .description("create a key and print it (it is shown only once); its details go to standard error")
    .requiredOption("--name <name>", "what the key is for", readName)
    .requiredOption("--scopes <list>", `comma-separated scopes: ${scopes.join(",")}`, readScopes)
    .option("--expires <when>", "when it expires: 90d, or a time (RFC 3339)", readExpiry)
    .option("--allow <list>", "networks it may be used from: 192.0.2.0/24,2001:db8::/32", readNetworks)
    .action(
      async ({ name, scopes, expires, allow }: { name: string; scopes: Scope[]; expires?: Date; allow?: string[] }) => {
        const wanted = { name, scopes, ...(expires && { expires_at: expires }), ...(allow && { allow }) };
        const { key: text, record } = await withDeps(readSettings(), (deps) => createKey(deps, wanted));
        console.error(JSON.stringify(viewKey(record, now())));
        console.log(text);
      },
    );
  key
    .command("list")
    .description("list all keys, one JSON object per line, without their secrets")
    .action(async () => {
      for (const one of await withDeps(readSettings(), ({ db }) => listAll(db))) printLine(viewKey(one, now()));
    });
  key
    .command("revoke")
    .description("revoke a key; every process rejects it within a second")
    .argument("<id>", "the key's id as printed by `key list`, or the whole key")
    .action(async (id: string) =>
      printLine(viewKey(await withDeps(readSettings(), (deps) => revokeKey(deps, id)), now())),
    );
}
