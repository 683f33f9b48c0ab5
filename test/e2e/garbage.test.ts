/** Memory where much is received or read and nothing of it is kept (see test/soak/garbage.ts). */
import { describe, expect, test } from "bun:test";
import { DRIP_BYTES_MAX, drippedOn, grownByReloads, RELOAD_BYTES_MAX } from "../soak/garbage.ts";
import { flood } from "../soak/flood.ts";
import { memoryPeakOf, MIB } from "../soak/vitals.ts";
import { startTracker } from "./harness.ts";

const LINUX = process.platform === "linux";
const MINUTE_MILLISECONDS = 60_000;
const FLOOD_BYTES_MAX = 150 * MIB;

describe("1,000 clients that drip bytes into requests they do not finish", () => {
  test.if(LINUX).each([
    ["a field", "head", "16MiB"],
    ["a field", "head", "1GiB"],
    ["a field", "head", "2560MiB"],
    ["more and more fields", "fields", "1GiB"],
    ["behind answers that they do not read", "waiting", "1GiB"],
    ["a chunk of a body", "chunks", "1GiB"],
    ["trailers", "trailers", "1GiB"],
  ] as const)(
    "add at most 250 MiB: %s (%s, TRACKER_MEMORY_MAX=%s)",
    async (_, kind, memoryMax) => {
      const { peakBytes, drips } = await drippedOn(memoryMax, kind, 5);
      expect(drips).toBeGreaterThan(10_000);
      expect(peakBytes).toBeLessThan(DRIP_BYTES_MAX);
    },
    MINUTE_MILLISECONDS,
  );
});

test.if(LINUX).each([0, 1])(
  "40 reloads of a list of 200,000 hashes add at most 60 MB, with %d UDP workers",
  async (workers) => {
    expect(await grownByReloads(40, workers)).toBeLessThan(RELOAD_BYTES_MAX);
  },
  MINUTE_MILLISECONDS,
);

test.if(LINUX)(
  "a flood of datagrams that the event loop answers adds at most 150 MiB",
  async () => {
    const env = { TRACKER_MEMORY_MAX: "2560MiB", TRACKER_UDP_WORKERS: "0" };
    await using tracker = await startTracker({ env });
    await Bun.sleep(500);
    const peak = await memoryPeakOf(tracker.pid, () => flood(tracker.port, 10, "connects"));
    expect(peak).toBeLessThan(FLOOD_BYTES_MAX);
  },
  MINUTE_MILLISECONDS,
);
