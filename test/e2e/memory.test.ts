/**
 * Memory filled by attackers, through the compiled binary: honest peers are still stored.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { announceRequest, openDatagrams } from "./datagrams.ts";
import { freePort, startTracker, type Tracker } from "./harness.ts";

const SLOW_MILLISECONDS = 60_000;
/** More than fit 16 MiB if each leaves a swarm behind. */
const SWARMS = 400_000;
/** Datagrams that are on their way at once, so that none is lost. */
const WINDOW = 512;
const EVENT_COMPLETED = 1;
const EVENT_STARTED = 2;
const EVENT_STOPPED = 3;

interface Flood {
  source: string;
  /** Events of each swarm, in this order, and what is left to download then. */
  steps: { event: number; left: number }[];
  swarms: number;
  /** The first bytes of its info hashes. */
  prefix: number;
}

/** Announces all steps of all swarms, each once, and waits for the answers. */
async function flood(tracker: Tracker, { source, steps, swarms, prefix }: Flood): Promise<void> {
  using asking = await openDatagrams("127.0.0.1", tracker.port, source);
  const connectionId = await asking.connect();
  let answered = 0;
  let wake = (): void => {};
  const socket = await Bun.udpSocket({
    hostname: source,
    socket: {
      data: () => {
        answered += 1;
        if (answered % 64 === 0) wake();
      },
      error: () => {},
    },
  });
  const infoHash = new Uint8Array(20).fill(prefix);
  const requests = Array.from({ length: 64 }, () =>
    steps.map(({ event, left }) =>
      announceRequest({ connectionId, infoHash, port: 1000, event, left }),
    ),
  );
  let sent = 0;
  for (let swarm = 0; swarm < swarms; swarm += 64) {
    const batch: (Uint8Array | number | string)[] = [];
    for (let step = 0; step < steps.length; step++) {
      for (let i = 0; i < 64; i++) {
        const request = requests[i][step];
        new DataView(request.buffer).setUint32(32, swarm + i);
        batch.push(request, tracker.port, "127.0.0.1");
      }
    }
    sent += socket.sendMany(batch);
    while (sent - answered > WINDOW) {
      const before = answered;
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 100);
      });
      // What is not answered within a tenth of a second was lost.
      if (answered === before) sent = answered;
    }
  }
  socket.close();
}

/** How many of 20 new swarms and of 20 new peers in the swarms of `before` are stored. */
async function honestStored(tracker: Tracker, before: Uint8Array[]): Promise<number[]> {
  const stored = async (infoHash: Uint8Array, source: string): Promise<boolean> => {
    using client = await openDatagrams("127.0.0.1", tracker.port, source);
    const connectionId = await client.connect();
    await client.exchange(announceRequest({ connectionId, infoHash, port: 2000 }));
    // A second peer there gets the first one, if that is stored.
    using other = await openDatagrams("127.0.0.1", tracker.port, "127.77.1.1");
    const id = await other.connect();
    const [answer] = await other.exchange(announceRequest({ connectionId: id, infoHash, port: 0 }));
    const peer = Buffer.from([...source.split(".").map(Number), 2000 >> 8, 2000 & 0xff]);
    return Buffer.from(answer).subarray(20).includes(peer);
  };
  const counts = [0, 0];
  for (let i = 0; i < 20; i++) {
    const fresh = new Uint8Array(20).fill(0xf0, 1);
    fresh[0] = i;
    if (await stored(fresh, `127.${100 + i}.1.1`)) counts[0] += 1;
    if (await stored(before[i], `127.${130 + i}.1.1`)) counts[1] += 1;
  }
  return counts;
}

/** Twenty swarms of one peer each. */
async function establish(tracker: Tracker): Promise<Uint8Array[]> {
  const hashes: Uint8Array[] = [];
  for (let i = 0; i < 20; i++) {
    const infoHash = new Uint8Array(20).fill(0xe0 + i);
    using client = await openDatagrams("127.0.0.1", tracker.port, `127.60.${i}.1`);
    const connectionId = await client.connect();
    await client.exchange(announceRequest({ connectionId, infoHash, port: 3000 }));
    hashes.push(infoHash);
  }
  return hashes;
}

const metric = (text: string, name: string): number =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(" ")[1],
  );

async function metricsOf(tracker: Tracker, operator: number): Promise<string> {
  expect(tracker.running).toBe(true);
  return await (await fetch(`http://127.0.0.1:${operator}/metrics`)).text();
}

const SETTINGS = {
  TRACKER_MEMORY_MAX: "16MiB",
  TRACKER_OWN_ADDRESSES: "store",
};

test.skipIf(process.platform !== "linux")(
  "reserved but unused memory is not resident, in every start",
  async () => {
    for (let start = 0; start < 8; start++) {
      await using tracker = await startTracker({ env: { TRACKER_MEMORY_MAX: "1GiB" } });
      const status = readFileSync(`/proc/${tracker.pid}/status`, "utf8");
      // Bun and our heap take 18 MiB; the smallest part of the reserve has 30.
      expect(Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1])).toBeLessThan(40 * 1024);
    }
  },
  SLOW_MILLISECONDS,
);

describe("at 16 MiB, after one address has begun and left 400,000 swarms", () => {
  const ATTACKS = {
    "with a completed that nobody had begun": [
      { event: EVENT_COMPLETED, left: 0 },
      { event: EVENT_STOPPED, left: 0 },
    ],
    "with a download each": [
      { event: EVENT_STARTED, left: 1 },
      { event: EVENT_COMPLETED, left: 0 },
      { event: EVENT_STOPPED, left: 0 },
    ],
    "and stays in all of them": [{ event: EVENT_STARTED, left: 1 }],
  };
  for (const [name, steps] of Object.entries(ATTACKS)) {
    test(
      `${name}, all honest peers are stored`,
      async () => {
        const port = freePort();
        const env = { ...SETTINGS, TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port}` };
        await using tracker = await startTracker({ env });
        const before = await establish(tracker);
        await flood(tracker, { source: "127.0.0.66", steps, swarms: SWARMS, prefix: 9 });
        expect(await honestStored(tracker, before)).toEqual([20, 20]);
        const metrics = await metricsOf(tracker, port);
        expect(metric(metrics, "tracker_swarms")).toBeLessThan(120_000);
      },
      SLOW_MILLISECONDS,
    );
  }

  test(
    "from ten networks, the log says once that memory is full, with what fills it and what helps",
    async () => {
      const env = { ...SETTINGS, TRACKER_SWARMS_PER_ADDRESS_MAX: "1000000" };
      await using tracker = await startTracker({ env });
      for (let network = 0; network < 10; network++) {
        await flood(tracker, {
          source: `127.9.${network}.1`,
          steps: [{ event: EVENT_STARTED, left: 1 }],
          swarms: 40_000 + 200_000 * Number(network === 0),
          prefix: network,
        });
      }
      await tracker.says("memory is full: new peers are answered but not stored");
      const line = tracker.stderr.split("\n").filter((text) => text.includes("memory is full"));
      expect(line.length).toBe(1);
      expect(line[0]).toMatch(/limit=16MiB peers=\d+ swarms=\d+ swarms_without_peers=\d+/);
      expect(line[0]).toContain("raise TRACKER_MEMORY_MAX");
    },
    SLOW_MILLISECONDS,
  );
});
