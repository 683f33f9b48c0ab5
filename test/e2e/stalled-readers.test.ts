/**
 * Readers that stall hold every HTTP connection of the compiled binary, from a network of their own
 * (see test/soak/stalled-readers.ts): an honest client is served all the same.
 */
import { describe, expect, test } from "bun:test";
import { mayHaveNetwork, stallReaders } from "../soak/stalled-readers.ts";
import { BINARY } from "./harness.ts";

const MINUTE_MILLISECONDS = 60_000;
const SERVED_MIN = 95;

const possible = mayHaveNetwork();
if (!possible) console.log("skipped: a network of one's own needs Linux, root, unshare and ip");

describe.skipIf(!possible)("beside one IPv6 /56 that holds all of 1,024 files", () => {
  test.each([
    ["does not read", 0],
    ["reads 1.3 KB/s of each", 1300],
  ])(
    "and %s, 95 of 100 announces are served, in its own /48 too",
    async (_name, bytesPerSecond) => {
      const outcome = await stallReaders({
        binary: BINARY,
        files: 1024,
        connections: 1000,
        bytesPerSecond,
      });
      expect(outcome!.served).toBeGreaterThanOrEqual(SERVED_MIN);
      expect(outcome!.servedBeside).toBeGreaterThanOrEqual(SERVED_MIN);
    },
    MINUTE_MILLISECONDS,
  );
});
