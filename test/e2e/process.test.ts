/**
 * The process as a whole: killed, stopped under load, full, overloaded, with a clock that jumps.
 * In all cases it answers, stays within its memory, and corrupts nothing.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Sweep } from "../../src/swarm/sweep.ts";
import { ConnectionIds, PROOF_FRESH, PROOF_NONE } from "../../src/udp/connection-ids.ts";
import { flood } from "../soak/flood.ts";
import { MIB, vitalsOf } from "../soak/vitals.ts";
import { announce, makeTracker, PEER_TIMEOUT } from "../swarm/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { announceRequest, openDatagrams, randomBytes, readAnnounceAnswer } from "./datagrams.ts";
import { freePort, startTracker, type Tracker } from "./harness.ts";

const MINUTE_MILLISECONDS = 60_000;
const LINUX = process.platform === "linux";

async function announceOverHttp(port: number, infoHash = randomBytes(20)): Promise<Dictionary> {
  const escaped = [...infoHash].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const query = `info_hash=${escaped}&peer_id=${"p".repeat(20)}&port=6881&left=1`;
  const response = await fetch(`http://127.0.0.1:${port}/announce?${query}`, { keepalive: false });
  return decodeDictionary(await response.bytes());
}

/** Milliseconds of `count` exchanges over HTTP, in ascending order. */
async function httpLatencies(port: number, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await announceOverHttp(port);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}

async function udpLatency(port: number): Promise<number> {
  using client = await openDatagrams("127.0.0.1", port);
  const start = performance.now();
  await client.connect(2000);
  return performance.now() - start;
}

test.if(LINUX)("its memory comes in pages of the usual size on any system", async () => {
  await using tracker = await startTracker();
  const status = readFileSync(`/proc/${tracker.pid}/status`, "utf8");
  expect(status).toMatch(/^THP_enabled:\s+0$/m);
});

describe("killed without warning", () => {
  test("it starts again at once on the same port, with connections still open", async () => {
    const first = await startTracker();
    const { port } = first;
    const open = Array.from({ length: 20 }, () => connect({ host: "127.0.0.1", port }));
    for (const socket of open) socket.on("error", () => {}).write("GET /health HTTP/1.1\r\n");
    await announceOverHttp(port);
    first.signal("SIGKILL");
    await first.exited();
    await using second = await startTracker({ port });
    expect(second.readyMilliseconds).toBeLessThan(3000);
    expect((await announceOverHttp(port))["incomplete"]).toBe(1);
    for (const socket of open) socket.destroy();
  });
});

describe("stopped under load", () => {
  test(
    "it exits with code 0, and every HTTP answer it began is complete",
    async () => {
      const tracker = await startTracker();
      const flooding = flood(tracker.port, 3, "connects");
      let [whole, broken, stopping] = [0, 0, false];
      const asking = Array.from({ length: 4 }, async () => {
        while (!stopping) {
          const reply = await announceOverHttp(tracker.port).catch((error: Error) => error);
          if (!(reply instanceof Error)) whole += 1;
          // What was refused had not begun; bencode that does not decode had.
          else if (/bencode|cut short|integer|string|dictionary/.test(reply.message)) broken += 1;
          else if (!tracker.running) stopping = true;
        }
      });
      await Bun.sleep(1000);
      await tracker.stop();
      stopping = true;
      await Promise.all([...asking, flooding]);
      expect(whole).toBeGreaterThan(20);
      expect(broken).toBe(0);
    },
    MINUTE_MILLISECONDS,
  );
});

test("while it waits for a slow HTTP client, it answers UDP", async () => {
  const tracker = await startTracker();
  const slow = connect({ host: "127.0.0.1", port: tracker.port });
  slow.on("error", () => {}).write("GET /health HTTP/1.1\r\n");
  await announceOverHttp(tracker.port);
  tracker.signal("SIGTERM");
  await tracker.says("draining");
  for (let asked = 0; asked < 10; asked++) {
    await Bun.sleep(50);
    await udpLatency(tracker.port);
  }
  expect(tracker.running).toBe(true);
  slow.destroy();
  expect(await tracker.exited()).toBe(0);
});

test(
  "under overload it answers HTTP, does not grow, and recovers within a second",
  async () => {
    await using tracker = await startTracker({ env: { TRACKER_MEMORY_MAX: "32MiB" } });
    const calm = await udpLatency(tracker.port);
    const floods = [1, 2, 3].map(() => flood(tracker.port, 4, "ports"));
    await Bun.sleep(1000);
    const early = LINUX ? vitalsOf(tracker.pid).residentBytes : 0;
    const times = await httpLatencies(tracker.port, 100);
    await Promise.all(floods);
    const late = LINUX ? vitalsOf(tracker.pid).residentBytes : 0;
    await Bun.sleep(500);
    // Three processes flood on the same machine: what is measured is their share of it, too.
    expect(times[98]!).toBeLessThan(1000);
    expect(late - early).toBeLessThan(32 * MIB);
    // The least of some: one may wait for a processor that others use.
    const again: number[] = [];
    for (let i = 0; i < 5; i++) again.push(await udpLatency(tracker.port));
    expect(Math.min(...again)).toBeLessThan(Math.max(50, calm * 5));
  },
  MINUTE_MILLISECONDS,
);

