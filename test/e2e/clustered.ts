/** Trackers of a cluster for tests: started, told of peers, and compared. */
import { expect } from "bun:test";
import { decodeDictionary } from "./bencode.ts";
import { type Environment, freePort, startTracker, type Tracker } from "./harness.ts";

/** What a tracker says once it is connected. */
export const CONNECTED = "connected to the cluster";

const HASH = "%01%23%45%67%89%AB%CD%EF%01%23%45%67%89%AB%CD%EF%01%23%45%67";
export const HASH_BYTES = Uint8Array.fromHex("0123456789abcdef0123456789abcdef01234567");
/** All that share by one server. A tracker on loopback keeps peers of loopback. */
export function clustered(url: string, env: Environment = {}): Promise<Tracker> {
  return startTracker({
    address: "127.0.0.1",
    env: {
      ...{ TRACKER_CLUSTER_URL: url, TRACKER_OWN_ADDRESSES: "store" },
      ...{ TRACKER_PEERS_PER_ADDRESS_MAX: "1000", ...env },
    },
  });
}

/** With an operator's address, and room for the peers of a load. */
export async function observed(url: string, node: string, changes: Environment = {}) {
  const admin = `127.0.0.1:${freePort()}`;
  const tracker = await startTracker({
    address: "127.0.0.1",
    env: {
      ...{ TRACKER_CLUSTER_URL: url, TRACKER_CLUSTER_NODE: node, TRACKER_ADMIN_ADDRESS: admin },
      ...{ TRACKER_OWN_ADDRESSES: "store", TRACKER_MEMORY_MAX: "128MiB" },
      ...{ TRACKER_UDP_WORKERS: "1", ...changes },
    },
  });
  /** The sum of all series that begin so. */
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://${admin}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.startsWith(name));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  };
  return Object.assign(tracker, { metric });
}

export type Observed = Awaited<ReturnType<typeof observed>>;

export async function announce(tracker: Tracker, peer: number, query = "left=1"): Promise<void> {
  const path = `announce?info_hash=${HASH}&peer_id=${"p".repeat(20)}&port=${1000 + peer}&${query}`;
  const response = await fetch(`http://127.0.0.1:${tracker.port}/${path}`);
  expect(decodeDictionary(await response.bytes())["failure reason"]).toBeUndefined();
}

interface Counts {
  complete: number;
  incomplete: number;
  downloaded: number;
}

export async function counts({ port }: Tracker): Promise<Counts> {
  const response = await fetch(`http://127.0.0.1:${port}/scrape?info_hash=${HASH}`);
  const files = decodeDictionary(await response.bytes())["files"] as Record<string, unknown>;
  const [counted] = Object.values(files) as unknown as Counts[];
  return counted ?? { complete: 0, incomplete: 0, downloaded: 0 };
}

/** Waits until all trackers say this; throws with what they say after some seconds. */
export async function untilAll(
  trackers: Tracker[],
  wanted: Partial<Counts>,
  seconds = 15,
): Promise<void> {
  let seen: Counts[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    seen = await Promise.all(trackers.map(counts));
    const agrees = (one: Counts): boolean =>
      Object.entries(wanted).every(([name, value]) => one[name as keyof Counts] === value);
    if (seen.every(agrees)) return;
    await Bun.sleep(50);
  }
  const logs = trackers.map(({ stderr }) => stderr).join("\n");
  throw new Error(`${JSON.stringify(seen)} is not ${JSON.stringify(wanted)}\n${logs}`);
}
