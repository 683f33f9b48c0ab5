/** WebSockets through the compiled binary: the port of HTTP, its certificate, lists and end. */
import { copyFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, test } from "bun:test";
import { makeCertificate } from "../http/openssl.ts";
import { until } from "../until.ts";
import { decodeDictionary } from "./bencode.ts";
import { type Environment, freePort, startProcess, startTracker, type Tracker } from "./harness.ts";
import { HASH, offersOf } from "../ws/fixture.ts";
import { WsClient as Client } from "./ws-client.ts";

const HASH_ESCAPED = Buffer.from(HASH, "latin1").toString("hex").replace(/../g, "%$&");

const ids = ["-WW0208-aaaaaaaaaaaa", "-WW0208-bbbbbbbbbbbb"] as const;

/** A tracker with an operator's address, and the value of a series of its metrics. */
async function startObserved(given: Environment) {
  const adminPort = freePort();
  const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`, ...given };
  const metric = (series: string) => readMetric(adminPort, series);
  return { tracker: await startTracker({ env }), metric };
}

async function readMetric(adminPort: number, series: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.split(" ").at(-1));
}

async function pairOf(url: string): Promise<[Client, Client]> {
  return [await Client.open(url, ids[0]), await Client.open(url, ids[1])];
}

async function meet([a, b]: [Client, Client]): Promise<void> {
  expect(await a.announce({ left: 0, event: "started" })).toMatchObject({
    ...{ action: "announce", info_hash: HASH, complete: 1, incomplete: 0 },
  });
  await b.announce({ event: "started", offers: offersOf(5) });
  const offer = await a.next();
  expect(offer).toMatchObject({ peer_id: b.peerId, offer: { type: "offer", sdp: "sdp of o0" } });
  a.send({
    ...{ action: "announce", info_hash: HASH, peer_id: a.peerId, to_peer_id: b.peerId },
    ...{ offer_id: offer["offer_id"] as string, answer: { type: "answer", sdp: "v=0" } },
  });
  expect(await b.next()).toMatchObject({ peer_id: a.peerId, answer: { sdp: "v=0" } });
  expect(await b.announce({ event: "completed", left: 0 })).toMatchObject({
    ...{ complete: 2, incomplete: 0, downloaded: 1 },
  });
}

describe("two browsers meet", () => {
  test("over ws://, and HTTP shows their download", async () => {
    await using tracker = await startTracker();
    const pair = await pairOf(`ws://127.0.0.1:${tracker.port}/any/path?x`);
    await meet(pair);
    const scrape = await fetch(`http://127.0.0.1:${tracker.port}/scrape?info_hash=${HASH_ESCAPED}`);
    const body = decodeDictionary(await scrape.bytes());
    expect(JSON.stringify(body)).toMatch(/"downloaded":1/);
    pair[0].close();
    await until(async () => (await pair[1].announce({ left: 0 }))["complete"] === 1);
    pair[1].close();
  });

  test.if(makeCertificate.possible)("over wss://, with the certificate of HTTPS", async () => {
    const folder = mkdtempSync(join(tmpdir(), "buntracker-wss-"));
    const { cert, key } = makeCertificate(folder, "localhost");
    const [port, tlsPort] = [freePort(), freePort()];
    const both = `http://127.0.0.1:${port},https://127.0.0.1:${tlsPort}`;
    const files = { TRACKER_TLS_CERT_FILE: cert, TRACKER_TLS_KEY_FILE: key };
    await using _ = await startTracker({ port, env: { TRACKER_HTTP_ADDRESS: both, ...files } });
    await meet(await pairOf(`wss://127.0.0.1:${tlsPort}/`));
  });
});

test("it passes its own self-test, and one without origin is told why it may not", async () => {
  const selftest = async (tracker: Tracker) => {
    const url = `ws://127.0.0.1:${tracker.port}/announce`;
    const child = startProcess({ args: ["selftest", url] });
    return { code: await child.exited(), text: child.stdout };
  };
  await using tracker = await startTracker();
  const { code, text } = await selftest(tracker);
  // The interval is spread around two minutes, which are told as 2m.
  expect(text).toMatch(/IPv4 127\.0\.0\.1: good, interval \d+[sm], \d+ ms\n/);
  expect(code).toBe(0);
  const env = { TRACKER_WEBSOCKET_ORIGINS: "https://video.example" };
  await using picky = await startTracker({ env });
  const refused = await selftest(picky);
  expect(refused.text).toContain("403, not 101: pages of this origin may not use this tracker\n");
  expect(refused.code).toBe(1);
});

test.if(makeCertificate.possible)("a renewed certificate leaves browsers connected", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-wss-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const renew = (name: string): void => {
    const made = makeCertificate(folder, name);
    copyFileSync(made.cert, cert);
    copyFileSync(made.key, key);
  };
  renew("old.example");
  const [port, secure] = [freePort(), freePort()];
  const both = `http://127.0.0.1:${port},https://127.0.0.1:${secure}`;
  const files = { TRACKER_TLS_CERT_FILE: cert, TRACKER_TLS_KEY_FILE: key };
  await using tracker = await startTracker({
    port,
    env: { TRACKER_HTTP_ADDRESS: both, ...files },
  });
  const url = `wss://127.0.0.1:${secure}/`;
  const before = await Client.open(url, ids[0]);
  await before.announce({ left: 0 });
  expect(await certificateName(secure)).toBe("old.example");
  renew("new.example");
  tracker.signal("SIGHUP");
  await tracker.says("msg=reloaded");
  expect(await certificateName(secure)).toBe("new.example");
  const after = await Client.open(url, ids[1]);
  // An offer from the new connection to the old one: both are in one swarm.
  await after.announce({ offers: offersOf(1) });
  expect(await before.next()).toMatchObject({ peer_id: ids[1], offer: { type: "offer" } });
  expect(await before.announce({ left: 0 })).toMatchObject({ complete: 1, incomplete: 1 });
  expect(before.closeCode).toBeUndefined();
});

