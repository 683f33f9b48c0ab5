/** The ceiling of memory, reached by floods from other processes and left again by time. */
import { describe, expect, test } from "bun:test";
import { flood } from "../soak/flood.ts";
import { MIB, vitalsOf } from "../soak/vitals.ts";
import { decodeDictionary, type Dictionary } from "./bencode.ts";
import { randomBytes } from "./datagrams.ts";
import { startTracker } from "./harness.ts";

const MINUTE_MILLISECONDS = 60_000;
const LINUX = process.platform === "linux";

/** What the process holds beside its swarms: Bun, its heap, buffers of sockets. */
const BASE_BYTES_MAX = 110 * MIB;

async function announceOverHttp(port: number, infoHash = randomBytes(20)): Promise<Dictionary> {
  const escaped = [...infoHash].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const query = `info_hash=${escaped}&peer_id=${"p".repeat(20)}&port=6881&left=1`;
  const response = await fetch(`http://127.0.0.1:${port}/announce?${query}`, { keepalive: false });
  return decodeDictionary(await response.bytes());
}

/** Announces in a row that must agree: at the brink, one finds room and the next does not. */
const AGREEING = 20;

/** Asks until new peers are told that there is no room, or none are; false if that never comes. */
async function untilFull(port: number, full: boolean): Promise<boolean> {
  let agreeing = 0;
  for (const end = performance.now() + 40_000; performance.now() < end; await Bun.sleep(25)) {
    const reply = await announceOverHttp(port);
    expect(reply["interval"]).toBe(2);
    agreeing = (reply["warning message"] !== undefined) === full ? agreeing + 1 : 0;
    if (agreeing === AGREEING) return true;
  }
  return false;
}

describe("at its ceiling of memory", () => {
  const env = {
    TRACKER_MEMORY_MAX: "16MiB",
    TRACKER_INTERVAL: "2s",
    // Long enough for a flood on a busy machine to fill the memory before its first peers go.
    TRACKER_PEER_TIMEOUT: "30s",
    TRACKER_DOWNLOADS_TIMEOUT: "1s",
    // The floods come from one address, and those who ask from the same network.
    TRACKER_SWARMS_PER_ADDRESS_MAX: "1000000",
  };

  test(
    "floods of info hashes and ports leave it in its memory, answering, and soon with room again",
    async () => {
      await using tracker = await startTracker({ env });
      const full = untilFull(tracker.port, true);
      const floods = (["hashes", "ports"] as const).map((kind) =>
        flood(tracker.port, 40, kind, full),
      );
      expect(await full).toBe(true);
      const sent = await Promise.all(floods);
      expect(Math.min(...sent)).toBeGreaterThan(10_000);
      if (LINUX) {
        expect(vitalsOf(tracker.pid).residentBytes).toBeLessThan(16 * MIB + BASE_BYTES_MAX);
      }
      expect(await untilFull(tracker.port, false)).toBe(true);
      expect((await announceOverHttp(tracker.port))["incomplete"]).toBe(1);
    },
    2 * MINUTE_MILLISECONDS,
  );
});
