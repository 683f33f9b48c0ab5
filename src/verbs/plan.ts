/**
 * `buntracker plan`: what a tracker of a given size needs.
 *
 *   peers ÷ interval ─► announces a second ─┬─► requests, packets, bits     plan-traffic.ts
 *                                           ├─► processor time, workers     ┐ measured
 *   peers × bytes of a peer ────────────────┴─► memory                      ┘ (bench-figures.ts)
 *
 * Everything is a mean: at the start of a wave of clients, or when another tracker fails, more come
 * at once. So what is to be set has room above the mean.
 */
import { MEMORY_BYTES_CEILING, MEMORY_BYTES_MIN, WORKERS_MAX } from "../config/schema.ts";
import { FAMILIES, type Family, STRANGERS_MAX } from "../constants.ts";
import { bytesAt, type Figures } from "./bench-figures.ts";
import { bitsOf, clusterBits, packetsOf, type PlannedTransport } from "./plan-traffic.ts";
import type { Ways } from "./plan-traffic.ts";

/** What a plan is asked for. */
export interface Question {
  /** All of them, those in browsers too. */
  peers: number;
  announcesPerSecond: number;
  intervalSeconds: number;
  /** Between two announces over a WebSocket. */
  websocketIntervalSeconds: number;
  swarms: number;
  /** Announces a second by transport. */
  announces: Record<PlannedTransport, number>;
  /** Shares that add up to 1. */
  families: Record<Family, number>;
  nodes: number;
  /** Peers in a reply. */
  numwant: number;
}

/** What one tracker, or all of them together, must carry. */
export interface Load {
  peers: number;
  announces_per_second: number;
  udp_requests_per_second: number;
  http_requests_per_second: number;
  websockets: number;
  websocket_announces_per_second: number;
  packets_per_second: Ways;
  bits_per_second: Ways;
  processor_cores: { udp: number; http: number; websocket: number };
  /** For all threads together, with room for waves. */
  processors: number;
  /** Of the event loop and of each worker: 1 is all of it. */
  used: { event_loop: number; udp: number; http: number };
  udp_workers: number;
  /** None if the event loop answers HTTP as well. */
  http_workers: number;
  memory_bytes: { swarms: number; memory_max: number; process: number };
  open_files: number;
  udp_receive_buffer_bytes: number;
  dns_queries_per_second: number;
  /** What one tracker of a cluster tells the others and hears of them. */
  cluster?: {
    deltas_per_second: Ways;
    bits_per_second: Ways;
    processor_cores: { tracker: number; nats_server: number };
  };
}

/** The plan: for all, and where there are several trackers for one, and for one if one is away. */
export interface Plan {
  all: Load;
  node?: Load;
  node_while_one_is_away?: Load;
  /** Of this machine, if it was measured. */
  processors_here?: number;
}

const MIB = 2 ** 20;
const KIB = 2 ** 10;

/** A client asks for a connection id and then announces. [BEP 15] */
const UDP_REQUESTS = 2;

/** Share of a thread that is used at most: the rest is for waves, when latencies would grow. */
export const THREAD_SHARE_MAX = 0.6;
/** Swarms without peers hold an eighth of the memory, and waves of new swarms need room. */
const MEMORY_ROOM = 1.25;
const MEMORY_STEP = 16 * MIB;

/** A client may leave its connection open for as long as the server does. */
const CONNECTION_SECONDS = 30;
export const CONNECTIONS_MAX = 65_536;
/** Connections of a proxy, and files beside connections. */
const PROXY_CONNECTIONS = 1024;
const FILES_BESIDE = 100;
/** With HTTP workers each connection has three, as they may pass it on (start/open-files.ts). */
const FILES_PASSED = 3;
/** Those of a thread, and two sockets while a certificate is renewed. */
const FILES_OF_WORKER = 4;
/**
 * A worker passes the bytes of a WebSocket over TLS on to the event loop, and takes as much more of
 * what it costs: measured 0.86 to 0.95 (docs/how-it-is-built.md).
 */
const PASSED_ON = 0.95;
/** How long a browser is taken to stay before another one comes. */
export const BROWSER_SECONDS = 600;

/** What a waiting datagram takes of the buffer; Linux grants twice what is set. Measured: 832. */
const WAITING_DATAGRAM_BYTES = 832 / 2;
/** For how long requests may wait unread: fifty times the longest turn that was measured. */
const BUFFER_SECONDS = 0.25;
const BUFFER_BYTES_DEFAULT = 4 * MIB;
/** The most that the tracker takes as TRACKER_UDP_RECEIVE_BUFFER. */
const BUFFER_BYTES_MAX = 1024 * MIB;

/**
 * Queries at the name servers for each announce: resolvers answer the others from their caches. The
 * authors of opentracker had 5 GB of DNS a day with 8,500 requests a second, 6.8 bytes each; a
 * query with its answer has some 150.
 */
const DNS_QUERIES = 6.8 / 150;

