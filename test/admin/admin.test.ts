/** The HTTP API of the operator: which requests it allows, and its answers. */
import { describe, expect, test } from "bun:test";

import type { Change } from "../../src/access/keeper.ts";
import { Proof } from "../../src/admin/proof.ts";
import { type AdminDeps, createAdmin } from "../../src/admin/admin.ts";
import { ADMIN } from "./fixture.ts";
import { OwnNames } from "../../src/net/own-names.ts";
import { HEAD_OK, RequestHead } from "../../src/net/head.ts";

const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const TOKEN = "correct-horse-battery";
const SHOWN = { Authorization: `Bearer ${TOKEN}` };

function open(changes: Partial<AdminDeps> = {}, change: Change = { outcome: "changed" }) {
  const calls: string[] = [];
  const keeper = {
    change: (name: string, hash: Uint8Array, listed: boolean) => {
      calls.push(`${listed ? "+" : "-"}${name} ${hash.toHex()}`);
      return Promise.resolve(change);
    },
    setMaintenance: (on: boolean) => {
      calls.push(`maintenance ${on}`);
      return Promise.resolve();
    },
  };
  const deps: AdminDeps = {
    token: TOKEN,
    keeper,
    now: () => 0,
    ready: () => true,
    names: new OwnNames(["tracker.example"]),
    refused: (reason) => calls.push(`refused ${reason}`),
    pages: {},
    swarms: (query) => {
      calls.push(`swarms ${query}`);
      return Promise.resolve([query.includes("bad") ? 400 : 200, '{"swarms":[]}'] as const);
    },
    ...changes,
  };
  const admin = createAdmin(deps);
  const ask = async (method: string, path: string, headers: Record<string, string> = SHOWN) => {
    const url = `http://localhost:6970${path}`;
    const response = await admin.fetch(new Request(url, { method, headers }));
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
  return { calls, ask };
}

test.each([
  ["PUT", "deny", `+deny ${HASH}`, `${HASH} is now on the deny list\n`],
  ["DELETE", "deny", `-deny ${HASH}`, `${HASH} is now off the deny list\n`],
  ["PUT", "allow", `+allow ${HASH}`, `${HASH} is now on the allow list\n`],
  ["DELETE", "allow", `-allow ${HASH}`, `${HASH} is now off the allow list\n`],
])("%s /access/%s/<hash> changes that list", async (method, list, call, sentence) => {
  const { calls, ask } = open();
  const { status, text } = await ask(method, `/access/${list}/${HASH.toUpperCase()}`);
  expect([status, text, calls]).toEqual([200, sentence, [call]]);
});

test("of a hash of version 2 the first 20 bytes are used", async () => {
  const { calls, ask } = open();
  expect((await ask("PUT", `/access/deny/${HASH}${"0".repeat(24)}`)).status).toBe(200);
  expect(calls).toEqual([`+deny ${HASH}`]);
});

test("a hash may be base32, or an escaped magnet link; a hybrid has two", async () => {
  const { calls, ask } = open();
  const long = "0123456789abcdef".repeat(4);
  const link = `magnet:?xt=urn:btih:${HASH}&xt=urn:btmh:1220${long}&dn=a/b`;
  await ask("PUT", "/access/deny/P2MQGUL526JBGDRKPINOTJRM6LPOHS4A");
  const { status, text } = await ask("PUT", `/access/deny/${encodeURIComponent(link)}`);
  const cut = long.slice(0, 40);
  expect(calls).toEqual([`+deny ${HASH}`, `+deny ${HASH}`, `+deny ${cut}`]);
  expect([status, text]).toEqual([
    200,
    `${HASH} is now on the deny list\n${cut} is now on the deny list\n`,
  ]);
});

test.each([
  [{ outcome: "unchanged" } as Change, "PUT", 200, `${HASH} was already on the deny list\n`],
  [{ outcome: "unchanged" } as Change, "DELETE", 200, `${HASH} was not on the deny list\n`],
  [{ outcome: "no list" } as Change, "PUT", 409, "there is no deny list: set TRACKER_DENY_FILE\n"],
  [
    { outcome: "failed", reason: "/x cannot be written (ENOSPC)", remedy: "make room" } as Change,
    "PUT",
    500,
    "nothing was changed: /x cannot be written (ENOSPC): make room\n",
  ],
])("%j is told as it is", async (change, method, status, sentence) => {
  const answer = await open({}, change).ask(method, `/access/deny/${HASH}`);
  expect([answer.status, answer.text]).toEqual([status, sentence]);
});

test("a text that is not an info hash is refused with a sentence", async () => {
  const { calls, ask } = open();
  for (const wrong of ["", "x", HASH.slice(1), `${HASH}0`, "%7E", "%", "magnet:?dn=x"]) {
    const { status, text } = await ask("PUT", `/access/deny/${wrong}`);
    expect(status).toBe(400);
    expect(text).toStartWith("this is not an info hash: write 40 or 64 hexadecimal digits, ");
  }
  expect(calls).toEqual([]);
});

describe("without the right token nothing is changed", () => {
  const places: [string, string][] = [
    ["PUT", `/access/deny/${HASH}`],
    ["DELETE", `/access/allow/${HASH}`],
    ["PUT", "/maintenance"],
    ["DELETE", "/maintenance"],
  ];

  test.each(places)("%s %s with a wrong token, or none: 401", async (method, path) => {
    const { calls, ask } = open();
    for (const headers of [{}, { Authorization: `Bearer ${TOKEN}x` }] as Record<string, string>[]) {
      const answer = await ask(method, path, headers);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
    // Nothing shown is no guess.
    expect(calls).toEqual(["refused token"]);
  });

  test.each(places)("%s %s where no token is set: 403", async (method, path) => {
    const { calls, ask } = open({ token: undefined });
    const { status, text } = await ask(method, path);
    expect(status).toBe(403);
    expect(text).toContain("set TRACKER_ADMIN_TOKEN");
    expect(calls).toEqual([]);
  });
});

test("maintenance is begun and ended", async () => {
  const { calls, ask } = open();
  expect((await ask("PUT", "/maintenance")).text).toBe("announces are refused: maintenance\n");
  expect((await ask("DELETE", "/maintenance")).text).toBe("announces are served\n");
  expect(calls).toEqual(["maintenance true", "maintenance false"]);
});

test("after ten wrong tokens others are refused unchecked, until seconds have passed", async () => {
  let seconds = 100;
  const { calls, ask } = open({ now: () => seconds });
  const wrong = { Authorization: `Bearer ${TOKEN}x` };
  const statuses = async (headers: Record<string, string>, times: number) => {
    const all: number[] = [];
    for (let i = 0; i < times; i++) all.push((await ask("PUT", "/maintenance", headers)).status);
    return all;
  };
  expect(await statuses(wrong, 12)).toEqual([...Array<number>(10).fill(401), 429, 429]);
  expect(await statuses(SHOWN, 1)).toEqual([429]);
  expect(calls).toEqual(Array<string>(13).fill("refused token"));
  // What the verbs send is judged all the same.
  const nonce = "ab".repeat(32);
  const [given] = (await ask("GET", `/challenge/${nonce}`, {})).text.split(" ");
  const mac = new Proof(TOKEN).ofRequest(nonce, given!, "PUT", "/maintenance");
  expect(await statuses({ Authorization: `Buntracker ${nonce} ${given} ${mac}` }, 1)).toEqual([
    200,
  ]);
  seconds += 1;
  expect(await statuses(wrong, 2)).toEqual([401, 429]);
  seconds += 60;
  expect(await statuses(SHOWN, 20)).toEqual(Array<number>(20).fill(200));
});

test("an unknown host name is refused for every request, known ones are not", async () => {
  const page = () => new Response("up 1\n");
  const { calls, ask } = open({ pages: { "/metrics": page } });
  for (const [method, path] of [
    ["GET", "/metrics"],
    ["GET", "/health"],
    ["GET", `/challenge/${"ab".repeat(32)}`],
    ["PUT", "/maintenance"],
  ] as const) {
    const { status, text } = await ask(method, path, { ...SHOWN, Host: "evil.example:6970" });
    expect(status).toBe(421);
    expect(text).toContain("set TRACKER_PUBLIC_NAME");
  }
  expect(calls).toEqual(Array<string>(4).fill("refused host"));
  for (const Host of ["127.0.0.1:6970", "[::1]:6970", "localhost", "tracker:6970"]) {
    expect((await ask("GET", "/metrics", { Host })).status).toBe(200);
  }
  expect((await ask("GET", "/metrics", { Host: "tracker.example:6970" })).status).toBe(200);
});

test("a challenge is answered without a token, and changes nothing", async () => {
  const { calls, ask } = open();
  const nonce = "ab".repeat(32);
  const { status, text } = await ask("GET", `/challenge/${nonce}`, {});
  expect([status, text]).toEqual([200, expect.stringMatching(/^[0-9a-f]{104} [0-9a-f]{64}\n$/)]);
  expect((await ask("GET", "/challenge/x", {})).status).toBe(400);
  expect((await ask("PUT", `/challenge/${nonce}`)).status).toBe(405);
  expect((await open({ token: undefined }).ask("GET", `/challenge/${nonce}`)).status).toBe(403);
  expect(calls).toEqual([]);
});

test("health and readiness need no token", async () => {
  expect(await open().ask("GET", "/health", {})).toMatchObject({ status: 200, text: "ok\n" });
  expect(await open().ask("GET", "/ready", {})).toMatchObject({ status: 200, text: "ok\n" });
  const draining = open({ ready: () => false });
  expect((await draining.ask("GET", "/health", {})).status).toBe(200);
  expect((await draining.ask("GET", "/ready", {})).status).toBe(503);
});

test("further pages are shown at their paths", async () => {
  const { ask } = open({ pages: { "/metrics": () => new Response("up 1\n") } });
  expect(await ask("GET", "/metrics?x=1", {})).toMatchObject({ status: 200, text: "up 1\n" });
  expect((await ask("POST", "/metrics", {})).status).toBe(405);
});

test.each([
  ["GET", "/", 404],
  ["GET", "/toString", 404],
  ["GET", "/announce", 404],
  ["PUT", "/access/other/" + HASH, 404],
  ["PUT", `/access/deny/${HASH}/x`, 404],
  ["GET", `/access/deny/${HASH}`, 405],
  ["POST", "/maintenance", 405],
  ["PUT", "/health", 405],
])("%s %s is %d", async (method, path, status) => {
  const { calls, ask } = open();
  expect((await ask(method, path)).status).toBe(status);
  expect(calls).toEqual([]);
});

test.each(["TRACE", "CONNECT", "get", "POST"])(
  "%s is refused, and no mistake of ours",
  (method) => {
    const head = new RequestHead();
    const text = `${method} /health HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    expect(head.read(text, 0)).toBe(HEAD_OK);
    const deps = { ...ADMIN, token: TOKEN, keeper: undefined! };
    const common = { head, address: new Uint8Array(16), family: 4 as const };
    const exchange = { ...common, at: 0, status: 200, form: undefined };
    const answer = createAdmin(deps).answer({ ...exchange, out: new Uint8Array(0) });
    expect((answer as Response).status).toBe(405);
  },
);

describe("/swarms", () => {
  const query = `?hash=${HASH}`;

  test("shows counts without a token, as JSON", async () => {
    const { calls, ask } = open();
    const { status, text, headers } = await ask("GET", `/swarms${query}`, {});
    expect([status, text, calls]).toEqual([200, '{"swarms":[]}\n', [`swarms ${query}`]]);
    expect(headers.get("content-type")).toBe("application/json");
    const bad = await ask("GET", "/swarms?bad", {});
    expect([bad.status, bad.headers.get("content-type")]).toEqual([400, "text/plain"]);
    expect((await ask("PUT", `/swarms${query}`)).status).toBe(405);
  });

  test("shows addresses with the token only", async () => {
    const { calls, ask } = open();
    const target = `/swarms${query}&addresses=yes`;
    expect((await ask("GET", target, {})).status).toBe(401);
    expect((await ask("GET", target, { Authorization: `Bearer ${TOKEN}x` })).status).toBe(401);
    expect((await ask("GET", `/swarms${query}&%61ddresses=yes`, {})).status).toBe(401);
    expect((await open({ token: undefined }).ask("GET", target)).status).toBe(403);
    expect(calls).toEqual(["refused token"]);
    expect((await ask("GET", target)).status).toBe(200);
    expect(calls.at(-1)).toBe(`swarms ${query}&addresses=yes`);
  });

  test("a wrong token is refused for counts too, as a guess", async () => {
    const { calls, ask } = open();
    const wrong = { Authorization: `Bearer ${TOKEN}x` };
    expect((await ask("GET", `/swarms${query}`, wrong)).status).toBe(401);
    expect(calls).toEqual(["refused token"]);
  });

  test("a MAC covers the query, and the answer has its proof", async () => {
    const { ask } = open();
    const proof = new Proof(TOKEN);
    const verbNonce = "ab".repeat(32);
    const sign = async (target: string) => {
      const { text } = await ask("GET", `/challenge/${verbNonce}`, {});
      const [nonce] = text.split(" ");
      const mac = proof.ofRequest(verbNonce, nonce, "GET", target);
      return { mac, Authorization: `Buntracker ${verbNonce} ${nonce} ${mac}` };
    };
    const target = `/swarms${query}`;
    const { mac, Authorization } = await sign(target);
    const more = await ask("GET", `${target}&addresses=yes`, { Authorization });
    expect(more.status).toBe(401);
    const { status, text, headers } = await ask("GET", target, { Authorization });
    expect(status).toBe(200);
    expect(headers.get("buntracker-proof")).toBe(proof.ofAnswer(mac, 200, text));
  });
});
