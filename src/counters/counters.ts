/**
 * The hot counters: what happened, how often, since the start.
 *
 * A counter is one 64-bit float (exact to 2^53) in shared memory. Every thread owns a row of its
 * own and is its only writer, so counting is an addition without a lock; whoever reads adds the
 * rows up.
 *
 *           announces  scrapes  ...
 *   row 0   [   f64 ][   f64 ]  ...     event loop
 *   row 1   [   f64 ][   f64 ]  ...     first UDP worker
 *
 * What the swarms hold is not counted here: the core keeps its own census, shard by shard.
 */

/** Names in the order of their columns; the name is also the key under which they are reported. */
export const COUNTERS = [
  // UDP requests answered, and why others were not.
  "udpConnectsIpv4",
  "udpConnectsIpv6",
  "udpAnnouncesIpv4",
  "udpAnnouncesIpv6",
  "udpScrapesIpv4",
  "udpScrapesIpv6",
  "udpErrors",
  "udpDroppedShort",
  "udpDroppedMagic",
  "udpDroppedAction",
  "udpDroppedConnectionId",
  "udpDroppedAddress",
  "udpDroppedRate",
  "udpDroppedRule",
  "udpReceivedBytes",
  "udpSentBytes",
  "udpSendFailures",
  /** How often a worker looked for datagrams, whether there were any or not: a sign of life. */
  "udpTurns",
  // Announces refused, by the rule that speaks against them: see access/access.ts.
  "udpRefusedMaintenance",
  "udpRefusedDenied",
  "udpRefusedUnlisted",
  "udpRefusedNetworks",
  "udpRefusedClients",
  // Requests over a rate limit, dropped or not; announces that came too early, refused or not.
  "udpOverRateAddress",
  "udpOverRateNetwork",
  "udpEarly",
  /** Announces over a rate limit that were answered, less those that were early. */
  "udpOverRateAnnounces",
  "udpRefusedEarly",
  "udpRefusedRule",
  /** Announces of peers with an address of this machine: answered, not stored. */
  "udpOwnAddresses",
  // HTTP requests answered, and why others were not.
  "httpAnnouncesIpv4",
  "httpAnnouncesIpv6",
  "httpScrapesIpv4",
  "httpScrapesIpv6",
  "httpFailures",
  "httpRefusedAddresses",
  "httpNotFound",
  "httpMethodNotAllowed",
  "httpRedirects",
  "httpForbidden",
  "httpTooMany",
  "httpStats",
  "httpFront",
  "httpFullScrapes",
  "httpFullScrapeBytes",
  "httpRefusedMaintenance",
  "httpRefusedDenied",
  "httpRefusedUnlisted",
  "httpRefusedNetworks",
  "httpRefusedClients",
  "httpOverRateAddress",
  "httpOverRateNetwork",
  "httpRefusedRate",
  "httpEarly",
  "httpOverRateAnnounces",
  "httpRefusedEarly",
  "httpRefusedRule",
  "httpDroppedRule",
  "httpOwnAddresses",
  "httpReceivedBytes",
  "httpSentBytes",
  // Announces by event, whatever the transport.
  "eventNone",
  "eventCompleted",
  "eventStarted",
  "eventStopped",
  "eventPaused",
] as const;

export type CounterName = (typeof COUNTERS)[number];

/** Column of each counter: `counters.row[COUNT.swarms] += 1`. */
export const COUNT = Object.fromEntries(COUNTERS.map((name, column) => [name, column])) as Record<
  CounterName,
  number
>;

/** Columns a row is padded to, so that two threads never write to the same cache line. */
const ROW_COLUMNS = Math.ceil(COUNTERS.length / 8) * 8;

/** The rows of all threads, and the one this thread writes to. */
export class Counters {
  /** This thread's row; write to nothing else. */
  readonly row: Float64Array;
  /** What another thread needs to count beside this one. */
  readonly memory: SharedArrayBuffer;
  readonly #all: Float64Array;

  /** `memory` comes from `counterMemory`; `thread` is 0 for the event loop. */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.memory = memory;
    this.#all = new Float64Array(memory);
    this.row = this.#all.subarray(thread * ROW_COLUMNS, (thread + 1) * ROW_COLUMNS);
  }

  /** The sum over all threads. Each row is read whole, but not all at one instant. */
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
