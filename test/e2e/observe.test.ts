/**
 * What the operator and the visitor see of the compiled binary: metrics, the page in a browser, the
 * verbs that ask a tracker, and what a supervisor is told.
 *
 * Promtool, Chromium and opentracker are asked where they are installed (see .ci/run).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { LiveFigures } from "../../src/page/live.ts";
import { Browser, CHROMIUM } from "./browser.ts";
import { announceRequest, openDatagrams, randomBytes } from "./datagrams.ts";
import { freePort, SETTINGS, startProcess, startTracker, type Tracker } from "./harness.ts";

const OPENTRACKER = "/usr/bin/opentracker";
const folder = mkdtempSync(join(tmpdir(), "observe-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A tracker whose operator's address is on the next port. */
async function startObserved(env: Record<string, string> = {}) {
  const port = freePort();
  const adminPort = freePort();
  const admin = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}` };
  const tracker = await startTracker({ port, env: { ...admin, ...env } });
  const page = (path: string) => fetch(`http://127.0.0.1:${adminPort}${path}`);
  return { tracker, adminPort, page };
}

/** Announces this many peers over UDP. */
async function announcePeers(port: number, host: string, count: number): Promise<void> {
  using client = await openDatagrams(host, port);
  const connectionId = await client.connect();
  for (let i = 0; i < count; i++) {
    client.send(announceRequest({ connectionId, infoHash: randomBytes(20), port: 1000 + i }));
    await client.receive();
  }
}

/** The figures of the tracker at this port. */
async function figuresOf(port: number): Promise<LiveFigures> {
  return (await (await fetch(`http://127.0.0.1:${port}/live`)).json()) as LiveFigures;
}

/** Runs a verb with the settings of the tracker at this port; its output and exit code. */
async function verb(args: string[], port = 1, env: Record<string, string> = {}) {
  const address = `127.0.0.1:${port}`;
  const addresses = { TRACKER_HTTP_ADDRESS: address, TRACKER_UDP_ADDRESS: address };
  const child = startProcess({ args, env: { ...addresses, ...env } });
  const code = await child.exited(15_000);
  return { code, stdout: child.stdout, stderr: child.stderr };
}

