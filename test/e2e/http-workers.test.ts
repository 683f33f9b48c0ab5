/**
 * TRACKER_HTTP_WORKERS: with 0, 1 and 2 threads for HTTP the tracker answers alike. The corpus and
 * the restarts with kept sockets have their own tests (see SETTINGS in harness.ts).
 */
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import type { Socket } from "bun";
import { makeCertificate } from "../http/openssl.ts";
import { until } from "../until.ts";
import { freePort, startProcess, startTracker, type Environment } from "./harness.ts";
import { WsClient } from "./ws-client.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-http-workers-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HASH = "a1".repeat(20);

const hashOf = (index: number) => index.toString(16).padStart(40, "0").replace(/../g, "%$&");

/** The path of an announce of a seeder. */
function announcePath(index: number, port: number): string {
  const hash = hashOf(index);
  return `/announce?info_hash=${hash}&peer_id=-XX0001-abcdefghijkl&port=${port}&left=0`;
}

async function start(workers: number, env: Environment = {}) {
  const adminPort = freePort();
  const tracker = await startTracker({
    env: {
      TRACKER_HTTP_WORKERS: String(workers),
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
      TRACKER_MEMORY_MAX: "16MiB",
      ...env,
    },
  });
  const at = `127.0.0.1:${tracker.port}`;
  /** A request on a connection of its own, so that each worker gets some. */
  const get = async (path: string): Promise<string> => {
    const headers = { Connection: "close" };
    return await (await fetch(`http://${at}${path}`, { headers, keepalive: false })).text();
  };
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${name} `))!
        .split(" ")[1],
    );
  };
  return { tracker, at, get, metric, [Symbol.asyncDispose]: () => tracker[Symbol.asyncDispose]() };
}

/** Sends bytes, and resolves to all that comes until the connection closes. */
async function exchange(port: number, bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let heard = "";
  const socket = {
    open: (opened: Socket) => void opened.write(bytes),
    data: (_: Socket, piece: Buffer) => void (heard += piece.toString("latin1")),
    close: () => resolve(heard),
    error: () => resolve(heard),
  };
  await Bun.connect({ hostname: "127.0.0.1", port, socket }).catch(() => resolve("refused"));
  return promise;
}

const WORKERS = process.platform === "linux" ? [0, 1, 2] : [0];

describe.each(WORKERS)("with %p HTTP workers", (workers) => {
  test("all connections reach the same swarms, and all is counted", async () => {
    await using started = await start(workers);
    const { get, metric } = started;
    for (let i = 0; i < 40; i++) await get(announcePath(i % 2, 7000 + i));
    for (let i = 0; i < 8; i++) {
      const scraped = await get(`/scrape?info_hash=${hashOf(0)}&info_hash=${hashOf(1)}`);
      expect(scraped.split("8:completei20e")).toHaveLength(3);
    }
    const answered = 'tracker_requests_answered_total{transport="http",action';
    expect(await metric(`${answered}="announce",family="ipv4"}`)).toBe(40);
    expect(await metric(`${answered}="scrape",family="ipv4"}`)).toBe(8);
    expect(await metric('tracker_peers{role="seeder",family="ipv4"}')).toBe(40);
    expect(
      await metric('tracker_request_duration_seconds_count{transport="http"}'),
    ).toBeGreaterThan(0);
  });

  test("health, the page, its figures, statistics and a full scrape are answered", async () => {
    await using started = await start(workers);
    const { get, metric, tracker, at } = started;
    await get(announcePath(1, 7000));
    expect(await get("/health")).toBe("ok");
    expect(await get("/ready")).toBe("ok");
    expect(await get("/")).toContain("<title>");
    const live = JSON.parse(await get("/live")) as { startedSeconds: number };
    expect(live.startedSeconds).toBeGreaterThan(0);
    expect(await get("/stats?mode=top10")).toContain("Top 10");
    expect(await get("/stats?mode=hosts")).toContain(at);
    expect(await get("/scrape")).toContain("8:completei1e");
    expect(await get("/nothing")).toBe("not found\n");
    expect(await metric('tracker_pages_total{page="front"}')).toBe(2);
    // A client may ask for several pages on one connection, or close its side first.
    const head = "Host: x\r\nConnection: close\r\n";
    const all = await exchange(tracker.port, `GET /live HTTP/1.1\r\n${head}\r\n`);
    expect(all).toContain("startedSeconds");
    const refused = await exchange(tracker.port, `POST / HTTP/1.1\r\n${head}\r\n`);
    expect(refused).toStartWith("HTTP/1.1 405 ");
  });

  test("browsers meet, whichever thread gets them", async () => {
    await using started = await start(workers);
    const { at, tracker, metric } = started;
    const browsers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => {
        const id = `-WW0100-${String(i).padStart(12, "0")}`;
        return WsClient.open(`ws://${at}/announce`, id);
      }),
    );
    const [first, ...others] = browsers;
    await first!.announce({ event: "started" });
    for (const [i, other] of others.entries()) {
      other.send({
        ...{ action: "announce", info_hash: "\x01".repeat(20), peer_id: other.peerId, left: 1 },
        ...{ event: "started", numwant: 1, offers: [{ offer_id: "x", offer: { sdp: `${i}` } }] },
      });
    }
    await until(() => others.every(({ heard }) => heard.length > 0));
    expect(await metric("tracker_websocket_connections")).toBe(8);
    browsers[3]!.cut();
    await until(async () => (await metric("tracker_websocket_connections")) === 7);
    tracker.signal("SIGTERM");
    await until(() => others.every(({ closeCode }) => closeCode !== undefined));
    expect(others.filter((other) => other !== browsers[3])[0]!.closeCode).toBe(1001);
    expect(await tracker.exited()).toBe(0);
  });

  test("three hundred browsers at once all get in, while nothing of theirs is loaded", async () => {
    await using started = await start(workers);
    const { at, metric } = started;
    const open = (_: unknown, i: number) =>
      WsClient.open(`ws://${at}/announce`, `-WW0100-${String(i).padStart(12, "0")}`);
    const browsers = await Promise.all(Array.from({ length: 300 }, open));
    expect(await metric("tracker_websocket_connections")).toBe(300);
    for (const browser of browsers) browser.cut();
    await until(async () => (await metric("tracker_http_connections")) === 0);
  });

  test("lists, rules and maintenance reach every thread", async () => {
    const file = join(folder, `deny-${workers}`);
    writeFileSync(file, "");
    await using started = await start(workers, { TRACKER_DENY_FILE: file });
    const { get, tracker } = started;
    const all = () =>
      Promise.all(Array.from({ length: 16 }, (_, i) => get(announcePath(1, 7000 + i))));
    const refused = async () => (await all()).filter((text) => text.includes("failure")).length;
    expect(await refused()).toBe(0);
    writeFileSync(file, `${"1".padStart(40, "0")}\n`);
    tracker.signal("SIGHUP");
    await tracker.says("msg=reloaded");
    expect(await refused()).toBe(16);
    writeFileSync(file, `${HASH}\n`);
    tracker.signal("SIGHUP");
    await until(() => tracker.stderr.split("msg=reloaded").length > 2);
    expect(await refused()).toBe(0);
    tracker.signal("SIGUSR2");
    await until(async () => (await refused()) === 16);
  });

  test("the limit of connections is exact, and each beyond it is counted", async () => {
    await using started = await start(workers, { TRACKER_HTTP_CONNECTIONS_MAX: "40" });
    const { metric, tracker } = started;
    const quiet = { data() {}, error() {} };
    const sockets: Socket[] = [];
    for (let i = 0; i < 120; i++) {
      const at = { hostname: "127.0.0.1", port: tracker.port };
      // One too many may be closed before we know that it was open.
      const socket = await Bun.connect({ ...at, socket: quiet }).catch(() => undefined);
      if (socket === undefined) continue;
      socket.write("GET");
      sockets.push(socket);
    }
    await until(async () => (await metric("tracker_http_connections")) === 40);
    const closed = 'tracker_http_connections_closed_total{reason="too_many"}';
    expect(await metric(closed)).toBeGreaterThanOrEqual(80);
    for (const socket of sockets) socket.terminate();
    await until(async () => (await metric("tracker_http_connections")) === 0);
  });

  test("draining answers what has begun", async () => {
    await using started = await start(workers);
    const { tracker } = started;
    const answers = Array.from({ length: 12 }, async (_, i) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      let heard = "";
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: tracker.port,
        socket: {
          data: (_, bytes: Buffer) => void (heard += bytes.toString("latin1")),
          close: () => resolve(heard),
        },
      });
      const path = i % 3 === 0 ? "/live" : announcePath(1, 7000 + i);
      socket.write(`GET ${path} HTTP/1.1\r\n`);
      await until(() => tracker.stderr.includes("draining"));
      socket.write("Host: x\r\n\r\n");
      return promise;
    });
    await Bun.sleep(100);
    tracker.signal("SIGTERM");
    for (const answer of await Promise.all(answers)) expect(answer).toStartWith("HTTP/1.1 200 ");
    expect(await tracker.exited()).toBe(0);
  });

  test.if(makeCertificate.possible)("a renewed certificate reaches every thread", async () => {
    const [first, second] = ["first.example", "second.example"].map((name) =>
      makeCertificate(folder, name),
    );
    const [cert, key] = [join(folder, `cert-${workers}`), join(folder, `key-${workers}`)];
    copyFileSync(first!.cert, cert);
    copyFileSync(first!.key, key);
    const secure = freePort();
    const plain = freePort();
    await using tracker = await startTracker({
      port: plain,
      env: {
        TRACKER_HTTP_WORKERS: String(workers),
        TRACKER_TLS_CERT_FILE: cert,
        TRACKER_TLS_KEY_FILE: key,
        TRACKER_HTTP_ADDRESS: `http://127.0.0.1:${plain},127.0.0.1:${secure}`,
        TRACKER_MEMORY_MAX: "16MiB",
      },
    });
    const shown = (): Promise<string> => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const socket = connectTls({ port: secure, rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on("error", reject);
      return promise;
    };
    const names = async () => new Set(await Promise.all(Array.from({ length: 16 }, shown)));
    expect([...(await names())]).toEqual(["first.example"]);
    copyFileSync(second!.cert, cert);
    copyFileSync(second!.key, key);
    tracker.signal("SIGHUP");
    await tracker.says("msg=reloaded");
    expect([...(await names())]).toEqual(["second.example"]);
    const browser = await WsClient.open(
      `wss://127.0.0.1:${secure}/announce`,
      "-WW0100-abcdefghijkl",
    );
    await browser.announce();
    browser.close();
    const page = await fetch(`https://127.0.0.1:${secure}/`, {
      tls: { rejectUnauthorized: false },
    });
    expect(await page.text()).toContain("<title>");
  });
});

test.if(process.platform === "linux")("a port of another tracker is taken", async () => {
  await using first = await start(2);
  const second = startProcess({
    env: {
      TRACKER_HTTP_WORKERS: "2",
      TRACKER_UDP_ADDRESS: "",
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `[::]:${first.tracker.port}`,
    },
  });
  expect(await second.exited()).toBe(1);
  expect(second.stderr).toContain(`http port ${first.tracker.port} is already in use`);
});
