/** The self-test of WebTorrent trackers: a good one passes, each fault has its sentence. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";

import { testWebSocket } from "../../src/verbs/selftest-websocket.ts";
import { selftest } from "../../src/verbs/selftest.ts";
import { makeCertificate } from "../http/openssl.ts";
import { FakeTracker, type Faults } from "./fake-websocket.ts";

const TIMEOUT = 400;

async function run(...urls: string[]) {
  let text = "";
  const good = await selftest(urls, (written) => (text += written), TIMEOUT);
  return { good, text: text.replace(/\d+ ms/g, "N ms") };
}

async function problemsOf(faults: Faults): Promise<string[]> {
  using tracker = new FakeTracker(faults);
  const { host, port, pathname } = new URL(tracker.url);
  const at = { address: "127.0.0.1", port: Number(port), tls: undefined, host };
  return (await testWebSocket({ ...at, target: pathname, timeout: TIMEOUT })).problems;
}

test("a good tracker passes", async () => {
  using tracker = new FakeTracker();
  expect(await run(tracker.url)).toEqual({
    good: true,
    text:
      `${tracker.url}\n  IPv4 127.0.0.1: good, interval 2m, N ms\n` +
      "  note: 127.0.0.1 is not a public address: only machines near it reach it\n",
  });
});

test("members that are not known are no fault", async () => {
  const extra = { downloaded: 0, "min interval": 30, "warning message": "hello" };
  expect(await problemsOf({ out: (message) => ({ ...message, ...extra }) })).toEqual([]);
});

type Out = NonNullable<Faults["out"]>;

const changed =
  (member: string, value: unknown): Out =>
  (message) =>
    message[member] === undefined ? message : { ...message, [member]: value };
const without =
  (member: string): Out =>
  (message) =>
    message[member] === undefined ? message : undefined;
const toLeecher =
  (change: (message: Record<string, unknown>) => Record<string, unknown>): Out =>
  (message, to) =>
    to === "leecher" && message["offer"] !== undefined ? change(message) : message;

const USEFUL = "browsers meet others when they announce, so 10s to 3h are useful";
const s = TIMEOUT / 1000;
const cases: [string, Faults][] = [
  [
    "announce: the interval is not a whole number: libtorrent drops the reply",
    { out: changed("interval", "120") },
  ],
  [`announce: the interval is 1 s: ${USEFUL}`, { out: changed("interval", 1) }],
  [
    "announce: a seeder and a leecher are counted as complete 0, incomplete 2",
    {
      out: (message) =>
        message["complete"] === 1 ? { ...message, complete: 0, incomplete: 2 } : message,
    },
  ],
  [
    'announce: a seeder and a leecher are counted as complete {"toString":1}, incomplete null',
    {
      out: (message) =>
        message["complete"] === 1
          ? { ...message, complete: { toString: 1 }, incomplete: null }
          : message,
    },
  ],
  [
    'announce: refused: {"toString":1,"valueOf":1}',
    {
      out: (message) =>
        message["interval"] === undefined
          ? message
          : { ...message, "failure reason": { toString: 1, valueOf: 1 } },
    },
  ],
  [
    `announce: no reply with its info hash and an interval in ${s} s`,
    { out: changed("info_hash", "another") },
  ],
  [
    "announce: refused: this swarm is not for you ?]0;x?",
    { out: () => ({ "failure reason": "this swarm is not for you \x1b]0;x\x07" }) },
  ],
  [`offer: it does not reach the other peer in ${s} s`, { out: without("offer") }],
  ["offer: it comes back to its sender", { echoes: true }],
  [
    "offer: its text is changed on the way",
    { out: toLeecher((message) => ({ ...message, offer: { type: "offer", sdp: "v=0" } })) },
  ],
  ["offer: its text is changed on the way", { out: changed("offer", null) }],
  ["offer: its offer_id is changed on the way", { out: changed("offer_id", "x") }],
  [
    "offer: its peer_id is not that of its sender",
    { out: toLeecher((message) => ({ ...message, peer_id: "x" })) },
  ],
  [
    "offer: it does not name its info hash as an announce does",
    { out: toLeecher((message) => ({ ...message, info_hash: undefined })) },
  ],
  [`answer: it does not reach the peer with the offer in ${s} s`, { out: without("answer") }],
  [
    "answer: one to no offer is passed on: any stranger can send browsers connections",
    { forges: true },
  ],
  [
    "scrape: a seeder and a leecher are counted as complete undefined, incomplete undefined",
    {
      out: (message) => {
        const files = message["files"] as Record<string, unknown> | undefined;
        return files === undefined
          ? message
          : { ...message, files: { [Object.keys(files)[0]]: {} } };
      },
    },
  ],
  ["answer: the answer to a scrape does not have the swarm", { out: changed("files", {}) }],
  [`answer: a scrape is not answered in ${s} s`, { out: without("files") }],
  [`leave: no reply with its info hash and an interval in ${s} s`, withoutReplyToStop()],
  ["leave: a seeder and no leecher are counted as complete 1, incomplete 1", { keeps: true }],
  [
    "failure: after one wrong message: the connection was closed with code 1008: wrong?",
    { closes: true },
  ],
  ["failure: a peer id of 19 characters is taken", { takesAll: true }],
  [
    "failure: it has no info_hash, so clients ignore it",
    {
      out: (message) =>
        message["failure reason"] === undefined ? message : { "failure reason": "wrong" },
    },
  ],
  [
    `failure: after one wrong message: a peer id of 19 characters gets no reply in ${s} s`,
    { out: without("failure reason") },
  ],
];

/** A tracker that is silent about `stopped`, like one of those that are in use. */
function withoutReplyToStop(): Faults {
  return {
    out: (message) =>
      message["interval"] !== undefined && message["complete"] === 1 && message["incomplete"] === 0
        ? undefined
        : message,
  };
}

