/**
 * Swarms as JSON, for the operator and for programs: `/swarms` of the operator's address.
 *
 *   /swarms?hash=H&hash=H2…        these swarms, HASHES_MAX at most
 *   /swarms?top=100                those with the most peers, TOP_MAX at most
 *   …&addresses=yes                with peers, for requests with the token
 *
 *   {"swarms": [{
 *     "info_hash": "7e99…", "known": true,
 *     "seeders": 3, "leechers": 1, "downloads": 12,          peers of HTTP and UDP
 *     "ipv4": {"seeders": 2, "leechers": 1}, "ipv6": {…},
 *     "websocket": {"seeders": 0, "leechers": 2},            peers in browsers, if they are served
 *     "announces_per_second": 0.0133,
 *     "age_seconds": {"newest": 0, "median": 600, "oldest": 1500},   since the last announce; of
 *                                                            peers, in steps of a tick
 *     "empty_seconds": 3600,                                 only without peers: for how long
 *     "peers": [{"address": "203.0.113.9", "port": 6881, "seeder": true, "age_seconds": 45}, …]
 *   }, …]}
 *
 * Announces are not counted by swarm. Their rate is that of the peers whose last announce is five
 * minutes old at most: a peer that announced twice in that time is counted once, and one that has
 * stopped is not counted.
 *
 * Each swarm is looked at in a slice of its own, and requests are answered between slices. The list
 * of the largest ones is made at most every five seconds, whatever is asked.
 */
import type { Family } from "../constants.ts";
import { now } from "../host/clock.ts";
import { garbage } from "../host/garbage.ts";
import { runInTurns, type Sliced } from "../host/turns.ts";
import { writeAddress } from "../net/addresses.ts";
import { HASH_FORMS, readInfoHashes } from "../net/written-hashes.ts";
import { inspect, type RoleCounts, type SeenPeer, type SeenSwarm } from "../swarm/inspect.ts";
import type { Store } from "../swarm/store.ts";

/** Info hashes in a request: more are asked for with several, or with an export. */
const HASHES_MAX = 100;
/** As many as the list of the largest swarms has. */
const TOP_MAX = 100;
/** Peers in an answer, shared by its swarms: some 100 KB. */
const PEERS_MAX = 1000;
/** The time over which announces are counted, in seconds. */
const RATE_SECONDS = 300;

/** The objects that become the text, and its copies on the way out. */
const GARBAGE_PER_CHARACTER = 6;

/** The sources of the pages. */
export interface SwarmSources {
  store: Store;
  /** The info hashes of the largest swarms, in hexadecimal. */
  largest: () => Promise<readonly string[]>;
  /** Peers in browsers of an info hash; undefined where there are no WebSockets. */
  inBrowsers: (infoHash: Uint8Array) => RoleCounts | undefined;
}

/** The answer to a question about swarms: a status, and JSON or a sentence. */
export type SwarmAnswer = readonly [status: number, text: string];

/** A question: which swarms, and whether peers are asked for. */
interface Asked {
  hashes: Uint8Array[];
  top: number;
  addresses: boolean;
}

/** Answers the query of `/swarms`. That addresses need the token is judged before, in admin.ts. */
export async function answerSwarms(query: string, sources: SwarmSources): Promise<SwarmAnswer> {
  const asked = readQuery(query);
  if (typeof asked === "string") return [400, asked];
  const hashes =
    asked.top === 0
      ? asked.hashes
      : (await sources.largest()).slice(0, asked.top).map((hash) => Uint8Array.fromHex(hash));
  const peersMax = asked.addresses ? Math.floor(PEERS_MAX / Math.max(1, hashes.length)) : 0;
  const swarms = await runInTurns(lookAtAll(hashes, sources, peersMax));
  const text = JSON.stringify({ swarms });
  garbage.note(GARBAGE_PER_CHARACTER * text.length);
  return [200, text];
}