test("a swarm is printed by a verb and shown as JSON, its peers only with the token", async () => {
  const token = "0123456789abcdef-token";
  const { tracker, adminPort, page } = await startObserved({ TRACKER_ADMIN_TOKEN: token });
  await using _tracker = tracker;
  const infoHash = randomBytes(20);
  const hash = infoHash.toHex();
  using client = await openDatagrams("127.0.0.1", tracker.port);
  const connectionId = await client.connect();
  for (let port = 1000; port < 1005; port++) {
    client.send(announceRequest({ connectionId, infoHash, port }));
    await client.receive();
  }
  await announcePeers(tracker.port, "::1", 2);
  const shown = (await (await page("/swarms?top=2")).json()) as { swarms: object[] };
  expect(shown.swarms).toHaveLength(2);
  expect(shown.swarms[0]).toMatchObject({
    info_hash: hash,
    leechers: 5,
    ipv4: { seeders: 0, leechers: 5 },
    websocket: { seeders: 0, leechers: 0 },
  });
  expect((await page(`/swarms?hash=${hash}&addresses=yes`)).status).toBe(401);
  const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}` };
  const counted = await verb(["swarm", hash], 1, env);
  expect(counted).toMatchObject({ code: 0, stderr: "" });
  expect(counted.stdout).toStartWith(`${hash}\n  seeders    0      IPv4 0, IPv6 0\n`);
  expect(counted.stdout).not.toContain("127.0.0.1");
  const withToken = { ...env, TRACKER_ADMIN_TOKEN: token };
  const listed = await verb(["swarm", hash, "--addresses"], 1, withToken);
  expect(listed.stdout.match(/^  127\.0\.0\.1 100\d   leecher, /gm)).toHaveLength(5);
  const unknown = await verb(["swarm", "0".repeat(40)], 1, env);
  expect(unknown).toMatchObject({ code: 1, stdout: `${"0".repeat(40)}   not known\n` });
});

describe.each(Object.entries(SETTINGS))("metrics with %s", (_, env) => {
  test("count the work of all threads, and promtool accepts them", async () => {
    const { tracker, page } = await startObserved(env);
    await using _tracker = tracker;
    await announcePeers(tracker.port, "127.0.0.1", 40);
    await announcePeers(tracker.port, "::1", 2);
    const answer = await page("/metrics");
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    for (const line of [
      'tracker_requests_answered_total{transport="udp",action="connect",family="ipv4"} 1',
      'tracker_requests_answered_total{transport="udp",action="announce",family="ipv4"} 40',
      'tracker_requests_answered_total{transport="udp",action="announce",family="ipv6"} 2',
      'tracker_peers{role="leecher",family="ipv4"} 40',
      "tracker_swarms 42",
      "tracker_udp_receive_drops_total 0",
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
    // All datagrams of batches; one in 16 of those that come one by one. Noted after the reply.
    const timed = env["TRACKER_UDP_WORKERS"] === "0" ? 2 : 44;
    const line = `tracker_request_duration_seconds_count{transport="udp"} ${timed}`;
    await until(async () => (await (await page("/metrics")).text()).includes(`\n${line}\n`));
    const promtool = Bun.which("promtool");
    if (promtool === null) return;
    const check = Bun.spawnSync([promtool, "check", "metrics"], { stdin: Buffer.from(text) });
    expect(check.stdout.toString() + check.stderr.toString()).toBe("");
  }, 20_000);
});

describe("the page at /", () => {
  let tracker: Tracker;
  beforeAll(async () => {
    ({ tracker } = await startObserved());
    await announcePeers(tracker.port, "127.0.0.1", 7);
  });
  afterAll(async () => void (await tracker.stop()));

  test("is served with its feed, and is read-only", async () => {
    const base = `http://127.0.0.1:${tracker.port}`;
    const page = await fetch(`${base}/`);
    const text = await page.text();
    expect(text.length).toBeLessThan(30_000);
    expect(text).toContain(`<code>udp://127.0.0.1:${tracker.port}<wbr>/announce</code>`);
    await until(async () => (await figuresOf(tracker.port)).peers === 7);
    expect(await figuresOf(tracker.port)).toMatchObject({ swarms: 7, seeders: 0, drops: 0 });
    expect((await fetch(`${base}/`, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${base}/live`, { method: "DELETE" })).status).toBe(405);
  });

  test("updates in a browser, under its own policy", async () => {
    if (CHROMIUM === null) return;
    await using browser = await Browser.open(`http://127.0.0.1:${tracker.port}/`);
    const peers = () =>
      browser.evaluate(`document.querySelector('[data-text="peers"]')?.textContent`);
    await until(async () => (await peers()) === "7");
    await announcePeers(tracker.port, "127.0.0.1", 5);
    await until(async () => (await peers()) === "12");
    const stale = "document.body.classList.contains('stale')";
    expect(await browser.evaluate(stale)).toBe(false);
    const labels = "[...document.querySelectorAll('button')].map((one) => one.ariaLabel)";
    expect(await browser.evaluate(labels)).toEqual([
      `Copy udp://127.0.0.1:${tracker.port}/announce`,
      `Copy http://127.0.0.1:${tracker.port}/announce`,
      `Copy ws://127.0.0.1:${tracker.port}/announce`,
    ]);
    const wide = "document.documentElement.scrollWidth > innerWidth";
    expect(await browser.evaluate(wide)).toBe(false);
    // Browsers request an icon, which does not exist.
    expect(browser.complaints.filter((text) => !text.includes("favicon"))).toEqual([]);
  }, 40_000);

  test("is replaced by a redirect", async () => {
    const target = "https://example.org/";
    const { tracker: other } = await startObserved({ TRACKER_REDIRECT_URL: target });
    await using _other = other;
    const options = { redirect: "manual" } as const;
    const answer = await fetch(`http://127.0.0.1:${other.port}/`, options);
    expect([answer.status, answer.headers.get("location")]).toEqual([302, target]);
    expect((await fetch(`http://127.0.0.1:${other.port}/live`)).status).toBe(404);
  });
});

