/**
 * The binaries for other machines, run here: `make test-targets`. They must answer what the binary
 * for this machine does: the strict part of the UDP corpus with each number of workers, the
 * requests of `selftest` over UDP, HTTP and WebSocket; and their files of swarms are the same.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { announceRequest, openDatagrams, randomBytes } from "../e2e/datagrams.ts";
import { readAnnounceAnswer } from "../e2e/datagrams.ts";
import { SETTINGS, startProcess, startTracker, type StartOptions } from "../e2e/harness.ts";
import { isFamilyNeutral, readUdpCorpus, replayUdp, type UdpOutcome } from "../e2e/replay-udp.ts";
import { binaryOf, MACHINES, type Machine } from "./machines.ts";

/** Set where the binaries have been compiled and what they need is installed. */
const ASKED = process.env["BUNTRACKER_TARGETS"] !== undefined;

const strict = (await readUdpCorpus()).filter((record) => record.strict && !record.slow);
const neutral = strict.filter(isFamilyNeutral);

function on({ target, through }: Machine): StartOptions {
  return { binary: binaryOf(target), through };
}

/** The number of leechers in a swarm, after one of them has announced itself. */
async function announced(tracker: { port: number }, infoHash: Uint8Array): Promise<number> {
  using socket = await openDatagrams("127.0.0.1", tracker.port);
  const connectionId = await socket.connect();
  // Each comes from an address with a port of its own, so each is another peer.
  const request = announceRequest({ connectionId, infoHash, port: socket.port });
  const [answer] = await socket.exchange(request);
  return readAnnounceAnswer(answer, 6).leechers;
}

test("the strict part of the corpus is most of it", () => {
  expect(strict.length).toBeGreaterThan(100);
  expect(neutral.length).toBeGreaterThan(60);
});

describe.skipIf(!ASKED).each(MACHINES.map((machine) => [machine.target, machine] as const))(
  "the binary for %s",
  (target, machine) => {
    test("names its target", async () => {
      await using process = startProcess({ ...on(machine), args: ["version"] });
      expect(await process.exited()).toBe(0);
      expect(process.stdout).toContain(target.replace("-musl", ""));
    });

    // Musl under the emulator is slow, and adds no path to those of each alone.
    const settings = Object.entries(SETTINGS);
    test.each(target === "linux-arm64-musl" ? settings.slice(0, 1) : settings)(
      "answers the strict part of the UDP corpus with %s, over both families",
      async (_name, env) => {
        // A fresh tracker for each family, because the lines of both have the same info hashes.
        const outcomes: UdpOutcome[] = [];
        for (const [family, records] of [[4, strict] as const, [6, neutral] as const]) {
          await using tracker = await startTracker({ ...on(machine), env });
          outcomes.push(...(await replayUdp(tracker.port, family, records)));
        }
        const wrong = outcomes.filter(({ problems }) => problems.length > 0);
        expect(wrong.map(({ record, problems }) => [record.id, ...problems])).toEqual([]);
      },
    );

    test("passes the selftest over UDP, HTTP and WebSocket", async () => {
      await using tracker = await startTracker(on(machine));
      const urls = ["udp", "http", "ws"].map(
        (scheme) => `${scheme}://localhost:${tracker.port}/announce`,
      );
      await using report = startProcess({ args: ["selftest", ...urls] });
      const code = await report.exited(60_000);
      expect(`${code} ${report.stdout}`).toMatch(/^0 /);
      expect(report.stdout.match(/: good/g)!.length).toBeGreaterThanOrEqual(3);
    });

    test("shares a file of swarms with the binary of this machine", async () => {
      const folder = mkdtempSync(join(tmpdir(), "buntracker-targets-"));
      const env = { TRACKER_SNAPSHOT_FILE: join(folder, "swarms") };
      const infoHash = randomBytes(20);
      const starts: StartOptions[] = [{ ...on(machine), env }, { env }, { ...on(machine), env }];
      const sizes: number[] = [];
      for (const options of starts) {
        await using tracker = await startTracker(options);
        sizes.push(await announced(tracker, infoHash));
      }
      rmSync(folder, { recursive: true });
      expect(sizes).toEqual([1, 2, 3]);
    });
  },
);