function readQuery(query: string): Asked | string {
  const hashes: Uint8Array[] = [];
  const given = new Set<string>();
  let top = 0;
  let addresses = false;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== "hash" && given.has(name)) return `${JSON.stringify(name)} is given twice`;
    given.add(name);
    if (name === "hash") {
      const read = readInfoHashes(value);
      if (read.length === 0) return `${JSON.stringify(value)} is not an info hash: ${HASH_FORMS}`;
      hashes.push(...read);
    } else if (name === "top") {
      top = /^\d{1,3}$/.test(value) ? Number(value) : 0;
      if (top < 1 || top > TOP_MAX) return `top must be a number from 1 to ${TOP_MAX}`;
    } else if (name === "addresses") {
      if (value !== "yes") return "addresses must be yes, or left out";
      addresses = true;
    } else return `${JSON.stringify(name)} is unknown: use hash, top, addresses`;
  }
  if (hashes.length > 0 === top > 0) return "ask for hash, once or several times, or for top";
  if (hashes.length > HASHES_MAX) return `ask for ${HASHES_MAX} info hashes at most`;
  return { hashes, top, addresses };
}

function* lookAtAll(
  hashes: Uint8Array[],
  { store, inBrowsers }: SwarmSources,
  peersMax: number,
): Sliced<unknown[]> {
  const swarms: unknown[] = [];
  for (const hash of hashes) {
    const seen = inspect(store, hash, now(), peersMax);
    swarms.push(describe(hash, seen, inBrowsers(hash), peersMax > 0));
    yield;
  }
  return swarms;
}

function describe(
  hash: Uint8Array,
  seen: SeenSwarm | undefined,
  websocket: RoleCounts | undefined,
  withPeers: boolean,
): unknown {
  const none = { seeders: 0, leechers: 0 };
  const [ipv4, ipv6] = [seen?.counts[4] ?? none, seen?.counts[6] ?? none];
  return {
    info_hash: hash.toHex(),
    known: seen !== undefined || (websocket?.seeders ?? 0) + (websocket?.leechers ?? 0) > 0,
    seeders: ipv4.seeders + ipv6.seeders,
    leechers: ipv4.leechers + ipv6.leechers,
    downloads: seen?.downloads ?? 0,
    ipv4,
    ipv6,
    websocket,
    announces_per_second: seen === undefined ? 0 : announceRate(seen),
    age_seconds: seen === undefined ? undefined : agesOf(seen),
    empty_seconds: seen?.emptySeconds,
    peers: withPeers ? (seen?.peers ?? []).map((peer) => describePeer(peer, seen!)) : undefined,
  };
}

/** Announces a second, from the peers of the present tick and of the whole ones before it. */
function announceRate({ ages, tickSeconds, secondsIntoTick }: SeenSwarm): number {
  const whole = Math.max(1, Math.round(RATE_SECONDS / tickSeconds));
  let peers = 0;
  for (let age = 0; age <= whole; age++) peers += ages[age] ?? 0;
  return Number((peers / (whole * tickSeconds + secondsIntoTick)).toPrecision(3));
}

/** Undefined without peers. */
function agesOf({ ages, tickSeconds }: SeenSwarm) {
  const peers = ages.reduce((sum, count) => sum + count, 0);
  if (peers === 0) return undefined;
  let met = 0;
  const median = ages.findIndex((count) => (met += count) >= peers / 2);
  return {
    newest: ages.findIndex((count) => count > 0) * tickSeconds,
    median: median * tickSeconds,
    oldest: ages.findLastIndex((count) => count > 0) * tickSeconds,
  };
}

function describePeer({ family, bytes, seeder, age }: SeenPeer, { tickSeconds }: SeenSwarm) {
  return {
    address: writeAddress(bytes, 0, family),
    port: portOf(bytes, family),
    seeder,
    age_seconds: age * tickSeconds,
  };
}

function portOf(bytes: Uint8Array, family: Family): number {
  const at = family === 4 ? 4 : 16;
  return (bytes[at] << 8) | bytes[at + 1];
}
