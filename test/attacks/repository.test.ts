import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const listed = Bun.spawnSync(["git", "ls-files", "-z"], { cwd: root, stderr: "ignore" });
const files = listed.success ? listed.stdout.toString().split("\0").filter(Boolean) : [];
if (files.length === 0) console.log("skipped: this is no checkout of git, so nobody knows what is in the repository");

/** What secrets look like (the rules of gitleaks are the model). Written so that this file doesn't hold one itself. */
const patterns: Record<string, RegExp> = {
  "a private key": /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*[A-Za-z0-9+/=\s]{40,}/g,
  "an AWS key": /\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b/g,
  "an AWS secret": /aws.{0,20}secret.{0,20}["'=:\s][A-Za-z0-9/+]{40}\b/gi,
  "a token of GitHub": /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})/g,
  "a token of GitLab": /\bglpat-[\w-]{20,}/g,
  "a token of npm": /\bnpm_[A-Za-z0-9]{36}\b/g,
  "a token of Slack": /\bxox[abeoprs]-[\w-]{10,}/g,
  "a key of Google": /\bAIza[\w-]{35}\b/g,
  "a key of Stripe": /\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}/g,
  "a JWT": /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/g,
  "a refresh token": /\bcrt_[\w-]{64}\b/g,
  "an operator's key": /\bcrp_live_[0-9a-f]{8}_[0-9a-f]{72}\b/g,
  "a password in a connection string": /\b[a-z][a-z0-9+]{2,20}:\/\/[^\s/:@"'`<>{}$]+:[^\s/@"'`<>{}$]+@/g,
  "a bcrypt hash": /\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}/g,
  "a secret in a setting": /\b(?:JWT_SECRET_KEY|\w*PASSWORD|\w*_SECRET)\s*[=:]\s*["']?[A-Za-z0-9+/_-]{32,}/g,
};

/** What is no secret of anybody: values that tests and examples are made of, each at its place. */
const allowed: [file: RegExp, value: RegExp][] = [
  [/^test\//, /^\$2[aby]\$/],
  [/^(test|bench)\//, /of-the-(tests|attacks|bench)/],
  [/^test\/config\.test\.ts$/, /^rediss:\/\/user:secret@/],
  [/^test\/lib\/connection-options\.test\.ts$/, /:\/\/some\/?body:a-password|"gN3vJd0sQyq2/],
  [/^test\/(config|http\/cors)\.test\.ts$/, /"(gN3vJd0sQyq2|your-secret-key)/],
];

/** Whether a text is a made-up example: a few letters again and again carry no secret. */
const isExample = (value: string) => new Set(value.slice(4)).size < 8;

test.skipIf(files.length === 0)("no secret is in the repository", async () => {
  const found: string[] = [];
  for (const file of files) {
    const bytes = await Bun.file(join(root, file))
      .bytes()
      .catch(() => new Uint8Array());
    if (bytes.includes(0)) continue;
    const text = new TextDecoder().decode(bytes);
    for (const [what, pattern] of Object.entries(patterns)) {
      for (const [value] of text.matchAll(pattern)) {
        const known = isExample(value) || allowed.some(([place, each]) => place.test(file) && each.test(value));
        // Not the value itself: a log of tests is read by more people than the repository.
        if (!known) found.push(`${file}: ${what}, ${value.slice(0, 24)}…`);
      }
    }
  }
  expect(found).toEqual([]);
});

test("no dependency runs a script when it is installed", async () => {
  // Without the list Bun trusts some five hundred packages of its own.
  expect((await Bun.file(join(root, "package.json")).json()).trustedDependencies).toEqual([]);
});

test("each pattern finds what it is for", () => {
  const letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v";
  const examples: Record<string, string> = {
    "a private key": `-----BEGIN ${"PRIVATE"} KEY-----\n${letters}`,
    "an AWS key": `AK${"IA"}Q3EGRIWUO7BLZ5XY`,
    "an AWS secret": `aws_secret_access_key = ${letters.slice(0, 40)}`,
    "a token of GitHub": `gh${"p_"}${letters.slice(0, 36)}`,
    "a token of GitLab": `gl${"pat-"}${letters.slice(0, 20)}`,
    "a token of npm": `npm${"_"}${letters.slice(0, 36)}`,
    "a token of Slack": `xo${"xb-"}1234567890-abc`,
    "a key of Google": `AI${"za"}${letters.slice(0, 35)}`,
    "a key of Stripe": `sk${"_live_"}${letters.slice(0, 24)}`,
    "a JWT": `ey${"J"}${letters.slice(0, 20)}.ey${"J"}${letters.slice(0, 20)}.${letters.slice(0, 30)}`,
    "a refresh token": `crt${"_"}${letters}`,
    "an operator's key": `crp${"_live_"}0a1b2c3d_${"0123456789ab".repeat(6)}`,
    "a password in a connection string": `mongodb://ada${":"}hunter2@db.example`,
    "a bcrypt hash": `$2b${"$"}12$${letters.slice(0, 53)}`,
    "a secret in a setting": `JWT_SECRET_KEY${"="}${letters.slice(0, 40)}`,
  };
  for (const [what, pattern] of Object.entries(patterns)) {
    expect({ what, found: [...examples[what]!.matchAll(pattern)].length }).toEqual({ what, found: 1 });
  }
});
