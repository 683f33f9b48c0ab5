/**
 * A flood of datagrams from another process, so that the test's own event loop stays free.
 *
 *   bun test/soak/flood.ts PORT SECONDS KIND
 *
 * Kinds: `garbage` (random bytes of random lengths), `huge` (scrapes of 64 KiB), `connects`,
 * `hashes` (announces of random info hashes), `ports` (announces of a few thousand info hashes from
 * random ports) and `downloads` (of one info hash after the other: started, completed, stopped). It
 * sends as fast as the kernel takes it, reads no answers, and prints how many datagrams it sent. It
 * ends early when its input ends, but not before it has sent 20,000: on a busy machine it may start
 * when all that it is for has happened.
 */
import {
  announceRequest,
  connectRequest,
  type Datagrams,
  openDatagrams,
  randomBytes,
} from "../e2e/datagrams.ts";

export type FloodKind = "garbage" | "huge" | "connects" | "hashes" | "ports" | "downloads";

const BATCH = 200;
const SENT_MIN = 20_000;
const CONNECTS_MAX = 20;
const CONNECT_MILLISECONDS = 500;
const SLOTS = 4096;

/** The largest payload of UDP over IPv4, and fewer of them. [RFC 768, RFC 791] */
const HUGE_BYTES = 65_507;
const HUGE_SLOTS = 8;

/** Events of BEP 15, in the order of a download. */
const DOWNLOAD = [
  { event: 2, left: 1 },
  { event: 1, left: 0 },
  { event: 3, left: 0 },
];

/**
 * Starts a flood from 127.0.0.66, which ends early when `enough` resolves; resolves to the number
 * of datagrams sent.
 */
export async function flood(
  port: number,
  seconds: number,
  kind: FloodKind,
  enough?: Promise<unknown>,
): Promise<number> {
  const child = Bun.spawn([process.execPath, import.meta.path, `${port}`, `${seconds}`, kind], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  void enough?.then(() => child.stdin.end());
  return Number(await new Response(child.stdout).text());
}

if (import.meta.main) {
  const [port, seconds, kind] = process.argv.slice(2);
  console.log(await send(Number(port), Number(seconds), kind as FloodKind));
  process.exit(0); // Its input is still being read.
}

async function send(port: number, seconds: number, kind: FloodKind): Promise<number> {
  const source = "127.0.0.66";
  using asking = await openDatagrams("127.0.0.1", port, source);
  const connectionId = await connectBesideOthers(asking);
  const socket = await Bun.udpSocket({ hostname: source, socket: { data() {}, error() {} } });
  const slots = kind === "huge" ? HUGE_SLOTS : SLOTS;
  const datagrams = Array.from({ length: slots }, () => {
    if (kind === "huge") return hugeScrape(connectionId);
    if (kind === "garbage") return randomBytes(Math.floor(Math.random() * 200));
    if (kind === "connects") return connectRequest(randomBytes(4));
    return announceRequest({ connectionId, infoHash: randomBytes(20), port: 1 });
  });
  const deadline = performance.now() + seconds * 1000;
  let enough = false;
  void Bun.stdin.text().then(() => (enough = true));
  let sent = 0;
  while (performance.now() < deadline && !(enough && sent >= SENT_MIN)) {
    const batch: (Uint8Array | number | string)[] = [];
    for (let i = 0; i < BATCH; i++) {
      const datagram = datagrams[(sent + i) % slots]!;
      if (kind === "hashes") new DataView(datagram.buffer).setUint32(20, sent + i);
      if (kind === "downloads") setDownload(datagram, sent + i);
      if (kind === "ports") crypto.getRandomValues(datagram.subarray(96, 98));
      batch.push(datagram, port, "127.0.0.1");
    }
    try {
      sent += socket.sendMany(batch);
    } catch {
      // An error about an earlier datagram; the flood goes on.
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.close();
  return sent;
}

/** A connection id, though another flood may make the tracker's socket drop what is asked. */
async function connectBesideOthers(asking: Datagrams): Promise<Uint8Array> {
  for (let left = CONNECTS_MAX; ; left--) {
    try {
      return await asking.connect(CONNECT_MILLISECONDS);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

/** The step of a download that has number `i`: each slot goes through all of them in turn. */
function setDownload(datagram: Uint8Array, i: number): void {
  const round = Math.floor(i / SLOTS);
  const { event, left } = DOWNLOAD[round % DOWNLOAD.length]!;
  const view = new DataView(datagram.buffer);
  view.setUint32(20, Math.floor(round / DOWNLOAD.length) * SLOTS + (i % SLOTS));
  view.setBigUint64(64, BigInt(left));
  view.setUint32(80, event);
}

/** A scrape with a good id, whose hashes go on for as long as a datagram can. */
function hugeScrape(connectionId: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(HUGE_BYTES).fill(7);
  datagram.set(connectionId);
  datagram.set([0, 0, 0, 2], 8);
  return datagram;
}
