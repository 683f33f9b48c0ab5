/**
 * The command line's end of the admin listener: what it asks of the tracker, and what it keeps from
 * whatever else may listen there.
 */
import { afterAll, describe, expect, test } from "bun:test";

import type { Change } from "../../src/access/keeper.ts";
import { ADMIN } from "../admin/fixture.ts";
import { createAdmin } from "../../src/admin/admin.ts";
import { AdminClient } from "../../src/verbs/admin-client.ts";

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const TOKEN = "0123456789abcdef-secret";

const stops: (() => unknown)[] = [];
afterAll(() => stops.forEach((stop) => stop()));

/** Answers by a function of the request; notes all requests. */
function listen(answer: (req: Request) => Response | Promise<Response>) {
  const sent: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(req) {
      const { pathname } = new URL(req.url);
      sent.push(`${req.method} ${pathname} ${req.headers.get("authorization") ?? ""}`);
      return answer(req);
    },
  });
  stops.push(() => server.stop(true));
  return { sent, port: server.port! };
}

/** The tracker's handler behind a port; `changes` are the results. An empty token means none. */
function tracker({ token = TOKEN, changes = [] as Change[] } = {}) {
  const calls: string[] = [];
  const keeper = {
    change: (name: string, hash: Uint8Array, listed: boolean) => {
      calls.push(`${listed ? "+" : "-"}${name} ${hash.toHex()}`);
      return Promise.resolve(changes.shift() ?? { outcome: "changed" as const });
    },
    setMaintenance: (on: boolean) => {
      calls.push(`maintenance ${on}`);
      return Promise.resolve();
    },
  };
  const admin = createAdmin({ ...ADMIN, token: token || undefined, keeper });
  return { ...listen((req) => admin.fetch(req)), calls };
}

const client = (port: number) => new AdminClient({ host: "0.0.0.0", port }, TOKEN);
const ask = (port: number) =>
  client(port)
    .askForMaintenance(true)
    .catch((error: Error) => error.message);

test("deny and allow are a challenge and a request each, and the token is not sent", async () => {
  const { sent, calls, port } = tracker();
  const sentence = `${HASH} is now on the deny list`;
  expect(await client(port).askForList("deny", HASH)).toEqual({ status: 200, sentence });
  await client(port).askForList("allow", HASH);
  expect(calls).toEqual([`+deny ${HASH}`, `+allow ${HASH}`]);
  expect(sent.map((line) => line.replace(/[0-9a-f]{64,}/g, "N"))).toEqual([
    "GET /challenge/N ",
    `PUT /access/deny/${HASH} Buntracker N N N`,
    "GET /challenge/N ",
    `PUT /access/allow/${HASH} Buntracker N N N`,
  ]);
  expect(sent.join()).not.toContain(TOKEN);
});

describe("forget", () => {
  const none: Change = { outcome: "no list" };
  const off: Change = { outcome: "changed" };
  const full: Change = { outcome: "failed", reason: "full", remedy: "make room" };
  const cases: [string, Change[], number, string][] = [
    ["both lists", [off, off], 200, `${HASH} is now off the deny list\n${HASH} is now off the al`],
    ["a deny list alone", [off, none], 200, `${HASH} is now off the deny list`],
    ["an allow list alone", [none, off], 200, `${HASH} is now off the allow list`],
    ["no list at all", [none, none], 409, "there is no allow list: set TRACKER_ALLOW_FILE"],
    ["one that fails", [off, full], 500, `${HASH} is now off the deny list\nnothing was changed`],
  ];
  test.each(cases)("with %s", async (_name, changes, status, sentence) => {
    const { calls, port } = tracker({ changes });
    const answer = await client(port).askForList("forget", HASH);
    expect(answer.status).toBe(status);
    expect(answer.sentence).toStartWith(sentence);
    expect(calls).toEqual([`-deny ${HASH}`, `-allow ${HASH}`]);
  });
});

test("maintenance on is PUT, off is DELETE", async () => {
  const { calls, port } = tracker();
  await client(port).askForMaintenance(true);
  await client(port).askForMaintenance(false);
  expect(calls).toEqual(["maintenance true", "maintenance false"]);
});

test("a closed port and another program on the port are errors", async () => {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end("220 mail.example ESMTP\r\n") },
  });
  const { port } = server;
  expect(await ask(port)).toBe("the answer is not HTTP");
  server.stop(true);
  expect(await ask(port)).toContain("nothing listens there");
});