/** Makes the plan. */
export function makePlan(question: Question, figures: Figures): Plan {
  const { nodes } = question;
  const { processors } = figures;
  const here = processors === undefined ? {} : { processors_here: processors };
  const all = loadOf(question, 1, figures, 0);
  if (nodes === 1) return { all, ...here };
  return {
    all,
    ...here,
    node: nodeOf(question, nodes, figures),
    node_while_one_is_away: nodeOf(question, nodes - 1, figures),
  };
}

/** The load of one tracker, if the clients are spread evenly over all `trackers`. */
function nodeOf(question: Question, trackers: number, figures: Figures): Load {
  const others = trackers - 1;
  // Each announce is told, but not those of browsers, whose swarms are each tracker's own.
  const { ws, wss } = question.announces;
  const told = (question.announcesPerSecond - ws - wss) / trackers;
  const deltas = { in: others * told, out: told };
  const { heardMicros, toldMicros, serverMicros } = figures.cluster;
  const tracker = (deltas.in * heardMicros + deltas.out * toldMicros) / 1e6;
  // A server beside each tracker: what it tells goes to each other server, and comes from each.
  const nats = ((deltas.in + deltas.out * others) * serverMicros) / 1e6;
  return {
    ...loadOf(question, trackers, figures, tracker),
    cluster: {
      deltas_per_second: deltas,
      bits_per_second: clusterBits(deltas, others, question.families),
      processor_cores: { tracker, nats_server: nats },
    },
  };
}

/**
 * The load of one tracker, where `trackers` share the requests. It stores the peers of all of them,
 * and only its own browsers.
 * `clusterCores` is what the event loop needs for the other trackers.
 */
function loadOf(
  question: Question,
  trackers: number,
  figures: Figures,
  clusterCores: number,
): Load {
  const { families, numwant, websocketIntervalSeconds } = question;
  const announces = { ...question.announces };
  for (const name of Object.keys(announces) as PlannedTransport[]) announces[name] /= trackers;
  const { http, https, proxied, ws, wss } = announces;
  const browsers = { ws: ws * websocketIntervalSeconds, wss: wss * websocketIntervalSeconds };
  const websockets = browsers.ws + browsers.wss;
  const joins = { ws: browsers.ws / BROWSER_SECONDS, wss: browsers.wss / BROWSER_SECONDS };
  const stored = question.peers - websockets * trackers;
  const udp = udpOf(announces.udp * UDP_REQUESTS, families, figures);
  const wsCores = (ws * figures.ws.cycleMicros + joins.ws * figures.ws.joinMicros) / 1e6;
  const wssCores = (wss * figures.wss.cycleMicros + joins.wss * figures.wss.joinMicros) / 1e6;
  const loopCores = wsCores + wssCores + clusterCores;
  const web = httpOf(announces, { loopCores, wssCores }, figures);
  const webSocketCores = wsCores + wssCores + web.passedCores;
  const connections = Math.min(
    CONNECTIONS_MAX,
    (http + https) * CONNECTION_SECONDS + (proxied > 0 ? PROXY_CONNECTIONS : 0),
  );
  const files = web.workers > 0 ? FILES_PASSED : 1;
  const rate = question.announcesPerSecond / trackers;
  const traffic = { announces, joins, families, numwant };
  return {
    peers: stored + websockets,
    announces_per_second: rate,
    udp_requests_per_second: udp.requests,
    http_requests_per_second: http + https + proxied,
    websockets,
    websocket_announces_per_second: ws + wss,
    packets_per_second: packetsOf(traffic),
    bits_per_second: bitsOf(traffic),
    processor_cores: { udp: udp.cores, http: web.cores, websocket: webSocketCores },
    processors: threadsFor(udp.cores + web.cores + webSocketCores + clusterCores),
    used: { event_loop: web.loopUsed + loopCores, udp: udp.used, http: web.used },
    udp_workers: udp.workers,
    http_workers: web.workers,
    memory_bytes: memoryOf(question, stored, browsers, figures),
    open_files:
      Math.ceil(connections + websockets) * files + FILES_BESIDE + filesOfWorkers(web.workers),
    udp_receive_buffer_bytes: udp.bufferBytes,
    dns_queries_per_second: rate * DNS_QUERIES,
  };
}

/** How many threads do this much work, in that of one, with room for waves. */
function threadsFor(work: number): number {
  return Math.max(1, Math.ceil(work / THREAD_SHARE_MAX));
}

/** Files of HTTP workers, beside connections. */
function filesOfWorkers(workers: number): number {
  return workers > 0 ? STRANGERS_MAX + workers * FILES_OF_WORKER : 0;
}

function udpOf(requests: number, families: Question["families"], { udp, twoWorkers }: Figures) {
  const micros = families[4] * udp[4].micros + families[6] * udp[6].micros;
  const alone = requests * (families[4] / udp[4].rate + families[6] / udp[6].rate);
  const dearer = threadsFor(alone) > 1 ? twoWorkers.udp : 1;
  const workers = threadsFor(alone * dearer);
  const waiting = Math.ceil((requests * BUFFER_SECONDS * WAITING_DATAGRAM_BYTES) / MIB) * MIB;
  return {
    requests,
    cores: (requests * micros * dearer) / 1e6,
    used: (alone * dearer) / workers,
    workers,
    bufferBytes: Math.min(BUFFER_BYTES_MAX, Math.max(BUFFER_BYTES_DEFAULT, waiting)),
  };
}

