/**
 * A partition: three hosts on a switch, a tracker and a server of NATS on each, one host taken off
 * the switch for a while. Packets vanish without an error, while clients announce on both sides.
 *
 *   bun test/cluster/partition.ts                 20 seconds
 *   bun test/cluster/partition.ts --seconds 5
 *
 * The hosts are network namespaces of its own (clients/hosts.ts), and end with it. Prints how long
 * after the healing all trackers had the same peers; the exit code is 1 if they never had.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readOptions } from "../bench/options.ts";
import { BINARY } from "../e2e/harness.ts";
import {
  addHost,
  type Host,
  isInNamespaces,
  onHost,
  raiseNetwork,
  runInNamespaces,
} from "../clients/hosts.ts";
import { NATS_SERVER } from "./nats.ts";

const { seconds } = readOptions({ seconds: 20 });
const EQUAL_SECONDS_MAX = 15;
const ANNOUNCES_PER_SECOND = 10;
const HASH = "%01%23%45%67%89%AB%CD%EF%01%23%45%67%89%AB%CD%EF%01%23%45%67";

/** Runs on a host: announces of `count` peers from port `first` on, then the leechers there are. */
const CLIENT = `
  const [first, count] = process.argv.slice(1).map(Number);
  const ask = async (query) =>
    (await fetch("http://127.0.0.1:6969/" + query)).text();
  for (let port = first; port < first + count; port++) {
    await ask("announce?info_hash=${HASH}&peer_id=" + "p".repeat(20) + "&left=1&port=" + port);
  }
  const counted = await ask("scrape?info_hash=${HASH}");
  console.log(/10:incompletei(\\d+)e/.exec(counted)?.[1] ?? "0");
`;

async function client(host: Host, first = 0, count = 0): Promise<number> {
  const args = [process.execPath, "-e", CLIENT, String(first), String(count)];
  const child = Bun.spawn(onHost(host, args), { stdio: ["ignore", "pipe", "inherit"] });
  return Number(await child.stdout.text());
}

const folder = mkdtempSync(join(tmpdir(), "buntracker-partition-"));
const children: Bun.Subprocess[] = [];

function startOn(host: Host, command: string[], env: Record<string, string> = {}): void {
  const stdio = ["ignore", "ignore", "inherit"] as const;
  children.push(Bun.spawn(onHost(host, command), { env, stdio: [...stdio] }));
}

function startAll(hosts: Host[]): void {
  const routes = hosts.map(({ address }) => `"nats://${address}:6222"`).join();
  for (const host of hosts) {
    const config = join(folder, host.name);
    writeFileSync(
      config,
      `listen: "127.0.0.1:4222", ping_interval: "2s", ping_max: 2, write_deadline: "5s"\n` +
        `cluster { name: test, listen: "${host.address}:6222", routes: [${routes}] }\n`,
    );
    startOn(host, [NATS_SERVER!, "-c", config, "-l", `${config}.log`]);
    startOn(host, [BINARY], {
      ...{ TRACKER_UDP_ADDRESS: "127.0.0.1:6969", TRACKER_HTTP_ADDRESS: "127.0.0.1:6969" },
      ...{ TRACKER_CLUSTER_URL: "nats://127.0.0.1:4222", TRACKER_OWN_ADDRESSES: "store" },
      ...{ TRACKER_CLUSTER_NODE: host.name, TRACKER_PEERS_PER_ADDRESS_MAX: "1000" },
      ...{ TRACKER_ADMIN_ADDRESS: "", TRACKER_LOG_LEVEL: "error" },
    });
  }
}

function plug(host: Host, isIn: boolean): void {
  const where = isIn ? ["master", "switch"] : ["nomaster"];
  Bun.spawnSync(["ip", "link", "set", host.name, ...where]);
}

/** Seconds until all have `count` peers; Infinity if that takes too long. */
async function untilEqual(hosts: Host[], count: number): Promise<number> {
  const begun = performance.now();
  const passed = () => (performance.now() - begun) / 1000;
  let seen: number[] = [];
  while (passed() < EQUAL_SECONDS_MAX) {
    seen = await Promise.all(hosts.map((host) => client(host)));
    if (seen.every((one) => one === count)) return passed();
    await Bun.sleep(100);
  }
  console.error(`${seen.join(", ")} peers, and not ${count}`);
  return Infinity;
}

async function part(): Promise<number> {
  await raiseNetwork(folder);
  const hosts = [addHost(4), addHost(4), addHost(4)];
  startAll(hosts);
  await Bun.sleep(6000);
  let port = 1000;
  const announceAt = async (host: Host, count: number): Promise<void> => {
    port += count;
    await client(host, port - count, count);
  };
  for (const host of hosts) await announceAt(host, 20);
  if ((await untilEqual(hosts, port - 1000)) === Infinity) return 1;
  plug(hosts[2], false);
  for (const end = performance.now() + 1000 * seconds; performance.now() < end;) {
    for (const host of hosts) await announceAt(host, ANNOUNCES_PER_SECOND);
    await Bun.sleep(700);
  }
  const apart = await Promise.all(hosts.map((host) => client(host)));
  plug(hosts[2], true);
  const took = await untilEqual(hosts, port - 1000);
  console.log(`apart ${apart.join(", ")}; equal ${took.toFixed(1)} s after it was healed`);
  return took === Infinity || apart[2] >= apart[0] ? 1 : 0;
}

async function run(): Promise<number> {
  try {
    return await part();
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exit(isInNamespaces() ? await run() : await runInNamespaces());