describe("no request is sent to a program that is not the tracker:", () => {
  const challengeOnly = (sent: string[]) =>
    expect(sent.map((line) => line.replace(/[0-9a-f]{64}/, "N"))).toEqual(["GET /challenge/N "]);

  test("a program that answers yes to everything", async () => {
    const { sent, port } = listen(() => new Response("done\n"));
    expect(await ask(port)).toContain("not a tracker, or is one of another version");
    challengeOnly(sent);
  });

  test("a program that invents a proof", async () => {
    const { sent, port } = listen(() => new Response(`${"0".repeat(104)} ${"0".repeat(64)}\n`));
    expect(await ask(port)).toBe(
      "the program on that port does not know the token that is set here",
    );
    challengeOnly(sent);
  });

  test("a program that repeats a proof for another verb", async () => {
    const { port: real } = tracker();
    const old = await (await fetch(`http://127.0.0.1:${real}/challenge/${"ab".repeat(32)}`)).text();
    const { sent, port } = listen(() => new Response(old));
    expect(await ask(port)).toBe(
      "the program on that port does not know the token that is set here",
    );
    challengeOnly(sent);
  });

  test("a tracker with another token, or without one", async () => {
    const other = tracker({ token: "another-token-0123" });
    expect(await ask(other.port)).toBe(
      "the program on that port does not know the token that is set here",
    );
    challengeOnly(other.sent);
    const none = tracker({ token: "" });
    expect(await ask(none.port)).toBe("the program on that port has no token set");
    challengeOnly(none.sent);
    expect([...other.calls, ...none.calls]).toEqual([]);
  });

  test("an old tracker without challenges", async () => {
    const { port } = listen(() => new Response("there is nothing here\n", { status: 404 }));
    expect(await ask(port)).toContain("not a tracker, or is one of another version");
  });
});

describe("a relay between verb and tracker", () => {
  /** Passes requests on, as a program may that holds the port that the verb asks. */
  function relay(port: number, change: (req: Request) => { method?: string; path?: string }) {
    const passed: [string, string, string][] = [];
    const pass = (method: string, path: string, authorization: string) =>
      fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { authorization } });
    const relaying = listen(async (req) => {
      const { method = req.method, path = new URL(req.url).pathname } = change(req);
      const authorization = req.headers.get("authorization") ?? "";
      passed.push([method, path, authorization]);
      return pass(method, path, authorization);
    });
    return { ...relaying, passed, pass };
  }

  test("can forward a request, but not repeat it", async () => {
    const { calls, port } = tracker();
    const between = relay(port, () => ({}));
    expect(await ask(between.port)).toEqual({
      status: 200,
      sentence: "announces are refused: maintenance",
    });
    const again = await between.pass(...between.passed[1]!);
    expect(again.status).toBe(401);
    expect(calls).toEqual(["maintenance true"]);
  });

  test.each<[string, { method?: string; path?: string }]>([
    ["another method", { method: "DELETE" }],
    ["another path", { path: `/access/deny/${HASH}` }],
  ])("cannot make it %s", async (_name, change) => {
    const { calls, port } = tracker();
    const between = relay(port, (req) => (req.method === "GET" ? {} : change));
    expect(await ask(between.port)).toContain("does not come from the tracker");
    expect(calls).toEqual([]);
  });

  test("can neither invent an answer nor repeat that of another request", async () => {
    const { calls, port } = tracker();
    let told: Response | undefined;
    const first = listen(async (req) => {
      const { method, headers } = req;
      const answer = await fetch(`http://127.0.0.1:${port}${new URL(req.url).pathname}`, {
        method,
        headers,
      });
      if (method !== "GET") told = answer.clone() as Response;
      return answer;
    });
    expect(await ask(first.port)).toMatchObject({ status: 200 });
    for (const lie of [
      () => new Response("announces are refused: maintenance\n"),
      () => told!.clone() as Response,
    ]) {
      const second = listen((req) =>
        req.method === "GET"
          ? fetch(`http://127.0.0.1:${port}${new URL(req.url).pathname}`)
          : lie(),
      );
      expect(await ask(second.port)).toContain("does not come from the tracker");
    }
    expect(calls).toEqual(["maintenance true"]);
  });
});