/** The year on a tracker's wall clock: that of the line it logs when told to read its files. */
async function yearOfNextLine(tracker: Tracker): Promise<number> {
  const before = tracker.stderr.length;
  tracker.signal("SIGHUP");
  const told = /time=(\d{4})-\S+ level=info msg=reloaded/;
  const find = () => told.exec(tracker.stderr.slice(before));
  for (let wait = 0; find() === null && wait < 5000; wait += 10) await Bun.sleep(10);
  return Number(find()?.[1]);
}

describe("when the clock jumps", () => {
  test("ids are refused after a clock step of more than their lifetime, in both directions", () => {
    const ids = new ConnectionIds(randomBytes(32), 600);
    const proof = (seconds: number) => ids.proofOf(address, 0, 4, seconds, id, 0);
    const [address, id] = [randomBytes(4), new Uint8Array(8)];
    const now = 1_800_000_000;
    ids.write(address, 0, 4, now, id, 0);
    expect(proof(now)).toBe(PROOF_FRESH);
    for (const step of [-86_400 * 365, -700, 701, 86_400 * 365]) {
      expect(proof(now + step)).toBe(PROOF_NONE);
    }
    expect(proof(now)).toBe(PROOF_FRESH);
  });

  test("the core only expires peers too early or too late", () => {
    const { tracker } = makeTracker();
    const sweep = new Sweep(tracker.store);
    const seconds = [0, 10 * PEER_TIMEOUT, 5, 2 ** 31, 2 ** 40, 1, 0.5, PEER_TIMEOUT];
    for (const now of seconds) {
      for (let peer = 0; peer < 300; peer++) announce(tracker, { peer, infoHash: peer % 7 }, now);
      for (let slice = 0; slice < 600; slice++) sweep.slice(now, 10_000);
      expect(brokenInvariants(tracker)).toEqual([]);
    }
    expect(announce(tracker, { peer: 1, wanted: 50 }, PEER_TIMEOUT).length).toBeGreaterThan(0);
  });

  const library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
  /** Settings of a tracker whose wall clock follows a file, such as `+730d`. */
  const clockSettings = (file: string) => ({
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  });
  if (existsSync(library)) {
    test("times of metrics and page are right once the clock has been set", async () => {
      const directory = await mkdtemp(join(tmpdir(), "buntracker-clock-"));
      const clock = join(directory, "clock");
      // A machine without a battery clock begins long ago.
      await Bun.write(clock, "-20000d\n");
      const adminPort = freePort();
      const admin = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}` };
      await using tracker = await startTracker({ env: { ...clockSettings(clock), ...admin } });
      const ages = async (): Promise<number[]> => {
        const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
        const name = /^(?:tracker|process)_(?:start_time|\w+_timestamp)_seconds (\S+)$/gm;
        return [...text.matchAll(name)].map(([, time]) => Date.now() / 1000 - Number(time));
      };
      expect((await ages()).every((age) => age > 19_000 * 86_400)).toBe(true);
      await Bun.write(clock, "+0\n");
      await Bun.sleep(1100);
      expect(await ages()).toHaveLength(4);
      expect((await ages()).every((age) => age > 0 && age < 60)).toBe(true);
      const page = await (await fetch(`http://127.0.0.1:${tracker.port}/`)).text();
      const since = Date.parse(/<time datetime="([^"]+)">/.exec(page)![1]!);
      expect(Math.abs(Date.now() - since)).toBeLessThan(60_000);
      await rm(directory, { recursive: true });
    });

    test("ids and peers survive steps of the wall clock by two years, both ways", async () => {
      const directory = await mkdtemp(join(tmpdir(), "buntracker-clock-"));
      const clock = join(directory, "clock");
      await Bun.write(clock, "+0\n");
      await using tracker = await startTracker({ env: clockSettings(clock) });
      using client = await openDatagrams("127.0.0.1", tracker.port);
      const connectionId = await client.connect();
      const infoHash = randomBytes(20);
      let port = 1000;
      const years: number[] = [];
      const thisYear = new Date().getUTCFullYear();
      for (const step of ["+0", "+730d", "-730d", "+0"]) {
        await Bun.write(clock, `${step}\n`);
        years.push((await yearOfNextLine(tracker)) - thisYear);
        const request = announceRequest({ connectionId, infoHash, port: ++port });
        const answers = await client.exchange(request);
        expect(answers.map((answer) => readAnnounceAnswer(answer, 6).leechers)).toEqual([
          port - 1000,
        ]);
      }
      // A year more or less at its turn; but the clock did step, or nothing was shown.
      const near = (expected: number, year: number) => Math.abs(year - expected) <= 1;
      expect([0, 2, -2, 0].every((expected, at) => near(expected, years[at]!))).toBe(true);
      const health = await fetch(`http://127.0.0.1:${tracker.port}/health`);
      expect(health.status).toBe(200);
      await rm(directory, { recursive: true });
    });
  }
});
