/**
 * The hot counters: how often each event happened since the start.
 *
 * A counter is one 64-bit float (exact to 2^53) in shared memory. Each thread owns a row and is its
 * only writer, so counting is an addition without a lock; a reader adds up the rows.
 *
 *           announces  scrapes  ...
 *   row 0   [   f64 ][   f64 ]  ...     event loop
 *   row 1   [   f64 ][   f64 ]  ...     first UDP worker
 *
 * Swarms and peers are not counted here: the core keeps its own census for each shard.
 */

/** The transports that requests use. */
export const TRANSPORTS = ["udp", "http", "websocket"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Reasons of the gates, which are the same for every transport. */
const OF_GATES = [
  "address",
  "query",
  "rate",
  "rule",
  "maintenance",
  "denied",
  "unlisted",
  "network",
  "client",
] as const;

const OF_WEBSOCKET = ["full", "bug", ...OF_GATES] as const;

/** Why requests are rejected: the label `reason`, by transport. See gates/verdicts.ts. */
export const REASONS = {
  udp: ["short", "magic", "action", "connection_id", ...OF_GATES],
  http: ["malformed", "not_found", "method", "forbidden", "too_many", "bug", ...OF_GATES],
  websocket: ["message", "origin", "peer_id", "unexpected_answer", "handshake", ...OF_WEBSOCKET],
} as const;
export type Reason = (typeof REASONS)[Transport][number];

/** What each transport counts besides rejected requests. */
const OF_TRANSPORT = [
  "AnnouncesIpv4",
  "AnnouncesIpv6",
  "ScrapesIpv4",
  "ScrapesIpv6",
  /** Requests over a rate limit, dropped or not. */
  "OverRateAddress",
  "OverRateNetwork",
  /** Announces over a rate limit that were answered, less those that were early. */
  "OverRateAnnounces",
  /** Early announces, with peers or without. */
  "Early",
  /** Announces of peers with an address of this machine: answered, not stored. */
  "OwnAddresses",
  "ReceivedBytes",
  "SentBytes",
] as const;

const OTHERS = [
  "udpConnectsIpv4",
  "udpConnectsIpv6",
  "udpSendFailures",
  /** How often a worker asked for datagrams, received or not: a sign of life. */
  "udpTurns",
  "httpRedirects",
  "httpStats",
  "httpFront",
  "httpFullScrapes",
  "httpFullScrapeBytes",
  "websocketAnswersIpv4",
  "websocketAnswersIpv6",
  "websocketAnswersPassed",
  /** Offers that were passed on, and those that no client may get. */
  "websocketOffers",
  "websocketOffersSkipped",
  // Announces by event, over all transports, in the order of the EVENT_ numbers.
  "eventNone",
  "eventCompleted",
  "eventStarted",
  "eventStopped",
  "eventPaused",
] as const;

export type CounterName =
  | `${Transport}${(typeof OF_TRANSPORT)[number]}`
  | `${Transport}:${Reason}`
  | (typeof OTHERS)[number];

/** Names in the order of their columns. Names of rejected requests are like `udp:short`. */
export const COUNTERS: readonly CounterName[] = [
  ...TRANSPORTS.flatMap((transport): CounterName[] => [
    ...OF_TRANSPORT.map((name) => `${transport}${name}` as const),
    ...REASONS[transport].map((reason) => `${transport}:${reason}` as const),
  ]),
  ...OTHERS,
];

/** Column of each counter: `counters.row[COUNT.udpTurns] += 1`. */
export const COUNT = Object.fromEntries(COUNTERS.map((name, column) => [name, column])) as Record<
  CounterName,
  number
>;

/** The column that counts requests which a transport rejects for a reason. */
export function rejectedColumn(transport: Transport, reason: Reason): number {
  return COUNT[`${transport}:${reason}`];
}

/** Columns a row is padded to, so that two threads never write to the same cache line. */
const ROW_COLUMNS = Math.ceil(COUNTERS.length / 8) * 8;

/** The rows of all threads, and the one this thread writes to. */
export class Counters {
  /** This thread's row; it must not write to any other. */
  readonly row: Float64Array;
  /** What another thread needs to count. */
  readonly memory: SharedArrayBuffer;
  readonly #all: Float64Array;

  /** `memory` comes from `counterMemory`; `thread` is 0 for the event loop. */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.memory = memory;
    this.#all = new Float64Array(memory);
    this.row = this.#all.subarray(thread * ROW_COLUMNS, (thread + 1) * ROW_COLUMNS);
  }

  /** The sum over all threads. The rows are not read at the same instant. */
  total(name: CounterName): number {
    let sum = 0;
    for (let at = COUNT[name]; at < this.#all.length; at += ROW_COLUMNS) sum += this.#all[at];
    return sum;
  }
}

/** Shared memory for the counters of `threads` threads. */
export function counterMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_COLUMNS * Float64Array.BYTES_PER_ELEMENT);
}