/** Announces over HTTP: in the event loop, or in workers if it would be too busy with them. */
function httpOf(
  { http, https, proxied }: Question["announces"],
  { loopCores, wssCores }: { loopCores: number; wssCores: number },
  figures: Figures,
) {
  const plainUsed = http / figures.http.rate + proxied / figures.kept.rate;
  const secureUsed = https / figures.https.rate;
  const alone = plainUsed + secureUsed;
  const threaded = alone > 0 && alone + loopCores > THREAD_SHARE_MAX;
  const dearer = threaded ? figures.twoWorkers : { http: 1, https: 1 };
  const plainMicros = http * figures.http.micros + proxied * figures.kept.micros;
  const secureMicros = https * figures.https.micros;
  const cores = (plainMicros * dearer.http + secureMicros * dearer.https) / 1e6;
  if (!threaded) return { cores, passedCores: 0, workers: 0, used: 0, loopUsed: alone };
  const passedCores = wssCores * PASSED_ON;
  const work = plainUsed * dearer.http + secureUsed * dearer.https + passedCores;
  const workers = threadsFor(work);
  return { cores, passedCores, workers, used: work / workers, loopUsed: 0 };
}

/** Peers in browsers are objects of their own beside the memory for swarms. */
function memoryOf(
  { swarms, families }: Question,
  stored: number,
  browsers: { ws: number; wss: number },
  { peerBytes, idleBytes, ws, wss }: Figures,
) {
  const peersEach = Math.max(1, stored / Math.max(1, swarms));
  const bytes = FAMILIES.reduce(
    (sum, family) => sum + stored * families[family] * bytesAt(peerBytes[family], peersEach),
    0,
  );
  const wanted = Math.ceil((bytes * MEMORY_ROOM) / MEMORY_STEP) * MEMORY_STEP;
  const open = KIB * (browsers.ws * ws.idleKib + browsers.wss * wss.idleKib);
  return {
    swarms: Math.round(bytes),
    memory_max: Math.max(MEMORY_BYTES_MIN, wanted),
    process: Math.round(bytes + open + idleBytes),
  };
}

/** Sentences about what one tracker cannot carry; none if the plan fits. */
export function excesses(plan: Plan): string[] {
  const { all, node_while_one_is_away: spare, processors_here: processors = Infinity } = plan;
  const load = spare ?? all;
  const whose = spare === undefined ? "one tracker" : "a tracker while another one is away";
  const threads = `${WORKERS_MAX} at most`;
  const said: string[] = [];
  if (!fitsMemory(load)) {
    const ceiling = `${MEMORY_BYTES_CEILING / MIB}MiB at most`;
    said.push(`the peers are more than ${whose} stores: TRACKER_MEMORY_MAX is ${ceiling}`);
  }
  if (!fitsWorkers(load)) {
    said.push(`UDP needs more threads than ${whose} has: TRACKER_UDP_WORKERS is ${threads}`);
  }
  if (!fitsHttpWorkers(load)) {
    said.push(`HTTP needs more threads than ${whose} has: TRACKER_HTTP_WORKERS is ${threads}`);
  }
  if (load.processors > processors) {
    said.push(`${whose} needs ${load.processors} processors, and this machine has ${processors}`);
  }
  if (!fitsConnections(load)) {
    const ceiling = `${CONNECTIONS_MAX} connections are open at most`;
    said.push(`the browsers are too many for ${whose}: ${ceiling}`);
  }
  if (load.used.event_loop > THREAD_SHARE_MAX) {
    said.push(
      `the event loop, which has WebSockets and the cluster, is too busy in ${whose}, ` +
        `${showShare(load.used.event_loop)}: longer intervals or more trackers help`,
    );
  }
  return said;
}

/** Whether the tracker would take the memory that the plan wants. */
export function fitsMemory({ memory_bytes: { memory_max: wanted } }: Load): boolean {
  return wanted <= MEMORY_BYTES_CEILING;
}

/** Whether it would take as many UDP workers. */
export function fitsWorkers({ udp_workers: workers }: Load): boolean {
  return workers <= WORKERS_MAX;
}

/** Whether it would take as many HTTP workers. */
export function fitsHttpWorkers({ http_workers: workers }: Load): boolean {
  return workers <= WORKERS_MAX;
}

/** Whether it would hold as many WebSockets. */
export function fitsConnections({ websockets }: Load): boolean {
  return websockets <= CONNECTIONS_MAX;
}

/** A share of a thread in percent; from ten threads on as how many times one. */
export function showShare(share: number): string {
  return share < 10 ? `${Math.round(share * 100)} %` : `${Math.round(share)} times`;
}
