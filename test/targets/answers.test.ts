/**
 * The binaries for other machines, run here: `make test-targets`. They must answer what the binary
 * for this machine does: the strict part of the UDP corpus with each number of workers, the
 * requests of `selftest` over UDP, HTTP and WebSocket; their files of swarms are the same, and they
 * share their peers with it over a server of NATS.
 */
import { connect } from "@nats-io/transport-node";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { KIND_HELLO, readMessage } from "../../src/cluster/wire.ts";
import { NatsServer } from "../cluster/nats.ts";
import { decodeDictionary } from "../e2e/bencode.ts";
import { announceRequest, openDatagrams, randomBytes } from "../e2e/datagrams.ts";
import { readAnnounceAnswer } from "../e2e/datagrams.ts";
import { SETTINGS, startProcess, startTracker, type StartOptions } from "../e2e/harness.ts";
import type { Tracker } from "../e2e/harness.ts";
import { isFamilyNeutral, readUdpCorpus, replayUdp, type UdpOutcome } from "../e2e/replay-udp.ts";
import { binaryOf, MACHINES, type Machine } from "./machines.ts";

/** Set where the binaries have been compiled and what they need is installed. */
const ASKED = process.env["BUNTRACKER_TARGETS"] !== undefined;

/** A hello comes each second, and a change in a fraction of one; an emulator is slower. */
const HEARD_MILLISECONDS_MAX = 20_000;

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

/** Waits until a tracker counts so many leechers; the number that it counts at the end. */
async function counted({ port }: Tracker, infoHash: Uint8Array, wanted: number): Promise<number> {
  const hash = infoHash.toHex().replaceAll(/../g, "%$&");
  let leechers = 0;
  for (const end = performance.now() + HEARD_MILLISECONDS_MAX; performance.now() < end;) {
    const response = await fetch(`http://127.0.0.1:${port}/scrape?info_hash=${hash}`);
    const files = decodeDictionary(await response.bytes())["files"] as Record<string, unknown>;
    leechers = (Object.values(files) as { incomplete: number }[])[0]?.incomplete ?? 0;
    if (leechers === wanted) break;
    await Bun.sleep(100);
  }
  return leechers;
}

/** The names in the hellos that a server of NATS passes on, until `wanted` is one of them. */
async function greeted(url: string, wanted: string): Promise<string[]> {
  const listener = await connect({ servers: url });
  const names = new Set<string>();
  const timer = setTimeout(() => void listener.close(), HEARD_MILLISECONDS_MAX);
  for await (const { data } of listener.subscribe("buntracker.default.all")) {
    const message = readMessage(data);
    if (typeof message === "object" && message.kind === KIND_HELLO) names.add(message.name);
    if (names.has(wanted)) break;
  }
  clearTimeout(timer);
  await listener.close();
  return [...names];
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

    test("says hello to a cluster, and shares peers with the binary of this machine", async () => {
      await using nats = await NatsServer.start();
      const env = {
        ...{ TRACKER_CLUSTER_URL: nats.url, TRACKER_OWN_ADDRESSES: "store" },
        TRACKER_ADMIN_ADDRESS: "",
      };
      const nodeOf = (name: string) => ({ ...env, TRACKER_CLUSTER_NODE: name });
      await using far = await startTracker({ ...on(machine), env: nodeOf("far") });
      await far.says("connected to the cluster");
      expect(await greeted(nats.url, "far")).toContain("far");
      await using near = await startTracker({ env: nodeOf("near") });
      await near.says("connected to the cluster");
      expect(await greeted(nats.url, "near")).toContain("near");
      const infoHash = randomBytes(20);
      expect(await announced(far, infoHash)).toBe(1);
      expect(await counted(near, infoHash, 1)).toBe(1);
      expect(await announced(near, infoHash)).toBe(2);
      expect(await counted(far, infoHash, 2)).toBe(2);
    });
  },
);