describe("a problem is reported", () => {
  test.each(cases)("%s", async (problem, faults) => {
    const problems = await problemsOf(faults);
    expect(problems).toContain(problem);
    expect(problems.join("")).not.toMatch(/\p{C}/u);
  });

  test.each([
    ["ws://127.0.0.1:0/", "its port is not from 1 to 65535"],
    ["wss://127.0.0.1:99999/", "its port is not from 1 to 65535"],
    ["wss://", "it is not a URL"],
    ["wt://127.0.0.1/", "it is not udp, http, https, ws or wss"],
  ])("%s: %s", async (url, problem) => {
    expect(await run(url)).toEqual({ good: false, text: `${url}\n  wrong: ${problem}\n` });
  });

  test("a port where nothing listens", async () => {
    const tracker = new FakeTracker();
    tracker[Symbol.dispose]();
    expect((await run(tracker.url)).text).toContain(
      "wrong: connect: nothing listens there: the connection is refused\n",
    );
  });

  test("a web server that is not a tracker, and one that says why it refuses", async () => {
    const status = { status: 403 };
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url }) => new Response(url.endsWith("/") ? "<html>" : "not this page\n", status),
    });
    const base = `ws://127.0.0.1:${server.port}`;
    expect((await run(`${base}/`)).text).toContain(
      "wrong: connect: the status is 403, not 101: is that a tracker for browsers, and its path?\n",
    );
    expect((await run(`${base}/announce`)).text).toContain(
      "wrong: connect: the status is 403, not 101: not this page\n",
    );
    await server.stop(true);
  });

  test.if(makeCertificate.possible)("a certificate that browsers do not trust", async () => {
    const folder = mkdtempSync(join(tmpdir(), "selftest-"));
    const { cert, key } = makeCertificate(folder, "localhost");
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: Bun.file(cert), key: Bun.file(key) },
      fetch: () => new Response("never seen"),
    });
    expect((await run(`wss://127.0.0.1:${server.port}/`)).text).toContain(
      "wrong: connect: the certificate is self-signed, so clients do not trust it\n",
    );
    expect((await run(`ws://127.0.0.1:${server.port}/`)).text).toContain(
      "without an answer: is the scheme of the URL right?\n",
    );
    await server.stop(true);
    rmSync(folder, { recursive: true });
  });
});
