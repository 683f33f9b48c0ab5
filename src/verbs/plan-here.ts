/**
 * `buntracker plan --here`: what this machine carries, measured with a tracker of its own.
 *
 *   this process ──── announces over loopback ────► a tracker at free ports of 127.0.0.1
 *                ◄─── its processor time, /metrics ──
 *
 * Five seconds of UDP, connects and announces by turns, then five of HTTP, with a connection for
 * each announce. A tracker that runs on this machine already is not asked, but shares the
 * processors. What counts is the tracker's processor time for each request: what asks takes
 * processors too, so the rate it gets is less than what one thread carries, a second divided by
 * that time.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { type AddressInfo, connect, createServer } from "node:net";

import type { Figures, RequestFigures } from "./bench-figures.ts";
import { askOverHttp } from "./http-client.ts";

const HOST = "127.0.0.1";
/** How long each transport is measured. */
const MEASURE_MILLISECONDS = 5000;
const START_MILLISECONDS_MAX = 10_000;
const ASK_MILLISECONDS_MAX = 5000;

/** UDP requests under way; as many as a receive buffer of any system holds. */
const WINDOW = 128;
const LOST_MILLISECONDS = 100;
const SWARMS = 10_000;
/** Connections under way. */
const LANES = 32;

const CONNECT_SIZE = 16;
const ANNOUNCE_SIZE = 98;
const MAGIC = 0x41727101980n;

/** What was measured, by transport. */
export interface Measured {
  udp: RequestFigures;
  http: RequestFigures;
}

/** How a tracker is started: this program again, without a verb. */
export function ownCommand(): string[] {
  const { isStandaloneExecutable } = Bun as { isStandaloneExecutable?: boolean };
  return isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

/** Measures. Rejects with a sentence if no tracker starts, or if it does not answer. */
export async function measureHere(
  command: string[] = ownCommand(),
  milliseconds = MEASURE_MILLISECONDS,
): Promise<Measured> {
  const [port, admin] = [await freePort(), await freePort()];
  const tracker = Bun.spawn(command, {
    env: {
      TRACKER_UDP_ADDRESS: `${HOST}:${port}`,
      TRACKER_HTTP_ADDRESS: `${HOST}:${port}`,
      TRACKER_ADMIN_ADDRESS: `${HOST}:${admin}`,
      TRACKER_MEMORY_MAX: "64MiB",
      TRACKER_LOG_LEVEL: "error",
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    await untilAnswers(admin, tracker);
    const udp = await costOf(admin, () => askOverUdp(port, milliseconds));
    const http = await costOf(admin, () => askOverConnections(port, milliseconds));
    return { udp, http };
  } finally {
    tracker.kill();
    await tracker.exited;
  }
}

/** The figures of the results, with those that were measured here in their place. */
export function figuresHere(results: Figures, measured: Measured, processor: string): Figures {
  // What was not measured here is to what was as in the results.
  const scaled = (figures: RequestFigures, from: RequestFigures, to: RequestFigures) => ({
    micros: (figures.micros / from.micros) * to.micros,
    rate: (figures.rate / from.rate) * to.rate,
  });
  // Of what has no measurement here, the processor time is longer as that of HTTP is.
  const slower = <Costs extends object>(costs: Costs): Costs =>
    Object.fromEntries(
      Object.entries(costs).map(([name, cost]: [string, number]) => [
        name,
        name.endsWith("Micros") ? (cost / results.http.micros) * measured.http.micros : cost,
      ]),
    ) as Costs;
  return {
    ...results,
    source:
      `requests measured here, on ${processor}, over UDP of IPv4 and HTTP; the other ones in ` +
      `proportion, and memory, as ${results.source}`,
    udp: { 4: measured.udp, 6: scaled(results.udp[6], results.udp[4], measured.udp) },
    http: measured.http,
    kept: scaled(results.kept, results.http, measured.http),
    https: scaled(results.https, results.http, measured.http),
    ws: slower(results.ws),
    wss: slower(results.wss),
    cluster: slower(results.cluster),
  };
}

/** The tracker's processor time for each of the requests that `ask` counts. */
async function costOf(admin: number, ask: () => Promise<number>): Promise<RequestFigures> {
  const before = await processorSeconds(admin);
  const answered = await ask();
  const used = (await processorSeconds(admin)) - before;
  if (answered === 0 || used <= 0) throw new Error("the tracker that was started does not answer");
  const micros = (used * 1e6) / answered;
  return { micros, rate: 1e6 / micros };
}

async function processorSeconds(admin: number): Promise<number> {
  const question = { address: HOST, port: admin, host: "localhost", target: "/metrics" };
  const { body } = await askOverHttp({ ...question, timeout: ASK_MILLISECONDS_MAX });
  const text = new TextDecoder().decode(body);
  return Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1] ?? NaN);
}

async function untilAnswers(admin: number, tracker: Bun.Subprocess): Promise<void> {
  const end = performance.now() + START_MILLISECONDS_MAX;
  while (performance.now() < end && tracker.exitCode === null) {
    const question = { address: HOST, port: admin, host: "localhost", target: "/ready" };
    const answer = await askOverHttp({ ...question, timeout: 1000 }).catch(() => undefined);
    if (answer?.status === 200) return;
    await Bun.sleep(20);
  }
  throw new Error("the tracker that was started does not answer");
}

// UDP.

/** Keeps requests under way for a time; resolves to the number of answers. */
async function askOverUdp(port: number, milliseconds: number): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.connect(port, HOST, resolve));
  // A datagram to a port that nobody has: the tracker has ended, which the count shows.
  socket.on("error", () => {});
  try {
    return await exchange(socket, milliseconds);
  } finally {
    socket.close();
  }
}