/** The common name in the certificate that a port shows. */
function certificateName(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

const open = (tracker: Tracker, headers = {}): Promise<Client> =>
  Client.open(`ws://127.0.0.1:${tracker.port}/`, ids[0], headers);

test("an info hash that is denied while browsers are in its swarm is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-ws-"));
  const deny = join(folder, "deny");
  writeFileSync(deny, "");
  const { tracker, metric } = await startObserved({ TRACKER_DENY_FILE: deny });
  await using _ = tracker;
  const browser = await open(tracker);
  await browser.announce();
  await browser.announce({ info_hash: "x".repeat(20) });
  expect(await metric("tracker_websocket_swarms")).toBe(2);
  writeFileSync(deny, `${Buffer.from(HASH, "latin1").toString("hex")}\n`);
  process.kill(tracker.pid, "SIGHUP");
  await until(async () => (await metric("tracker_websocket_swarms")) === 1);
  expect(await browser.announce()).toEqual({
    ...{ action: "announce", info_hash: HASH, "retry in": "never" },
    "failure reason": "this info hash is denied here",
  });
});

test("maintenance refuses announces of browsers, and its end lets them in", async () => {
  const { tracker, metric } = await startObserved({});
  await using _ = tracker;
  const browser = await open(tracker);
  expect(await browser.announce()).toMatchObject({ incomplete: 1 });
  process.kill(tracker.pid, "SIGUSR2");
  await until(async () => "failure reason" in (await browser.announce()));
  expect(await browser.announce()).toEqual({
    ...{ action: "announce", info_hash: HASH, "retry in": "15" },
    "failure reason": "this tracker is under maintenance: it will be back soon",
  });
  expect(await metric("tracker_websocket_connections")).toBe(1);
  process.kill(tracker.pid, "SIGUSR2");
  await until(async () => "interval" in (await browser.announce()));
});

test("on SIGTERM browsers get 1001", async () => {
  const tracker = await startTracker();
  const browser = await open(tracker);
  await browser.announce();
  await tracker[Symbol.asyncDispose]();
  await until(() => browser.closeCode !== undefined);
  expect(browser.closeCode).toBe(1001);
});

const refusal = (tracker: Tracker, headers: Record<string, string> = {}): Promise<boolean> =>
  open(tracker, headers).then(
    () => false,
    () => true,
  );

test("where they are off, a request for one is answered as any other", async () => {
  await using tracker = await startTracker({ env: { TRACKER_WEBSOCKET: "off" } });
  expect(await refusal(tracker)).toBe(true);
  const headers = { Connection: "Upgrade", Upgrade: "websocket" };
  const answer = await fetch(`http://127.0.0.1:${tracker.port}/announce`, { headers });
  expect(await answer.text()).toMatch(/info_hash is missing/);
});

describe("connections are limited", () => {
  const env: Environment = {
    TRACKER_WEBSOCKET_CONNECTIONS_MAX: "3",
    TRACKER_WEBSOCKET_CONNECTIONS_PER_ORIGIN_MAX: "2",
    TRACKER_WEBSOCKET_DENY_ORIGINS: "https://bad.example,https://*.bad.example",
  };

  test("by origin and in all; HTTP goes on", async () => {
    const { tracker, metric } = await startObserved(env);
    await using _ = tracker;
    const from = (host: string) => ({ Origin: `https://${host}` });
    for (const host of ["bad.example", "www.bad.example"]) {
      expect(await refusal(tracker, from(host))).toBe(true);
    }
    const first = await open(tracker, from("a.example"));
    await open(tracker, from("a.example"));
    expect(await refusal(tracker, from("a.example"))).toBe(true);
    await open(tracker, from("b.example"));
    expect(await refusal(tracker, from("c.example"))).toBe(true);
    expect((await fetch(`http://127.0.0.1:${tracker.port}/health`)).status).toBe(200);
    expect(await metric("tracker_websocket_connections")).toBe(3);
    const origins = await fetch(`http://127.0.0.1:${tracker.port}/stats?mode=origins`);
    expect(await origins.text()).toMatch(/\t2\thttps:\/\/a.example\n\t1\thttps:\/\/b.example/);
    first.close();
    await until(async () => !(await refusal(tracker, from("c.example"))));
    expect(tracker.stderr.match(/all WebSocket connections are taken/g)?.length).toBe(1);
  });
});

test("behind a trusted proxy lists and peer ids go by the address that it names", async () => {
  const env = { TRACKER_TRUSTED_PROXIES: "127.0.0.1" };
  await using tracker = await startTracker({ env });
  const from = (address: string) => ({ "X-Forwarded-For": address });
  expect(await refusal(tracker)).toBe(true);
  const holder = await open(tracker, from("198.51.100.7"));
  await holder.announce();
  const other = await open(tracker, from("198.51.100.8"));
  expect((await other.announce())["failure reason"]).toMatch(/another connection has this peer id/);
  const again = await open(tracker, from("198.51.100.7"));
  expect(await again.announce()).toMatchObject({ incomplete: 1 });
});
