/** What is asked, where it is met, and the tests that show it. `test/security.test.ts` holds that all of these exist. */
export type Requirement = {
  /** Numbers of OWASP ASVS 5.0 (V1.2.4 is requirement 1.2.4), of the OWASP API Security Top 10 of 2023 (API1) or of RFCs. */
  of: string;
  says: string;
  metIn: string[];
  /** By file, the full names of tests and groups: `group > test`. */
  shownBy: Record<string, string[]>;
};

export const requirements: Requirement[] = [
  // Who is it: sign-in, sessions, tokens
  {
    of: "V6.2.1, V6.2.9",
    says: "8 characters or more, 64 allowed",
    metIn: ["src/admin/password.ts", "src/http/contract/schemas.ts"],
    shownBy: {
      "test/http/contract.test.ts": ["POST /org/create > a password of %s is taken, and signs in"],
      "test/http/wrong-create.test.ts": ["POST /org/create refuses with a problem document, storing nothing:"],
    },
  },
  {
    of: "V6.2.2",
    says: "Passwords can be changed",
    metIn: ["src/flows/organization/update.ts"],
    shownBy: {
      "test/http/contract.test.ts": [
        "PUT /org/update > name, email and password are changed together; the new ones work and the old ones don't",
      ],
    },
  },
  {
    of: "V6.3.1, API2",
    says: "Guessing is limited by email and by address, before a password is checked, with waits that grow",
    metIn: ["src/limits.ts", "src/http/edge/limits.ts"],
    shownBy: {
      "test/http/limits.test.ts": [
        "tries to sign in > of 50 sign-ins at once with one email, from as many addresses of one network, exactly 10 are let through",
        "tries to sign in > of 50 sign-ins at once from one address, with as many emails, exactly 15 are let through",
        "tries to sign in > sign-ins over the limit are refused before a password is checked, with the right one too",
        "tries to sign in > sign-ins have to wait twice as long after each window that was used up",
      ],
    },
  },
  {
    of: "V6.1.1",
    says: "Nobody can lock an admin out: wrong tries elsewhere don't count where the email has signed in, nor for a session that is renewed",
    metIn: ["src/http/edge/limits.ts", "src/limits.ts"],
    shownBy: {
      "test/http/lock-out.test.ts": [
        "an admin whose email others try wrong passwords with > wrong tries from everywhere don't lock an admin out where the email has signed in of late, nor keep a session from renewing",
        "an admin whose email others try wrong passwords with > an admin signs in from other networks, while one network has only few tries however many addresses it has",
      ],
    },
  },
  {
    of: "V6.3.8 (sign-in)",
    says: "Users can't be told from others by text, status, headers, limits or work done",
    metIn: ["src/session/sign-in.ts", "src/admin/password-hasher.ts"],
    shownBy: {
      "test/attacks/enumeration.test.ts": [
        "a sign-in answers an unknown email, a wrong password and an organization that is gone alike: status, text and headers",
      ],
      "test/session/sign-in.test.ts": [
        "a sign-in > a sign-in checks one password, whether the email is known or not",
        "a check of a password > a check of a password costs as much for %s",
      ],
      "test/http/limits.test.ts": [
        "tries to sign in > limits of sign-ins tell the same of a known email and of an unknown one",
      ],
    },
  },
  {
    of: "V11.4.2",
    says: "Passwords are kept as bcrypt hashes, renewed when the rounds are raised",
    metIn: ["src/admin/password-worker.ts", "src/session/sign-in.ts"],
    shownBy: {
      "test/http/contract.test.ts": [
        "POST /org/create > creating answers 201 with the whole organization, and stores no password in clear",
      ],
      "test/session/sign-in.test.ts": [
        "rounds that were raised > a hash of fewer rounds is renewed at the next right sign-in, not at a wrong one, and goes on signing in",
      ],
    },
  },
  {
    of: "V7.1.1, V7.3.1, V7.3.2",
    says: "A session ends 30 days after its last renewal and 90 days after the sign-in (settings)",
    metIn: ["src/session/session.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a session ends > a session ends 30 days after it was renewed last, and each renewal counts anew",
        "a session ends > a session ends 90 days after its sign-in, however often it was renewed",
      ],
    },
  },
  {
    of: "V7.1.2",
    says: "An admin has 200 sessions at the most, the least lately used is ended",
    metIn: ["src/session/start-session.ts"],
    shownBy: {
      "test/session/sessions.test.ts": [
        "an admin has ${sessionsMax} sessions at the most: a further sign-in ends the one that was used least lately, on record",
      ],
    },
  },
  {
    of: "V7.2.2, V7.2.3, V11.5.1",
    says: "Refresh tokens are 256 random bits, stored as hashes only",
    metIn: ["src/session/token/refresh-token.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a refresh token > a refresh token is nowhere in the database, nor is the part that finds the session",
      ],
    },
  },
  {
    of: "RFC 9700 4.14.2",
    says: "A refresh token is good once; one that comes twice ends its session",
    metIn: ["src/session/refresh.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a refresh token > a refresh token that is used twice ends its session, with the access tokens and the refresh token that were given for it first",
        "a refresh token > a refresh token of long ago ends the session as the last one does",
      ],
    },
  },
  {
    of: "RFC 9700 4.14.2",
    says: "Within a moment of its use a refresh token that comes again gets nothing and ends nothing; after it the session ends",
    metIn: ["src/session/refresh.ts", "src/session/session-store.ts"],
    shownBy: {
      "test/session/tabs.test.ts": [
        "a refresh token that comes a second time > within the leeway gets nothing and ends nothing, however often it comes, and is no entry of the audit",
        "a refresh token that comes a second time > after the leeway ends its session, with all tokens of it",
        "a refresh token that comes a second time > has a leeway of its own, which no later renewal makes longer",
        "two processes > of many who renew one session at once in two processes exactly one gets tokens, and the session goes on",
      ],
    },
  },
  {
    of: "V15.4.2",
    says: "Of several who renew at once one wins, and a crash in between leaves no token",
    metIn: ["src/session/session-store.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a refresh token > a refresh token sent many times at once is let through once at the most, and no token of the session is left",
        "a process that died > a process that dies between a renewal and its answer leaves a session that has to sign in again, and no token of it",
      ],
    },
  },
  {
    of: "V7.4.1",
    says: "After logout nothing of the session is taken, in every process within a second, also after a crash",
    metIn: ["src/session/end-session.ts", "src/session/revocation/revocations.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a session ends > logout ends the refresh token and the access tokens of its session, and no other session",
        "a process that died > when a process dies after it ended a session, before the access tokens, any other process goes on",
      ],
      "test/session/two-processes.test.ts": ["what is ended in one process is refused in the other within a second:"],
    },
  },
  {
    of: "V7.4.2",
    says: "With the organization all its sessions and tokens end",
    metIn: ["src/flows/organization/remove.ts", "src/session/authenticate.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a session ends > a session ends with its organization, and nothing of it is left behind",
      ],
      "test/attacks/credentials.test.ts": [
        "a token and its organization: > the token of an organization that is %s is refused on every route",
      ],
    },
  },
  {
    of: "V7.4.3",
    says: "A new password ends all other sessions",
    metIn: ["src/admin/store.ts", "src/flows/organization/update.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a session ends > a new password ends all sessions but the one that changed it, which can be renewed and changed from again",
      ],
      "test/session/two-processes.test.ts": [
        "a process that is killed in a change of the password > a process killed in a change of the password, %s its write, leaves no token of before valid after it",
      ],
    },
  },
  {
    of: "V6.2.3, V7.5.1",
    says: "A new email or password and the deletion need the password or a sign-in of the last 5 minutes; wrong ones count as sign-ins do",
    metIn: ["src/session/confirm.ts", "src/http/organization/confirm-password.ts"],
    shownBy: {
      "test/session/current-password.test.ts": [
        "with a session of six minutes > a new email, a new password and the deletion need the password, and a new name doesn't",
        "with a session of six minutes > renewing the session doesn't make it younger, and signing in does",
        "with a session of six minutes > a wrong password counts as a wrong sign-in, and a right one as none",
      ],
    },
  },
  {
    of: "V6.4.1, V6.4.3",
    says: "A lost password is replaced by a token that an operator makes: 256 random bits, good once for 30 minutes, stored as a hash",
    metIn: ["src/session/recovery/use-recovery.ts", "src/admin/recovery-store.ts"],
    shownBy: {
      "test/session/recovery.test.ts": [
        "a recovery token > sets a new password once, ends all sessions and tokens of the admin, and signs nobody in",
        "a recovery token > is void after 30 minutes, by the database's clock, and is then swept",
        "a recovery token > is void after a newer one, which is good",
        "a recovery token > is answered alike whatever is wrong with it, and no password is hashed for it",
        "making and using a recovery token, and what is refused of it, are on record, and the token is in no record and no log",
        "processes beside each other > of those who use one recovery token at once in two processes exactly one sets the password",
      ],
    },
  },
  {
    of: "V7.5.2 (but for asking for the password again)",
    says: "Sessions can be seen and ended",
    metIn: ["src/session/sessions.ts"],
    shownBy: {
      "test/session/sessions.test.ts": [
        "GET /admin/sessions > an admin sees the own sessions, the latest used first, with where they were used from",
        "DELETE /admin/sessions/:id > ending a session ends its access and its refresh token, and no other session",
      ],
    },
  },
  {
    of: "V9.1.1, V9.1.2, RFC 8725 3.1, 3.2, 3.3",
    says: "One algorithm, ours to say; never `none`; every signature is checked",
    metIn: ["src/session/token/token.ts"],
    shownBy: {
      "test/attacks/credentials.test.ts": [
        "every protected route refuses every wrong credential with 401 or 403, and nothing is changed by that",
      ],
    },
  },
  {
    of: "RFC 8725 2.1",
    says: "A public key is no HMAC secret",
    metIn: ["src/session/token/keys.ts"],
    shownBy: {
      "test/attacks/credentials.test.ts": ["a public key is no secret to sign with:"],
      "test/session/keys.test.ts": [
        "%s > a public key is no secret for HMAC, in whatever form, and no other algorithm is taken",
      ],
    },
  },
  {
    of: "V9.1.3, RFC 8725 3.10",
    says: "Keys come from the settings; `kid` only chooses among them; `jku`, `x5u`, `jwk` are not read",
    metIn: ["src/session/token/token.ts"],
    shownBy: {
      "test/attacks/credentials.test.ts": [
        "every protected route refuses every wrong credential with 401 or 403, and nothing is changed by that",
      ],
      "test/session/keys.test.ts": [
        "several secrets > a token of before keys had names is tried with each, one that names a key only with that",
      ],
    },
  },
  {
    of: "V9.2.1",
    says: "`exp`, `nbf` and `iat`, with no leeway but the set one",
    metIn: ["src/session/token/token.ts"],
    shownBy: {
      "test/session/leeway.test.ts": [
        "with a leeway of %d seconds > exp, nbf and iat hold for so much longer or earlier, and not a second more",
      ],
    },
  },
  {
    of: "V9.2.2, RFC 8725 3.12",
    says: "A refresh token is no access token, nor the other way round",
    metIn: ["src/session/token/refresh-token.ts"],
    shownBy: {
      "test/session/refresh.test.ts": [
        "a refresh token > a refresh token is no access token, and an access token no refresh token",
      ],
    },
  },
  {
    of: "V9.2.3, RFC 8725 3.8, 3.9",
    says: "`iss` and `aud`; no claim may be missing",
    metIn: ["src/session/token/token.ts"],
    shownBy: {
      "test/session/keys.test.ts": [
        "what a token says > a token is of this issuer, for this audience, not of the future and not over",
      ],
      "test/session/leeway.test.ts": ["a token without %s is none, whatever the leeway"],
    },
  },
  {
    of: "RFC 8725 3.5, V13.2.3",
    says: "No short, well-known or missing secret",
    metIn: ["src/session/token/secret.ts", "src/config.ts"],
    shownBy: {
      "test/config.test.ts": [
        "the configuration > a wrong configuration is refused with all that is wrong at once, and shows no secret",
      ],
    },
  },
  {
    of: "V13.3.4",
    says: "Keys are changed without a restart",
    metIn: ["src/session/token/keys.ts"],
    shownBy: { "test/session/reload.test.ts": ["SIGHUP makes a service read its keys again, and it goes on"] },
  },
  {
    of: "RFC 6750 2.1, 2.3, V14.2.1",
    says: "A token is taken from the header only, never from the query or a cookie",
    metIn: ["src/session/authenticate.ts"],
    shownBy: {
      "test/attacks/credentials.test.ts": [
        "every protected route refuses every wrong credential with 401 or 403, and nothing is changed by that",
      ],
    },
  },
  {
    of: "RFC 6750 3",
    says: "401 with a challenge, which names an error only when a token was sent",
    metIn: ["src/http/contract/problems.ts"],
    shownBy: {
      "test/attacks/credentials.test.ts": [
        "every protected route refuses every wrong credential with 401 or 403, and nothing is changed by that",
      ],
    },
  },
  {
    of: "V16.5.2, V16.5.3",
    says: "While it can't be told which tokens were ended, nothing is written",
    metIn: ["src/session/authenticate.ts"],
    shownBy: {
      "test/session/revocations.test.ts": [
        "while it isn't known what others have ended, writes are refused and known tokens go on reading",
      ],
    },
  },

  // May they: tenants, operators, fields
  {
    of: "V8.2.1, API5",
    says: "Every route but those that the test names wants a credential, of the right kind; a new one is protected or the test fails",
    metIn: ["src/http/edge/auth.ts", "src/http/platform/platform-routes.ts"],
    shownBy: {
      "test/attacks/credentials.test.ts": [
        "every protected route refuses every wrong credential with 401 or 403, and nothing is changed by that",
        "an admin's token opens no route of operators, and an operator's key none of admins",
      ],
    },
  },
  {
    of: "V8.2.2, V8.4.1, API1",
    says: "No tenant reaches another's documents, in a shared collection either",
    metIn: ["src/tenant/door.ts", "src/tenant/scope.ts"],
    shownBy: {
      "test/tenant/isolation.test.ts": [
        "whatever a tenant asks for, it has and changes its own documents as if there were no others",
      ],
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands ids that lead elsewhere, and those of others",
        "two tenants in one collection > filters, projections, sorts and stages can't reach another tenant's documents",
        "two tenants in one collection > writes to an id that another tenant has, too, leave that tenant's document alone",
      ],
    },
  },
  {
    of: "V8.2.2",
    says: "What another has is answered like what nobody has",
    metIn: ["src/session/sessions.ts", "src/tenant/scope.ts"],
    shownBy: {
      "test/attacks/enumeration.test.ts": [
        "what another tenant has is answered like what nobody has: documents, indexes, sessions",
      ],
    },
  },
  {
    of: "V8.2.2",
    says: "A token means an organization, never a name",
    metIn: ["src/session/authenticate.ts"],
    shownBy: {
      "test/organization/identity.test.ts": [
        "a token means an organization, never a name: > after A is renamed and B takes the name, A's old token changes and deletes A, and B stays",
      ],
      "test/attacks/credentials.test.ts": [
        "a token and its organization: > the token of a renamed organization never reaches the one that took its name since",
      ],
    },
  },
  {
    of: "V8.2.3, V15.3.1, V15.3.3, API3",
    says: "Only the fields of a request are taken",
    metIn: ["src/http/contract/describe.ts", "src/http/contract/schemas.ts"],
    shownBy: {
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > fields that are not the caller's to set are refused, and nothing of them is stored",
      ],
    },
  },
  {
    of: "V8.3.2",
    says: "What was taken away is gone within a second",
    metIn: ["src/session/revocation/revocations.ts", "src/look-up.ts", "src/session/revocation/revocation-news.ts"],
    shownBy: {
      "test/session/two-processes.test.ts": ["what is ended in one process is refused in the other within a second:"],
      "test/session/redis.test.ts": [
        "with Redis > while Redis is killed and started again under load, requests go on, limits hold, and a logout is told",
      ],
    },
  },
  {
    of: "V8.2.1, API5 (operators)",
    says: "Each route of operators asks for the scope that it names",
    metIn: ["src/http/edge/operator-auth.ts"],
    shownBy: {
      "test/http/platform-scopes.test.ts": [
        "every route under /platform asks for a key with the scope that it names, and for nothing less",
      ],
    },
  },
  {
    of: "V7.2.2, V7.2.3, V13.2.1",
    says: "Operators' keys are 256 random bits, shown once, stored hashed",
    metIn: ["src/operator/key-text.ts", "src/operator/create-key.ts"],
    shownBy: {
      "test/operator/keys.test.ts": ["an operator's key > an operator's key is stored as a hash, never itself"],
      "test/operator/commands.test.ts": [
        "croupier key > croupier key create prints a key, this once; list and revoke show everything else of it",
      ],
    },
  },
  {
    of: "V8.3.2",
    says: "An operator's key ends by its time, and in every process within a second when it is revoked",
    metIn: ["src/operator/known-keys.ts"],
    shownBy: {
      "test/operator/keys.test.ts": [
        "an operator's key > an operator's key ends when its time is over, also in a process that remembers it",
        "an operator's key > a revoked operator's key is refused within a second by a process that has just used it",
      ],
    },
  },
  {
    of: "V8.2.4",
    says: "An operator's key may be bound to networks",
    metIn: ["src/operator/authenticate.ts"],
    shownBy: {
      "test/operator/keys.test.ts": [
        "an operator's key with an allow-list > an operator's key with an allow-list, from %s, answers %i",
      ],
    },
  },

  // What comes in, what goes out
  {
    of: "V1.2.4, V15.3.5",
    says: "No operator gets into a query by a field, a parameter or an id",
    metIn: ["src/http/contract/describe.ts", "src/tenant/query/filter.ts"],
    shownBy: {
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands operators, hostile text and hostile numbers in every field of its body",
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands operators, lists and hostile text in every parameter of its query",
      ],
    },
  },
  {
    of: "V1.3.2, V4.3.1",
    says: "Of queries and pipelines an allow-list, none that runs code or leaves the tenant",
    metIn: ["src/tenant/query/operators.ts", "src/tenant/query/stages.ts"],
    shownBy: {
      "test/tenant/query/filter.test.ts": [
        "a tenant's filter is refused > a filter of what isn't on the allow-list is refused: %s",
      ],
      "test/tenant/query/pipeline.test.ts": [
        "a tenant's pipeline is refused > a pipeline of what isn't on the allow-list is refused: %.80s",
      ],
    },
  },
  {
    of: "V15.1.3, API4",
    says: "No query keeps the database busy in one document, whatever its time limit",
    metIn: ["src/tenant/query/cost/expression-cost.ts", "src/tenant/query/cost/pattern.ts"],
    shownBy: {
      "test/tenant/query/cost.test.ts": [
        "an expression that does more than linear work > an expression is refused that %s",
      ],
      "test/tenant/query/pattern.test.ts": ["a pattern > a pattern of many passes over a text is refused: %s"],
    },
  },
  {
    of: "V2.2.1, V2.2.2, API9",
    says: "Every route says what it takes and answers, and that is what it checks",
    metIn: ["src/http/contract/describe.ts"],
    shownBy: {
      "test/http/openapi.test.ts": [
        "/openapi.json > the description has every route of the app but those of the documentation itself, and no other",
        "/openapi.json > what the service answers is what it describes",
      ],
    },
  },
  {
    of: "V15.3.6",
    says: "No prototype is polluted",
    metIn: ["src/http/contract/describe.ts"],
    shownBy: {
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > fields that are not the caller's to set are refused, and nothing of them is stored",
      ],
    },
  },
  {
    of: "V15.3.7",
    says: "Parameters that come twice or as lists",
    metIn: ["src/http/contract/describe.ts"],
    shownBy: {
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands operators, lists and hostile text in every parameter of its query",
      ],
    },
  },
  {
    of: "V2.4.1, V15.2.2, API4",
    says: "Sizes, times, requests at once and requests a minute are limited",
    metIn: ["src/app.ts", "src/http/edge/time-limit.ts", "src/http/edge/limits.ts"],
    shownBy: {
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands bodies that are too large, of another type, or no request at all",
      ],
      "test/http/transport.test.ts": [
        "the time limit > a client that sends its body byte by byte is cut off, and told why",
      ],
      "test/http/limits.test.ts": [
        "an organization with too many requests at work > of one organization's requests beyond its share a few wait and the others are refused, while every other organization goes on",
      ],
      "test/session/sign-in.test.ts": [
        "more sign-ins than may wait > more sign-ins than may wait are refused with when to come back; those that wait succeed, as do requests without a password",
      ],
    },
  },
  {
    of: "API4",
    says: "No route of the app is without a limit, but for those that ask the database for nothing",
    metIn: ["src/http/edge/auth.ts", "src/http/edge/operator-auth.ts"],
    shownBy: {
      "test/http/limited-routes.test.ts": [
        "every route that wants an admin's token is limited by it",
        "every route that wants an operator's key is limited by it",
        "every other route is limited by address, but for those that cost nothing",
      ],
    },
  },
  {
    of: "API4",
    says: "A tenant's large answers hold up only itself, and a refusal is no way to keep the service busy",
    metIn: ["src/lib/slices.ts", "src/lib/limit/crowd.ts"],
    shownBy: {
      "test/lib/slices.test.ts": [
        "the slices of those who have much to do go round, a key at a time, however many works one has",
      ],
      "test/http/limits.test.ts": [
        "an organization with too many requests at work > of one organization's requests beyond its share a few wait and the others are refused, while every other organization goes on",
      ],
    },
  },
  {
    of: "API4",
    says: "A large body or document is read, checked and printed on a thread, and a thread that ends takes one request with it",
    metIn: ["src/lib/threads.ts", "src/document/large-worker.ts"],
    shownBy: {
      "test/lib/threads.test.ts": ["a thread that ends > takes its own job with it, and no other: %s"],
      "test/attacks/large.test.ts": [
        "a large document of the tier %s > is inserted, replaced, patched and read as a small one is, with values of all types",
      ],
    },
  },
  {
    of: "API4",
    says: "Organizations share what the database can do: none takes all, and the service itself has connections of its own",
    metIn: ["src/lib/limit/places.ts", "src/tenant/door.ts"],
    shownBy: {
      "test/lib/places.test.ts": [
        "places that are dealt to keys > places are never all taken by some: each who comes leaves as many free as it has, and a newcomer gets one at once",
      ],
      "test/http/crowded.test.ts": [
        "four organizations with 26 queries each that don't end > queries of four organizations that don't end keep neither health nor sign-ins nor another organization's requests from their answers",
      ],
    },
  },
  {
    of: "API4",
    says: "An organization has no more documents and bytes than its quota, where there is one",
    metIn: ["src/quota/usage.ts"],
    shownBy: {
      "test/quota/processes.test.ts": [
        "two processes on one database > together let in no more than the quota, and but for what both have set aside as much, and know of what was removed",
      ],
    },
  },
  {
    of: "API4",
    says: "A body is read when it is known whose it is, all bodies together are bounded, and what isn't valid counts too",
    metIn: ["src/http/edge/receive.ts", "src/lib/limit/budget.ts"],
    shownBy: {
      "test/http/strangers.test.ts": [
        "of somebody who isn't known > nothing of a stranger's body is read before POST %s says so",
        "what is being read of all requests together > all bodies that are being read are bounded together, and one organization can't have all: it is refused, others go on, and later it does too",
      ],
      "test/http/lock-out.test.ts": [
        "a request that isn't valid > a request to POST %s that isn't valid counts like one that is",
      ],
    },
  },
  {
    of: "API6, RateLimit header draft",
    says: "`RateLimit`, `RateLimit-Policy`, `Retry-After` are true; creations are limited by address",
    metIn: ["src/http/edge/limits.ts"],
    shownBy: {
      "test/http/limits.test.ts": [
        "of 30 organizations made at once from one address exactly 10 are, and the headers of all are true",
      ],
    },
  },
  {
    of: "V4.1.3, V15.3.4",
    says: "The address is what a trusted proxy says",
    metIn: ["src/http/edge/address.ts"],
    shownBy: {
      "test/http/address.test.ts": ["the caller's address > the caller's address isn't read from other headers"],
      "test/http/limits.test.ts": [
        "tries to sign in > sign-ins count by the address that the proxy saw, not by those that the caller made up",
      ],
    },
  },
  {
    of: "V4.1.4, V13.4.4",
    says: "Other methods, `TRACE` and `CONNECT` among them, are refused",
    metIn: ["src/app.ts"],
    shownBy: {
      "test/attacks/socket.test.ts": [
        "requests that hide a second one, and headers that aren't any, are answered once or not at all, never with a 5xx",
      ],
    },
  },
  {
    of: "V4.2.1",
    says: "No request hides in another",
    metIn: ["src/boot.ts"],
    shownBy: {
      "test/attacks/socket.test.ts": [
        "requests that hide a second one, and headers that aren't any, are answered once or not at all, never with a 5xx",
      ],
    },
  },
  {
    of: "V1.1.1",
    says: "A path has one meaning",
    metIn: ["src/app.ts"],
    shownBy: {
      "test/attacks/socket.test.ts": [
        "spellings of a path lead nowhere without a token, whatever proxies make of them",
      ],
    },
  },
  {
    of: "RFC 9112 3.2",
    says: "A request has one host or none, and its path doesn't depend on it",
    metIn: ["src/http/edge/host.ts"],
    shownBy: { "test/http/host.test.ts": ["a Host header > a Host header with %s is refused, whatever is asked for"] },
  },
  {
    of: "V1.2.1",
    says: "Nothing that a caller sends gets into a header",
    metIn: ["src/http/contract/describe.ts", "src/app.ts"],
    shownBy: {
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands hostile headers",
      ],
      "test/attacks/socket.test.ts": ["a request id that a caller makes up is not repeated unless it is a plain one"],
    },
  },
  {
    of: "V3.4.1",
    says: "HSTS for a year when `ENFORCE_HTTPS` is on",
    metIn: ["src/http/edge/https.ts"],
    shownBy: {
      "test/http/transport.test.ts": [
        "with ENFORCE_HTTPS > with ENFORCE_HTTPS what came by HTTPS passes, and browsers are told to use nothing else",
      ],
    },
  },
  {
    of: "V3.4.2, V3.5.2",
    says: "CORS for listed origins, bodies in JSON only",
    metIn: ["src/http/edge/cors.ts"],
    shownBy: {
      "test/http/cors.test.ts": [
        "a page of an origin that isn't listed > a page of any origin is refused when none is listed, which is the default",
      ],
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data > every route withstands bodies that are too large, of another type, or no request at all",
      ],
    },
  },
  {
    of: "V3.4.3, V3.4.4, V3.4.6, API8",
    says: "CSP, `nosniff`, no frames",
    metIn: ["src/app.ts", "src/http/contract/docs.ts"],
    shownBy: {
      "test/http/service-routes.test.ts": [
        "the service > every answer has the headers that protect a browser",
        "GET /docs > GET /docs has a policy of its own that allows its files and its one inline script by hash, nothing else",
      ],
    },
  },
  {
    of: "V14.3.2",
    says: "`Cache-Control: no-store` on all that needs or gives a token",
    metIn: ["src/app.ts"],
    shownBy: {
      "test/http/transport.test.ts": [
        "nothing that needs or gives a token may be kept by anybody on the way, whatever the answer",
      ],
    },
  },
  {
    of: "RFC 9457, V16.5.1, V16.5.4",
    says: "Each error is a problem document that says nothing of the inside",
    metIn: ["src/http/contract/problems.ts"],
    shownBy: {
      "test/http/openapi.test.ts": [
        "/openapi.json > problems are described with the titles and statuses of the one table, and only those",
      ],
      "test/attacks/input.test.ts": [
        "hostile input gets a problem document on every route, never a 5xx or another's data",
      ],
    },
  },

  // What is kept
  {
    of: "V16.2.1, V16.2.4, V16.4.1",
    says: "One JSON object a line, with time, request id, route and outcome; nobody else writes a line",
    metIn: ["src/log.ts", "src/http/edge/request-log.ts"],
    shownBy: {
      "test/http/request-log.test.ts": [
        "the log is one JSON object a line and names each request by its id, its route and its outcome",
      ],
      "test/attacks/input.test.ts": [
        "the log of all that is one JSON object a line, with no line that an attacker wrote, no token and no email",
      ],
    },
  },
  {
    of: "V16.2.5",
    says: "No email, password, token or secret in the log",
    metIn: ["src/lib/scrub.ts", "src/http/edge/request-log.ts"],
    shownBy: {
      "test/http/request-log.test.ts": [
        "the log holds no email, password, hash, token or secret, whatever goes well or wrong",
      ],
    },
  },
  {
    of: "V16.3.1, V16.3.2",
    says: "Sign-ins, failed ones, refused access and each sensitive act are recorded, and none is done without its record",
    metIn: ["src/audit/audited.ts", "src/http/edge/note-refusals.ts"],
    shownBy: {
      "test/http/audit.test.ts": [
        "every sensitive act has one entry that says who, what, where from, by which request and how it went:",
        "a sign-in that can't be recorded is 503, and no token is handed out",
      ],
      "test/session/sessions.test.ts": [
        "the record of an organization says whose session was ended, and which refresh token came twice, and holds neither",
      ],
    },
  },
  {
    of: "V16.4.1, V16.2.5 (record)",
    says: "No entry is forged by newlines, and none holds a secret or an email",
    metIn: ["src/audit/audit.ts"],
    shownBy: {
      "test/http/audit.test.ts": [
        "an entry of the record > no entry can be forged by newlines and control characters in names and headers",
        "an entry of the record > no entry holds a password, a token, a secret or an email, whatever was sent",
      ],
    },
  },
  {
    of: "V16.4.2 (in part)",
    says: "An altered, missing or reordered entry is found, and a chain that is gone",
    metIn: ["src/audit/chain.ts", "src/audit/verify.ts"],
    shownBy: {
      "test/audit/verify.test.ts": [
        "what audit verify finds > audit verify finds %s",
        "a whole chain that is gone with its head > audit verify reports a whole chain that is gone with its head, of an organization that this version made, also when all are checked",
      ],
      "test/audit/append.test.ts": [
        "entries that are appended > entries appended after the newest were taken away leave a gap that is found",
      ],
    },
  },
  {
    of: "V14.2.7",
    says: "What has run out is removed, and what is personal goes with the operation and the organization",
    metIn: ["src/expiry.ts", "src/flows/organization/forget.ts"],
    shownBy: {
      "test/expiry.test.ts": ["what has ended is removed also where the database doesn't, and what has not stays"],
      "test/organization/forgotten.test.ts": [
        "a deleted organization > a deleted organization leaves its names, emails and documents' ids nowhere but in the audit",
      ],
    },
  },
  {
    of: "V13.3.1 (in part)",
    says: "No secret is in the repository",
    metIn: ["test/attacks/repository.test.ts"],
    shownBy: { "test/attacks/repository.test.ts": ["no secret is in the repository"] },
  },
];