function exchange(socket: UdpSocket, milliseconds: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const requests = new Requests();
  let [answered, underWay, heard] = [0, 0, performance.now()];
  const fill = (): void => {
    for (; underWay < WINDOW; underWay++) socket.send(requests.next());
  };
  socket.on("message", (reply: Buffer) => {
    requests.note(reply);
    answered += 1;
    underWay -= 1;
    heard = performance.now();
    if (underWay <= WINDOW / 2) fill();
  });
  const lost = setInterval(() => {
    if (performance.now() - heard < LOST_MILLISECONDS) return;
    underWay = 0;
    fill();
  }, LOST_MILLISECONDS);
  setTimeout(() => {
    clearInterval(lost);
    resolve(answered);
  }, milliseconds);
  fill();
  return promise;
}

/** Connects and announces by turns, as clients send them. */
class Requests {
  readonly #connect = Buffer.alloc(CONNECT_SIZE);
  readonly #announce = Buffer.alloc(ANNOUNCE_SIZE);
  #sent = 0;
  #hasId = false;

  constructor() {
    this.#connect.writeBigUInt64BE(MAGIC);
    this.#announce.writeUInt32BE(1, 8);
    this.#announce.write("-BP0001-plan-here-00", 36, "latin1");
    this.#announce.writeUInt32BE(1, 68);
    this.#announce.writeInt32BE(-1, 92);
  }

  /** A request; the bytes are copied, because they wait to be sent. */
  next(): Buffer {
    this.#sent += 1;
    if (!this.#hasId || (this.#sent & 1) === 0) return Buffer.from(this.#connect);
    const announce = this.#announce;
    announce.writeUInt32BE(this.#sent, 12);
    announce.writeUInt32BE(Math.floor(Math.random() * SWARMS), 16);
    announce.writeUInt16BE(1024 + (this.#sent & 0x7fff), 96);
    return Buffer.from(announce);
  }

  /** Takes the connection id of an answer that has one. */
  note(reply: Buffer): void {
    if (reply.length !== CONNECT_SIZE || reply.readUInt32BE(0) !== 0) return;
    reply.copy(this.#announce, 0, 8, CONNECT_SIZE);
    this.#hasId = true;
  }
}

// HTTP.

/** Announces over connections of their own for a time; resolves to the number of answers. */
async function askOverConnections(port: number, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let answered = 0;
  const lane = async (number: number): Promise<void> => {
    for (let sent = 0; performance.now() < end; sent++) {
      if (await announceOnce(port, number, sent)) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  return answered;
}

/** True if it was answered. */
function announceOnce(port: number, lane: number, sent: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const hash = `${Math.floor(Math.random() * SWARMS)}`.padStart(20, "h");
  const query = `info_hash=${hash}&peer_id=-BP0001-plan-here-00&port=${1024 + (sent & 0x7fff)}`;
  const path = `/announce?${query}&uploaded=0&downloaded=0&left=1&compact=1&key=${lane}`;
  const text = `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;
  const socket = connect({ host: HOST, port }, () => socket.write(text));
  let good = false;
  socket.setTimeout(ASK_MILLISECONDS_MAX, () => socket.destroy());
  socket.on("data", () => (good = true));
  socket.on("error", () => {});
  socket.on("close", () => resolve(good));
  return promise;
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.on("error", reject);
  server.listen(0, HOST, () => {
    const { port } = server.address() as AddressInfo;
    server.close(() => resolve(port));
  });
  return promise;
}