describe("verbs that read", () => {
  test("health checks both transports, and fails if one is off", async () => {
    const { tracker } = await startObserved();
    expect(await verb(["health"], tracker.port)).toMatchObject({ code: 0, stdout: "ok\n" });
    await Bun.sleep(1000);
    expect((await figuresOf(tracker.port)).swarms).toBe(0);
    await tracker.stop();
    expect(await verb(["health"], tracker.port)).toMatchObject({ code: 1 });
  });

  test("top prints the figures without a terminal", async () => {
    const { tracker, adminPort } = await startObserved();
    await using _tracker = tracker;
    await announcePeers(tracker.port, "127.0.0.1", 3);
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}` };
    await until(async () => (await figuresOf(tracker.port)).peers === 3);
    const { code, stdout } = await verb(["top"], 1, env);
    expect(code).toBe(0);
    expect(stdout).toContain("Peers 3 ");
  });

  test("selftest finds no problem with us, over both transports and families", async () => {
    const { tracker } = await startObserved();
    await using _tracker = tracker;
    const urls = ["udp", "http"].flatMap((scheme) =>
      ["127.0.0.1", "[::1]"].map((host) => `${scheme}://${host}:${tracker.port}/announce`),
    );
    const { code, stdout } = await verb(["selftest", ...urls]);
    expect(stdout).not.toContain("wrong");
    expect(stdout.match(/: good, interval/g)).toHaveLength(4);
    expect(code).toBe(0);
  });

  test("selftest explains why opentracker with a whitelist refuses it", async () => {
    if (!existsSync(OPENTRACKER)) return;
    const port = freePort();
    // It gives up root for a user who must be able to read its whitelist.
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "whitelist"), "");
    const options = ["-i", "127.0.0.1", "-p", String(port), "-P", String(port)];
    const child = Bun.spawn([OPENTRACKER, ...options, "-w", join(folder, "whitelist")], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    try {
      await Bun.sleep(300);
      const url = `http://127.0.0.1:${port}/announce`;
      const { code, stdout } = await verb(["selftest", url, `udp://127.0.0.1:${port}/announce`]);
      expect(code).toBe(1);
      expect(stdout).toContain("IPv4 127.0.0.1: not good\n    wrong: announce: refused: ");
    } finally {
      child.kill();
      await child.exited;
    }
  }, 20_000);
});

/** Writes each message it gets as a line of JSON. */
const SUPERVISOR = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(json.dumps(s.recv(4096).decode()), flush=True)
`;
import { until } from "../until.ts";

test("while it drains, it is healthy and not ready", async () => {
  const { tracker, page } = await startObserved();
  expect((await page("/ready")).status).toBe(200);
  // A request that does not end is waited for.
  const slow = await Bun.connect({
    hostname: "127.0.0.1",
    port: tracker.port,
    socket: { open: (socket) => void socket.write("GET /announce?info_"), data() {} },
  });
  await figuresOf(tracker.port);
  tracker.signal("SIGTERM");
  await tracker.says("draining");
  expect((await page("/ready")).status).toBe(503);
  expect((await page("/health")).status).toBe(200);
  slow.end();
  expect(await tracker.exited()).toBe(0);
});

test("a supervisor is notified of readiness, life, reloads and the end", async () => {
  const python = Bun.which("python3");
  if (python === null || process.platform !== "linux") return;
  const path = join(folder, "notify");
  const supervisor = Bun.spawn([python, "-c", SUPERVISOR, path], { stdout: "pipe" });
  let heard = "";
  const reading = (async () => {
    for await (const chunk of supervisor.stdout) heard += Buffer.from(chunk).toString();
  })();
  const hears = async (text: string) => {
    for (const deadline = performance.now() + 8000; !heard.includes(text); await Bun.sleep(10)) {
      if (performance.now() > deadline) throw new Error(`never heard ${text}\n${heard}`);
    }
  };
  try {
    await hears("bound");
    const tracker = await startTracker({
      env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "1000000", TRACKER_UDP_WORKERS: "2" },
    });
    await hears(String.raw`"READY=1\nSTATUS=0 peers in 0 swarms, 0 announces per second"`);
    await hears('"WATCHDOG=1"\n"WATCHDOG=1"');
    tracker.signal("SIGHUP");
    await hears(String.raw`"RELOADING=1\nMONOTONIC_USEC=`);
    await tracker.says("reloaded");
    await tracker.stop();
    await hears('"STOPPING=1"');
    const words = [...heard.matchAll(/"([A-Z]+)=/g)].map(([, word]) => word);
    // The sockets of both transports are stored before.
    expect(words.slice(0, 3)).toEqual(["FDSTORE", "FDSTORE", "READY"]);
    expect(words.slice(words.indexOf("RELOADING")).filter((word) => word !== "WATCHDOG")).toEqual([
      "RELOADING",
      "READY",
      "STOPPING",
    ]);
  } finally {
    supervisor.kill();
    await reading;
  }
}, 30_000);
