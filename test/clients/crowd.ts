/**
 * One libtorrent with hundreds of HTTP announces at once, against a tracker that may open 1024
 * files: run by crowd.test.ts in a network namespace, where clients are not on loopback, which has
 * no limits of connections. Prints what the client and the tracker counted, as JSON.
 *
 *   bun test/clients/crowd.ts ANNOUNCES OTHERS     OTHERS are idle connections of other addresses
 */
import { connect, type Socket } from "node:net";
import { startTracker } from "../e2e/harness.ts";

const TRACKER = "10.77.0.1";
const CLIENT = "10.77.0.2";
/** Idle connections come from so many addresses, from this one on. */
const OTHERS_FIRST = 10;
const OTHERS = 50;
const FILES = 1024;
const ADMIN = "127.0.0.1:6970";

/** The exit code if libtorrent has crashed, which it does now and then at its start. */
export const CRASHED = 3;

/** What became of the announces. */
export interface Crowd {
  client: { answered: number; failed: number; stopped: number; lost: number; errors: string[] };
  started: number;
  stopped: number;
  /** Peers that are stored at the end. */
  peers: number;
  /** Connections that the tracker closed or refused, by reason; those of 0 are left out. */
  closed: Record<string, number>;
}

async function main(announces: number, others: number): Promise<Crowd> {
  command("ip", "link", "set", "lo", "up");
  const hosts = Array.from({ length: OTHERS }, (_, n) => OTHERS_FIRST + n);
  for (const host of [1, 2, ...hosts])
    command("ip", "addr", "add", `10.77.0.${host}/24`, "dev", "lo");
  const tracker = await startTracker({
    port: 6969,
    files: FILES,
    env: {
      TRACKER_UDP_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `127.0.0.1:6969,${TRACKER}:6969`,
      TRACKER_ADMIN_ADDRESS: ADMIN,
      // The client is on its machine.
      TRACKER_OWN_ADDRESSES: "store",
    },
  });
  await using _tracker = tracker;
  const idle = Array.from({ length: others }, (_, n) => idler(`10.77.0.${hosts[n % OTHERS]}`));
  await Promise.all(idle);
  // Those that have waited for two seconds may be closed for others.
  if (others > 0) await Bun.sleep(4000);
  const script = `${import.meta.dir}/libtorrent_crowd.py`;
  const url = `http://${TRACKER}:6969/announce`;
  // Debian's own Python has the module.
  const child = Bun.spawn(["/usr/bin/python3", script, CLIENT, url, String(announces)], {
    stderr: "inherit",
  });
  const told = await child.stdout.text();
  await child.exited;
  if (child.signalCode !== null) {
    console.error(`libtorrent has crashed: ${child.signalCode}`);
    process.exit(CRASHED);
  }
  const client = JSON.parse(told) as Crowd["client"];
  const metrics = await (await fetch(`http://${ADMIN}/metrics`)).text();
  for (const socket of await Promise.all(idle)) socket.destroy();
  const sum = (name: string): number =>
    metrics
      .split("\n")
      .filter((line) => line.startsWith(name))
      .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
  const reasons = ["too_many", "too_many_of_address", "malformed", "late", "memory"];
  const closed = reasons.map((reason): [string, number] => [
    reason,
    sum(`tracker_http_connections_closed_total{reason="${reason}"}`),
  ]);
  return {
    client,
    started: sum('tracker_announces_answered_total{event="started"}'),
    stopped: sum('tracker_announces_answered_total{event="stopped"}'),
    peers: sum("tracker_peers{"),
    closed: Object.fromEntries(closed.filter(([, count]) => count > 0)),
  };
}

/** A connection that was used once and stays open, as browsers leave them. */
function idler(localAddress: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host: TRACKER, port: 6969, localAddress });
  socket.on("error", reject);
  socket.on("connect", () => socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
  socket.once("data", () => {
    socket.off("error", reject).on("error", () => {});
    resolve(socket);
  });
  return promise;
}

function command(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words);
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: ${stderr.toString()}`);
}

if (import.meta.main) {
  console.log(JSON.stringify(await main(Number(process.argv[2]), Number(process.argv[3]))));
}
