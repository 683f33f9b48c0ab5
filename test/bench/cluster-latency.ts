/**
 * How soon the other trackers of a cluster tell a peer that has announced: `make cluster-latency`.
 *
 * The claims it defends: of a hundred announces 99 are known at the other trackers within 200 ms,
 * and all within 2 s, also where so much is told that batches wait for 100 ms (sending.ts).
 *
 *   bun test/bench/cluster-latency.ts
 *   bun test/bench/cluster-latency.ts --seconds 5 --rates 20000       a look
 *
 * Three trackers, and three servers of NATS that know each other; each tracker uses its own server.
 * A probe is an announce over HTTP at the first tracker into a swarm of its own; the other two are
 * asked for that swarm every few milliseconds. Meanwhile the first tracker gets so many announces a
 * second over UDP, nearly all of new peers, which it tells the others. A full run writes
 * test/bench/results/cluster-latency.txt.
 */
import { NATS_SERVER, startThreeServers } from "../cluster/nats.ts";
import { freePort, startTracker, type Tracker } from "../e2e/harness.ts";
import { generate } from "./generators.ts";
import { readOptions, refuse } from "./options.ts";
import { machineLines, showTable, writeResults } from "./report.ts";

const DEFAULTS = { seconds: 30, rates: "0,4000,20000" };
const options = readOptions(DEFAULTS);
if (NATS_SERVER === null) refuse("there is no nats-server: install it");

const WARM_SECONDS = 4;
const SECONDS_MAX = 5;
/** Batches are sent as far apart, where much is told. */
const TURN_MILLISECONDS_MAX = 100;
const ASK_MILLISECONDS = 3;
const P99_MILLISECONDS_MAX = 200;
const MILLISECONDS_MAX = 2000;
const PEERS = { swarms: 200_000, peers: 4_000_000, skew: 0, networks: 16_384 };

type Node = Tracker & { admin: string };

async function start(urls: string[], at: number): Promise<Node> {
  const admin = `127.0.0.1:${freePort()}`;
  const nearest = urls.map((_, i) => urls[(at + i) % urls.length]);
  const tracker = await startTracker({
    address: "127.0.0.1",
    env: {
      ...{ TRACKER_CLUSTER_URL: nearest.join(), TRACKER_ADMIN_ADDRESS: admin },
      ...{ TRACKER_OWN_ADDRESSES: "store", TRACKER_MEMORY_MAX: "1GiB" },
      ...{ TRACKER_UDP_WORKERS: "1" },
    },
  });
  return Object.assign(tracker, { admin });
}

const percent = (bytes: Uint8Array): string => bytes.toHex().replace(/../g, "%$&");

/** Milliseconds from an announce at the first tracker until each of the others tells of it. */
async function probe([first, ...others]: Node[]): Promise<number[]> {
  const hash = percent(crypto.getRandomValues(new Uint8Array(20)));
  const query = `info_hash=${hash}&peer_id=${"p".repeat(20)}&port=6881&left=1`;
  const begun = performance.now();
  await (await fetch(`http://127.0.0.1:${first.port}/announce?${query}`)).bytes();
  const known = async ({ port }: Node): Promise<number> => {
    while (performance.now() - begun < SECONDS_MAX * 1000) {
      const answer = await fetch(`http://127.0.0.1:${port}/scrape?info_hash=${hash}`);
      const took = performance.now() - begun;
      if ((await answer.text()).includes("10:incompletei1e")) return took;
      await Bun.sleep(ASK_MILLISECONDS);
    }
    throw new Error(`a tracker did not know a peer after ${SECONDS_MAX} s`);
  };
  return Promise.all(others.map(known));
}

/** Changes that the first tracker has told so far. */
async function toldBy({ admin }: Node): Promise<number> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  return Number(/^tracker_cluster_deltas_total\{direction="sent"\} (\d+)/m.exec(text)![1]);
}

/** The row of a load of `rate` announces a second. */
async function measure(nodes: Node[], rate: number): Promise<string[]> {
  const [first] = nodes;
  const { seconds } = options;
  const flags = { port: first.port, mode: "rate", rate: 2 * rate, ...PEERS };
  const load = rate > 0 && generate("udp-load.ts", { ...flags, seconds: WARM_SECONDS + seconds });
  await Bun.sleep(WARM_SECONDS * 1000);
  const [toldBefore, begun] = [await toldBy(first), performance.now()];
  const took: number[] = [];
  while (performance.now() - begun < seconds * 1000) {
    // Else each would begin just after a batch was sent, and wait for the whole time to the next.
    await Bun.sleep(Math.random() * TURN_MILLISECONDS_MAX);
    took.push(...(await probe(nodes)));
  }
  const told = ((await toldBy(first)) - toldBefore) / ((performance.now() - begun) / 1000);
  await load;
  took.sort((a, b) => a - b);
  const quantile = (part: number): number => took[Math.ceil(part * took.length) - 1];
  const [p50, p99, max] = [quantile(0.5), quantile(0.99), quantile(1)];
  const holds = p99 < P99_MILLISECONDS_MAX && max < MILLISECONDS_MAX;
  const counted = [rate, told, took.length, p50, p99, max];
  return [...counted.map((value) => Math.round(value).toLocaleString("en")), holds ? "yes" : "no"];
}

await using stack = new AsyncDisposableStack();
const servers = await startThreeServers();
for (const server of servers) stack.use(server);
const urls = servers.map(({ url }) => url);
const nodes: Node[] = [];
for (const at of urls.keys()) nodes.push(stack.use(await start(urls, at)));
await Promise.all(nodes.map((node) => node.says("connected to the cluster")));
// Trackers that start have caught up, or found that they are alone, after three seconds.
await Bun.sleep(5000);
const rows = [["announces/s", "changes told/s", "probes", "p50 ms", "p99 ms", "max ms", "holds"]];
for (const rate of options.rates.split(",")) {
  rows.push(await measure(nodes, Number(rate)));
  console.error(rows.at(-1)!.join(" "));
}
const text = [
  ...machineLines(),
  "bars     p99 under 200 ms, none over 2,000",
  "",
  ...showTable(rows, 0),
  "",
].join("\n");
console.log(text);
const isFull = options.seconds >= DEFAULTS.seconds && options.rates === DEFAULTS.rates;
if (isFull) await writeResults("cluster-latency.txt", text);
