import { randomUUID } from "node:crypto";
import { expect, setDefaultTimeout, test } from "bun:test";
import { makeRefreshToken } from "../../src/session/token/refresh-token.ts";
import { type Answer, useService } from "../support/service.ts";
import { refreshAt, sidOf, signInTo } from "../support/session.ts";

setDefaultTimeout(60_000);
const service = useService();

/** All that somebody who compares two answers could tell them apart by, but for the request's own id and path. */
function told({ status, headers, body }: Answer) {
  const { request_id: _request, instance: _instance, ...rest } = body ?? {};
  // How much is left of a limit goes down with every try, whoever it is for.
  const own = ["x-request-id", "date", "ratelimit"];
  const length = Number(headers.get("content-length") ?? 0) - (body?.instance?.length ?? 0);
  const others = [...headers]
    .filter(([name]) => ![...own, "content-length"].includes(name))
    // How much of a limit is left says how often was asked, not for whom: see test/http/limits.test.ts.
    .map(([name, value]) => [name, name === "ratelimit" ? value.replace(/\d+/g, "n") : value])
    .sort();
  return { status, rest, others, length };
}
const same = (answers: Answer[]) => {
  for (const answer of answers.slice(1)) expect(told(answer)).toEqual(told(answers[0]!));
};

test("a sign-in answers an unknown email, a wrong password and an organization that is gone alike: status, text and headers", async () => {
  const [who, gone, hidden] = [await service.join(), await service.join(), await service.join()];
  await service.send("DELETE", "/org/delete", { token: gone.token });
  const filter = { organization_name: hidden.organization_name };
  await service.db.collection("organizations").updateOne(filter, { $set: { status: "deleting" } });
  const signIn = (email: string, password: string) =>
    service.send("POST", "/admin/login", { body: { email, password } });
  const answers = [
    await signIn("nobody-at-all@example.com", who.password),
    await signIn(who.email, "Wrong-Horse-7"),
    await signIn(who.email.toUpperCase(), "Wrong-Horse-7"),
    await signIn(gone.email, gone.password),
    await signIn(hidden.email, hidden.password),
    await signIn(who.email, "x"),
  ];
  expect(answers[0]!.status).toBe(401);
  same(answers);
  expect(answers[0]!.text).not.toContain("nobody-at-all");
});

test("a refresh token answers one that never was, one that was ended and one that has run out alike", async () => {
  const who = await service.join();
  const [ended, old, gone] = [await signInTo(service, who), await signInTo(service, who), await service.join()];
  const { refresh_token } = await signInTo(service, gone);
  await service.send("POST", "/admin/logout", { token: ended.access_token });
  const past = { $set: { refresh_until: new Date(0) } };
  await service.db.collection("sessions").updateOne({ _id: sidOf(old.access_token) as never }, past);
  await service.send("DELETE", "/org/delete", { token: gone.token });
  const tokens = [makeRefreshToken(), "x".repeat(68), ended.refresh_token, old.refresh_token, refresh_token];
  const answers: Answer[] = [];
  for (const token of tokens) answers.push(await refreshAt(service, token));
  expect(answers[0]!.status).toBe(401);
  same(answers);
});

test("an access token that was never signed tells nothing of the one it was made from, nor one that was ended why", async () => {
  const [who, ended, gone] = [await service.join(), await service.join(), await service.join()];
  await service.send("POST", "/admin/logout-all", { token: ended.token });
  await service.send("DELETE", "/org/delete", { token: gone.token });
  const altered = (token: string) => `${token.slice(0, -6)}AAAAAA`;
  for (const path of ["/admin/me", "/org/documents", "/admin/sessions"]) {
    for (const tokens of [
      ["x.y.z", altered(who.token), altered(ended.token), altered(gone.token)],
      [ended.token, gone.token],
    ]) {
      const answers: Answer[] = [];
      for (const token of tokens) answers.push(await service.send("GET", path, { token }));
      expect(answers[0]!.status).toBe(401);
      same(answers);
    }
  }
});

test("what another tenant has is answered like what nobody has: documents, indexes, sessions", async () => {
  const [who, stranger] = [await service.join(), await service.join()];
  const { token } = who;
  await service.send("POST", "/org/documents", { token: stranger.token, body: { _id: "theirs" } });
  await service.send("POST", "/org/indexes", { token: stranger.token, body: { key: { n: 1 }, name: "theirs" } });
  for (const [method, theirs, nobodys] of [
    ["GET", "/org/documents/theirs", "/org/documents/nobody"],
    ["DELETE", "/org/documents/theirs", "/org/documents/nobody"],
    ["DELETE", "/org/indexes/theirs", "/org/indexes/nobody"],
    ["DELETE", `/admin/sessions/${sidOf(stranger.token)}`, `/admin/sessions/${randomUUID()}`],
  ] as const) {
    const answers = [await service.send(method, theirs, { token }), await service.send(method, nobodys, { token })];
    expect({ theirs, status: answers[0]!.status }).toEqual({ theirs, status: 404 });
    const detail = (answer: Answer) => answer.body.detail.replace(/theirs|nobody/, "");
    expect(detail(answers[0]!)).toBe(detail(answers[1]!));
    expect(answers.map(({ body }) => body.type)).toEqual([answers[0]!.body.type, answers[0]!.body.type]);
  }
});
