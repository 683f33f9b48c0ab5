/**
 * A flood from one part of a network, while a neighbour in that network asks as any client does.
 *
 *   bun test/soak/neighbours.ts HOST PORT SECONDS RATE ADDRESS...
 *
 * is the flood, a process of its own: so many announces a second, evenly spaced, from each of the
 * addresses in turn. It prints how many it sent and how many were answered.
 */
import { announceRequest, openDatagrams, randomBytes } from "../e2e/datagrams.ts";
import { startTracker } from "../e2e/harness.ts";

export interface Neighbours {
  host: string;
  port: number;
  flooders: string[];
  neighbour: string;
  seconds: number;
  /** Announces a second, of all flooders together. */
  floodRate: number;
  /** Announces a second of the neighbour. */
  rate: number;
}

export interface Outcome {
  flood: { sent: number; answered: number };
  neighbour: { sent: number; answered: number };
}

const ANSWER_MILLISECONDS_MAX = 1000;
/** Flooders ask for their ids before they begin. */
const PREPARATION_MILLISECONDS = 2000;

async function floodBesideNeighbour(asked: Neighbours): Promise<Outcome> {
  const { host, port, flooders, seconds, floodRate } = asked;
  const words = [import.meta.path, host, `${port}`, `${seconds}`, `${floodRate}`, ...flooders];
  const child = Bun.spawn([process.execPath, ...words], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdout: "pipe",
    stderr: "inherit",
  });
  await Bun.sleep(PREPARATION_MILLISECONDS);
  const neighbour = await askAsNeighbour(asked);
  return { neighbour, flood: JSON.parse(await new Response(child.stdout).text()) };
}

/** Limits low enough for a flood of loopback to be far over them at once. */
const LIMITS = { TRACKER_RATE_LIMIT_ADDRESS: "100", TRACKER_RATE_LIMIT_NETWORK: "512" };
const BURST = 60 * 512;
const ANSWERED_MIN = 0.95;

/** The phase of the soak: what is wrong, as sentences. */
export async function complaintsOfNeighbour(seconds = 25): Promise<string[]> {
  await using tracker = await startTracker({ env: { TRACKER_RATE_LIMIT: "enforce", ...LIMITS } });
  const { flood, neighbour } = await floodBesideNeighbour({
    host: "127.0.0.1",
    port: tracker.port,
    flooders: Array.from({ length: 200 }, (_, i) => `127.0.7.${i + 1}`),
    neighbour: "127.0.7.250",
    seconds,
    floodRate: 25_000,
    rate: 4,
  });
  const found: string[] = [];
  if (neighbour.answered < ANSWERED_MIN * neighbour.sent) {
    found.push(`beside a flood ${neighbour.answered} of ${neighbour.sent} requests were answered`);
  }
  if (flood.answered > 2 * BURST + (seconds + PREPARATION_MILLISECONDS / 1000) * 512) {
    found.push(`of a network over its limit ${flood.answered} requests were answered`);
  }
  return found;
}

async function askAsNeighbour({ host, port, neighbour, seconds, rate }: Neighbours) {
  using client = await openDatagrams(host, port, neighbour);
  const connectionId = await client.connect();
  const outcome = { sent: 0, answered: 0 };
  const end = performance.now() + seconds * 1000 - PREPARATION_MILLISECONDS;
  while (performance.now() < end) {
    const next = Bun.sleep(1000 / rate);
    client.send(announceRequest({ connectionId, infoHash: randomBytes(20), port: 7000 }));
    outcome.sent += 1;
    const answer = await client.receive(ANSWER_MILLISECONDS_MAX).catch(() => undefined);
    if (answer !== undefined) outcome.answered += 1;
    await next;
  }
  return outcome;
}

if (import.meta.main) {
  const [host, port, seconds, rate, ...addresses] = process.argv.slice(2);
  const outcome = await flood(host!, Number(port), Number(seconds), Number(rate), addresses);
  console.log(JSON.stringify(outcome));
  process.exit(0);
}

async function flood(
  host: string,
  port: number,
  seconds: number,
  rate: number,
  addresses: string[],
) {
  const outcome = { sent: 0, answered: 0 };
  const senders: { socket: Bun.udp.Socket<"uint8array">; datagram: Uint8Array }[] = [];
  for (const address of addresses) {
    using asking = await openDatagrams(host, port, address);
    const connectionId = await asking.connect();
    const datagram = announceRequest({ connectionId, infoHash: randomBytes(20), port: 6000 });
    const socket = await Bun.udpSocket({
      hostname: address,
      binaryType: "uint8array",
      socket: { data: () => void (outcome.answered += 1), error() {} },
    });
    senders.push({ socket, datagram });
  }
  const start = performance.now();
  for (let due = 0; due < seconds * rate;) {
    due = ((performance.now() - start) / 1000) * rate;
    for (; outcome.sent < due; outcome.sent++) {
      const { socket, datagram } = senders[outcome.sent % senders.length]!;
      try {
        socket.send(datagram, port, host);
      } catch {
        // An error about an earlier datagram; the flood goes on.
      }
    }
    // No timer: in bursts of a millisecond the bucket leaks enough for somebody else.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Bun.sleep(ANSWER_MILLISECONDS_MAX);
  return outcome;
}
