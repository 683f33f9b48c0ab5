/** Exports of a full tracker: to slow readers, to many at once, to readers that have stopped. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, vitalsOf } from "../soak/vitals.ts";
import { startTracker, type Tracker } from "./harness.ts";

const LINUX = process.platform === "linux";
const SWARMS = 1_450_000;
/** Limit of memory for exports beside the swarms: chunks in progress and uncollected garbage. */
const EXPORTS_BYTES_MAX = 200 * MIB;
const EXPORTS_MAX = 4;
/** The server's own patience is 30 seconds. */
const DROPPED_MILLISECONDS_MAX = 45_000;
const SLOW_MILLISECONDS = 90_000;

/** `d8:completei0e10:downloadedi1e10:incompletei0ee`, behind `20:` and the info hash. */
const RECORD_BYTES = 3 + 20 + "d8:completei0e10:downloadedi1e10:incompletei0ee".length;
const HEAD = "d5:filesd";

let folder = "";
let tracker: Tracker;

/** A tracker that knows more swarms than 100 MB tell of, from a state file. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "buntracker-exports-"));
  const file = join(folder, "state");
  const lines: string[] = [];
  for (let n = 0; n < SWARMS; n++) {
    const word = Math.imul(n, 0x9e3779b1) >>> 0;
    lines.push(`${word.toString(16).padStart(8, "0")}${"ab".repeat(16)}:29354321:1`);
  }
  writeFileSync(file, lines.join("\n"));
  tracker = await startTracker({
    env: {
      TRACKER_STATE_IMPORT: file,
      TRACKER_FULLSCRAPE_INTERVAL: "0",
      TRACKER_MEMORY_MAX: "512MiB",
    },
  });
}, SLOW_MILLISECONDS);

afterAll(async () => {
  await tracker.stop();
  rmSync(folder, { recursive: true });
});

const scrape = (encoding: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${tracker.port}/scrape`, { headers: { "Accept-Encoding": encoding } });

/** A reader that sends a request and then reads nothing. */
async function stoppedReader(): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: tracker.port });
  socket.on("error", () => {});
  socket.pause();
  await new Promise((resolve) => socket.once("connect", resolve));
  // HTTP/1.0 gets the body as it is, and then the end of the connection.
  socket.write("GET /scrape HTTP/1.0\r\nHost: x\r\n\r\n");
  await Bun.sleep(200);
  return socket;
}

/** All that comes until the connection ends, taken in gulps with a rest after each. */
async function readSlowly(socket: Socket): Promise<Buffer> {
  const gulps: Buffer[] = [];
  let sinceRest = 0;
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    gulps.push(bytes);
    sinceRest += bytes.length;
    if (sinceRest < 2 * MIB) continue;
    sinceRest = 0;
    await Bun.sleep(100);
  }
  return Buffer.concat(gulps);
}

describe("an export of 100 MB", () => {
  test(
    "is correct to the last byte for a slow reader, and costs no memory",
    async () => {
      const before = LINUX ? vitalsOf(tracker.pid).residentBytes : 0;
      const socket = await stoppedReader();
      let most = 0;
      const watch = setInterval(() => {
        if (LINUX) most = Math.max(most, vitalsOf(tracker.pid).residentBytes);
      }, 50);
      const answer = await readSlowly(socket);
      clearInterval(watch);
      const body = answer.subarray(answer.indexOf("\r\n\r\n") + 4);
      expect(body.length).toBeGreaterThan(100_000_000);
      expect(body.length).toBe(HEAD.length + SWARMS * RECORD_BYTES + 2);
      expect(body.subarray(0, HEAD.length).toString()).toBe(HEAD);
      expect(body.subarray(-2).toString()).toBe("ee");
      let previous = -1;
      let wrong = 0;
      for (let at = HEAD.length; at < body.length - 2; at += RECORD_BYTES) {
        const word = body.readUInt32BE(at + 3);
        if (word <= previous || body.toString("latin1", at, at + 3) !== "20:") wrong += 1;
        previous = word;
      }
      expect(wrong).toBe(0);
      expect(most - before).toBeLessThan(EXPORTS_BYTES_MAX);
    },
    SLOW_MILLISECONDS,
  );

  test(
    "is sent to four readers at once, and to a fifth only after one is gone",
    async () => {
      const readers: Socket[] = [];
      for (let i = 0; i < EXPORTS_MAX; i++) readers.push(await stoppedReader());
      const refused = await scrape("identity");
      expect(refused.status).toBe(429);
      expect(refused.headers.get("retry-after")).toBe("30");
      readers[0]!.destroy();
      let status = 0;
      for (let attempt = 0; attempt < 50 && status !== 200; attempt++) {
        await Bun.sleep(50);
        const answer = await scrape("identity");
        status = answer.status;
        await answer.body?.cancel();
      }
      expect(status).toBe(200);
      for (const reader of readers) reader.destroy();
    },
    SLOW_MILLISECONDS,
  );

  test(
    "takes little memory when compressed for four readers at once",
    async () => {
      await Bun.sleep(500);
      const before = LINUX ? vitalsOf(tracker.pid).residentBytes : 0;
      let most = 0;
      const watch = setInterval(() => {
        if (LINUX) most = Math.max(most, vitalsOf(tracker.pid).residentBytes);
      }, 50);
      const encodings = ["zstd", "gzip", "zstd", "identity"];
      const sizes = await Promise.all(
        encodings.map(async (encoding) => {
          let size = 0;
          for await (const bytes of (await scrape(encoding)).body!) size += bytes.length;
          return size;
        }),
      );
      clearInterval(watch);
      expect(new Set(sizes).size).toBe(1);
      expect(sizes[0]).toBe(HEAD.length + SWARMS * RECORD_BYTES + 2);
      expect(most - before).toBeLessThan(EXPORTS_BYTES_MAX);
    },
    SLOW_MILLISECONDS,
  );

  test(
    "is closed for a reader that has stopped",
    async () => {
      const socket = await stoppedReader();
      const start = performance.now();
      await Bun.sleep(31_000);
      const answer = await readSlowly(socket).catch(() => Buffer.alloc(0));
      expect(answer.length).toBeLessThan(HEAD.length + SWARMS * RECORD_BYTES);
      expect(performance.now() - start).toBeLessThan(DROPPED_MILLISECONDS_MAX);
    },
    SLOW_MILLISECONDS,
  );
});
