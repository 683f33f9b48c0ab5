/**
 * Load over HTTPS and WebSocket, with and without TLS: what `costs.ts` measures the tracker with.
 *
 *   bun test/bench/tls-load.ts --port 6969 --pid PID --mode https --keep 0 --seconds 5
 *   bun test/bench/tls-load.ts --port 6969 --pid PID --mode cycles --tls 1 --offers 5
 *
 * Modes: `https` announces, over a new connection each or over kept ones; `joins` opens WebSockets,
 * announces once over each and closes it; `cycles` announces over open ones with offers, each of
 * which is answered; `idle` tells the memory of the process for each open one.
 *
 * The clients are those of the runtime, which cost more than what they measure: so it is the
 * processor time of the process `pid` that counts, and never the rate.
 */
import { readOptions, type Report, showReport } from "./options.ts";
import { cpuSeconds, residentBytes } from "./processes.ts";

const options = readOptions({
  host: "127.0.0.1",
  port: 6969,
  pid: 0,
  mode: "https",
  tls: 0,
  keep: 0,
  seconds: 5,
  /** Connections, or WebSockets, at a time. */
  connections: 64,
  /** Cycles under way. */
  window: 32,
  offers: 5,
  sdp: 2000,
  swarms: 50,
  settle: 10,
});
const { host, port, pid, mode, tls, offers } = options;

const WAIT_MILLISECONDS_MAX = 10_000;
const SDP = `v=0\r\n${"a=candidate:1 1 udp 2113937151 192.0.2.77 50000 typ host\r\n".repeat(99)}`;

const wordOf = (kind: string, n: number): string => kind + String(n).padStart(19, "0");

// HTTPS.

function requestOf(n: number, keep: boolean): string {
  const query = `info_hash=${wordOf("h", n % 1000)}&peer_id=${wordOf("-", n)}&port=6881`;
  const end = keep ? "\r\n" : "Connection: close\r\n\r\n";
  const path = `/announce?${query}&uploaded=0&downloaded=0&left=1&numwant=50&compact=1`;
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Transmission/3.00\r\n${end}`;
}

/** Announces over one connection until `until`, or once; resolves to the number of answers. */
function converse(n: number, keep: boolean, until: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let answered = 0;
  void Bun.connect({
    hostname: host,
    port,
    tls: tls === 0 ? false : { rejectUnauthorized: false },
    socket: {
      open: (socket) => void (tls === 0 && socket.write(requestOf(n, keep))),
      handshake: (socket) => void socket.write(requestOf(n, keep)),
      data(socket) {
        answered += 1;
        if (keep && performance.now() < until) socket.write(requestOf(n + answered * 64, true));
        // The answer says that the connection ends, so nothing more comes.
        else socket.end();
      },
      close: () => resolve(answered),
      error: () => resolve(answered),
      connectError: () => resolve(answered),
    },
  });
  return promise;
}

async function announceOverHttps(until: number): Promise<number> {
  let answered = 0;
  const lane = async (n: number): Promise<void> => {
    while (performance.now() < until) {
      const more = await converse(n, options.keep !== 0, until);
      answered += more;
      n += options.connections;
    }
  };
  await Promise.all(Array.from({ length: options.connections }, (_, n) => lane(n)));
  return answered;
}

// WebSocket.

interface Browser {
  number: number;
  socket: WebSocket;
  replied: () => void;
  /** Answers that its offers lack. */
  lacks: number;
}

function say({ socket, number }: Browser, message: object): void {
  const hash = wordOf("h", number % options.swarms);
  const ids = { info_hash: hash, peer_id: wordOf("-", number) };
  socket.send(JSON.stringify({ action: "announce", ...ids, ...message }));
}

/** Opens a WebSocket and announces over it. */
async function join(number: number): Promise<Browser> {
  const url = `${tls === 0 ? "ws" : "wss"}://${host}:${port}/announce`;
  const socket = new WebSocket(url, { tls: { rejectUnauthorized: false } } as never);
  const joined = Promise.withResolvers<void>();
  const browser: Browser = { number, socket, replied: joined.resolve, lacks: 0 };
  socket.onerror = () => joined.reject(new Error("a WebSocket was refused"));
  socket.onmessage = ({ data }) => take(browser, JSON.parse(String(data)) as Said);
  socket.onopen = () => say(browser, { event: "started", left: number % 4, numwant: 0 });
  await joined.promise;
  return browser;
}

interface Said {
  offer?: object;
  answer?: object;
  offer_id?: string;
  peer_id?: string;
  "failure reason"?: string;
}

function take(browser: Browser, said: Said): void {
  if (said["failure reason"] !== undefined) throw new Error(said["failure reason"]);
  if (said.offer !== undefined) {
    const answer = { type: "answer", sdp: SDP.slice(0, options.sdp) };
    say(browser, { to_peer_id: said.peer_id, offer_id: said.offer_id, answer });
  } else {
    if (said.answer !== undefined) browser.lacks -= 1;
    if (browser.lacks === 0) browser.replied();
  }
}

/** An announce with offers, until all are answered. */
async function cycle(browser: Browser): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  browser.replied = resolve;
  // The reply to the announce counts as well: it is the only message without offer and answer.
  browser.lacks = offers;
  say(browser, {
    left: browser.number % 4,
    numwant: offers,
    offers: Array.from({ length: offers }, (_, i) => ({
      offer_id: wordOf("o", i),
      offer: { type: "offer", sdp: SDP.slice(0, options.sdp) },
    })),
  });
  await Promise.race([promise, Bun.sleep(WAIT_MILLISECONDS_MAX)]);
}

async function joinAll(): Promise<Browser[]> {
  const browsers: Browser[] = [];
  const lane = async (first: number): Promise<void> => {
    for (let n = first; n < options.connections; n += options.window) {
      browsers.push(await join(n));
    }
  };
  await Promise.all(Array.from({ length: options.window }, (_, first) => lane(first)));
  return browsers;
}

async function runCycles(browsers: Browser[], until: number): Promise<number> {
  let [cycles, next] = [0, 0];
  const lane = async (): Promise<void> => {
    while (performance.now() < until) {
      await cycle(browsers[next++ % browsers.length]!);
      cycles += 1;
    }
  };
  await Promise.all(Array.from({ length: options.window }, lane));
  return cycles;
}

async function runJoins(until: number): Promise<number> {
  let [joins, next] = [0, 0];
  const lane = async (): Promise<void> => {
    while (performance.now() < until) {
      const { socket } = await join(next++);
      socket.close();
      joins += 1;
    }
  };
  await Promise.all(Array.from({ length: options.window }, lane));
  return joins;
}

/** The report of what `work` counts until the time is over. */
async function measured(work: (until: number) => Promise<number>): Promise<Report> {
  const [cpu, start] = [cpuSeconds(pid), performance.now()];
  const count = await work(start + options.seconds * 1000);
  if (count === 0) throw new Error("nothing was answered");
  const seconds = (performance.now() - start) / 1000;
  return { rps: count / seconds, cpu_us: ((cpuSeconds(pid) - cpu) * 1e6) / count, seconds };
}

async function run(): Promise<Report> {
  if (mode === "https") return measured(announceOverHttps);
  if (mode === "joins") return measured(runJoins);
  const before = residentBytes(pid);
  const browsers = await joinAll();
  if (mode === "cycles") return measured((until) => runCycles(browsers, until));
  await Bun.sleep(options.settle * 1000);
  return { kib_each: (residentBytes(pid) - before) / browsers.length / 1024 };
}

console.log(showReport(await run()));
process.exit(0);
