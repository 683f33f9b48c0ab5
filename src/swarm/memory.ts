/**
 * Where everything the swarms know lies: shared buffers, reserved once and never grown.
 *
 * The sizes follow from one number, the ceiling. Pages that were never used cost nothing, so the
 * reservation is a ceiling and not a bill.
 *
 *   arena        pages of 8 KiB, each owned by one shard; blocks of swarms and peers (see arena.ts)
 *   pages        three 32-bit words for each page: the next page of its list, live and used bytes
 *   index        one region for each shard: info hash -> block (see table.ts); behind them
 *     emptySwarms  the swarms without peers of each shard, oldest first (see empty-swarms.ts)
 *     holdings     how many peers addresses and networks have stored (see holdings.ts)
 *     completions  the downloads that were counted last (see completions.ts)
 *     claims       peers under another address than theirs, if any may be (see claims.ts)
 *   shards       16 words for each shard, one cache line, plus one line for the pool of free pages
 *   totals       eight 64-bit floats for each shard, one cache line: what only grows
 *
 * What is not touched costs nothing only in large buffers: of some MiB, the runtime may take memory
 * that was in use before, and clears it. So what is small lies behind what is large.
 *
 * A shard is everything whose info hashes begin, after keyed mixing, with the same eight bits. Its
 * lock word guards its lines, its region of the index and its pages. One thread needs no lock.
 */
import { META_TICK } from "./blocks.ts";
import { HASH_KEY_WORDS } from "./keyed-hash.ts";
import { Ticks } from "./ticks.ts";
import type { Line } from "./units.ts";

export const SHARD_BITS = 8;
export const SHARD_COUNT = 1 << SHARD_BITS;

export const PAGE_SIZE = 8192;
export const PAGE_SHIFT = 13;

/** Offsets are kept in signed 32-bit numbers, which the JIT compiler handles best. */
const BUFFER_BYTES_MAX = 2 ** 31 - PAGE_SIZE;

/**
 * The most of the ceiling that goes to the index; as a power of two it may be half of that. A swarm
 * takes 36 bytes of arena at least and, of an index that is full, 4.4: about a tenth.
 */
const INDEX_SHARE = 1 / 5;

/** The part of the ceiling that lists swarms without peers, and the bytes of an entry there. */
const EMPTY_SWARMS_SHARE = 1 / 36;
export const EMPTY_SWARM_WORDS = 2;

/** Cells of the count-min sketches; 512 KiB together. See holdings.ts for their errors. */
export const ADDRESS_CELLS = 2 ** 16;
export const NETWORK_CELLS = 2 ** 16;
/** Downloads that are remembered, so that none counts twice: 256 KiB. */
export const COMPLETION_CELLS = 2 ** 16;

/**
 * The part of the ceiling for claims, where there may be any, the bytes of each and the most in a
 * shard: some are looked through for each claim that is new, 4096 in 6 microseconds.
 */
const CLAIMS_SHARE = 1 / 16;
export const CLAIM_BYTES = 40;
const CLAIM_SLOTS_MAX = 4096;

/** Pages that only moving blocks may take, so that a full arena can still be tidied. */
export const PAGES_RESERVED = 64;
/** The same while a tracker's own swarms are put back, by one thread. */
export const PAGES_RESERVED_RESTORING = 4;

/** Memory is tight when fewer pages than this part of all are free. */
export const TIGHT_SHARE = 1 / 4;

/** The last pages are for swarms with fewer peers than this. */
export const FEW_PEERS = 16;

/** How many pages that are: a sixteenth, but one for each shard if an eighth is enough for that. */
export function pagesForFew(pages: number): number {
  return Math.floor(Math.max(pages / 16, Math.min(SHARD_COUNT, pages / 8)));
}

// Words of a shard's line.
export const SHARD_WORDS = 16;
export const SHARD_LOCK = 0;
export const SHARD_SWARMS = 1;
export const SHARD_INDEX_BITS = 2;
export const SHARD_OPEN_PAGE = 3;
export const SHARD_OPEN_USED = 4;
export const SHARD_CLOSED_PAGES = 5;
export const SHARD_CLOSED_COUNT = 6;
export const SHARD_CLOSED_LIVE = 7;
export const SHARD_SEEDERS_IPV4 = 8;
export const SHARD_LEECHERS_IPV4 = 9;
export const SHARD_SEEDERS_IPV6 = 10;
export const SHARD_LEECHERS_IPV6 = 11;
/** Swarms without peers, and the region of the list of them: its first entry, its entries. */
export const SHARD_EMPTY_SWARMS = 12;
export const SHARD_EMPTY_FIRST = 13;
export const SHARD_EMPTY_LISTED = 14;
export const SHARD_CLAIMS = 15;

// Totals of a shard: what only grows, and so needs more than a word. Floats are exact to 2^53.
export const SHARD_TOTALS = 8;
export const TOTAL_DOWNLOADS = 0;
export const TOTAL_EXPIRED = 1;
/** One for each reason not to store a peer; the reasons are numbered from 1. */
export const TOTAL_NOT_STORED = 2;

/** Where the totals of the shard begin whose line is `line`. */
export function totalsOf(line: Line): number {
  return (line / SHARD_WORDS) * SHARD_TOTALS;
}

// Words of the pool's line, which follows the last shard's.
export const POOL = SHARD_COUNT * SHARD_WORDS;
export const POOL_LOCK = POOL + 0;
/** Free pages that were in use before, as a list through `pages`, and how many they are. */
export const POOL_FREE = POOL + 1;
export const POOL_FREE_COUNT = POOL + 5;
/** Those of them whose memory the system has got back, as another list. */
export const POOL_BLANK = POOL + 6;
/** Pages below this one have been in use; the others were never touched. */
export const POOL_FRESH = POOL + 2;
export const POOL_AVAILABLE = POOL + 3;
/** Age in ticks up to which peers are kept at this time. */
export const POOL_PEER_LIFETIME = POOL + 4;
/** 1 after a peer was not stored for lack of memory, until `takeShortage` is called. */
export const POOL_SHORT = POOL + 7;

/** Settings that decide how swarms are stored. */
export interface SwarmSettings {
  /** Ceiling for all buffers together, in bytes. */
  memoryMax: number;
  /** Seconds after its last announce at which a peer is removed. */
  peerTimeout: number;
  /** The longest that `setPeerTimeout` may make of that; the same if absent. */
  peerTimeoutMax?: number;
  /** Seconds for which a swarm without peers keeps its download counter. */
  downloadsTimeout: number;
  /** The time since 1970 when the clock of the callers showed 0; 0 if absent. See ticks.ts. */
  startedSeconds?: number;
  /** True if several threads use the swarms, and so must lock. */
  threads: boolean;
  /** Peers a swarm stores at most; no limit if absent. */
  peersPerSwarmMax?: number;
  /** Peers of one address (IPv6: of one /64) that a swarm stores at most; no limit if absent. */
  peersPerAddressMax?: number;
  /** An address with this number of stored peers begins no more swarms; no limit if absent. */
  swarmsPerAddressMax?: number;
  /** True if peers may be stored under another address than they come from. */
  claims?: boolean;
  /**
   * True for what puts a tracker's own swarms back: they were stored before, so what newcomers must
   * leave to others is theirs, and what their addresses may begin is not asked.
   */
  restoring?: boolean;
}

/** The buffers and what is needed to read them; can be posted to a worker as it is. */
export interface SwarmMemory {
  arena: SharedArrayBuffer;
  pages: SharedArrayBuffer;
  index: SharedArrayBuffer;
  shards: SharedArrayBuffer;
  totals: SharedArrayBuffer;
  /** Where the parts of `index` behind the regions begin, in bytes. */
  emptySwarmsAt: number;
  holdingsAt: number;
  completionsAt: number;
  claimsAt: number;
  /** Secret multipliers of the keyed hash; attackers can choose info hashes and addresses. */
  keys: Int32Array;
  /** Entries in one shard's region of the index: a power of two. */
  indexRegionBits: number;
  settings: SwarmSettings;
}

/**
 * Reserves memory for swarms. Throws a RangeError if the system refuses the reservation.
 *
 * `keys` are random numbers from the system's generator (tests pass fixed ones).
 */
export function reserveSwarmMemory(
  settings: SwarmSettings,
  keys: Int32Array = crypto.getRandomValues(new Int32Array(HASH_KEY_WORDS)),
): SwarmMemory {
  const indexWords = (settings.memoryMax * INDEX_SHARE) / Int32Array.BYTES_PER_ELEMENT;
  const indexRegionBits = Math.floor(Math.log2(indexWords / SHARD_COUNT));
  const indexBytes = SHARD_COUNT * 2 ** indexRegionBits * Int32Array.BYTES_PER_ELEMENT;
  const holdingsBytes = (ADDRESS_CELLS + NETWORK_CELLS) * Int32Array.BYTES_PER_ELEMENT;
  const completionsBytes = COMPLETION_CELLS * Int32Array.BYTES_PER_ELEMENT;
  const emptyBytesOfShard = EMPTY_SWARM_WORDS * Int32Array.BYTES_PER_ELEMENT;
  const emptyBytes =
    SHARD_COUNT *
    emptyBytesOfShard *
    Math.floor((settings.memoryMax * EMPTY_SWARMS_SHARE) / SHARD_COUNT / emptyBytesOfShard);
  const claimsBytes = settings.claims === true ? claimBytesFor(settings.memoryMax) : 0;
  const beside = indexBytes + holdingsBytes + completionsBytes + emptyBytes + claimsBytes;
  const arenaBytes = Math.min(settings.memoryMax - beside, BUFFER_BYTES_MAX);
  const pageCount = Math.floor(arenaBytes / PAGE_SIZE);
  const memory = {
    arena: new SharedArrayBuffer(pageCount * PAGE_SIZE),
    pages: new SharedArrayBuffer(pageCount * PAGE_WORDS * Int32Array.BYTES_PER_ELEMENT),
    index: new SharedArrayBuffer(beside),
    shards: new SharedArrayBuffer((POOL + SHARD_WORDS) * Int32Array.BYTES_PER_ELEMENT),
    totals: new SharedArrayBuffer(SHARD_COUNT * SHARD_TOTALS * Float64Array.BYTES_PER_ELEMENT),
    emptySwarmsAt: indexBytes,
    holdingsAt: indexBytes + emptyBytes,
    completionsAt: indexBytes + emptyBytes + holdingsBytes,
    claimsAt: beside - claimsBytes,
    keys,
    indexRegionBits,
    settings,
  };
  const words = new Int32Array(memory.shards);
  words[POOL_FRESH] = 1; // Page 0 stays unused: offset 0 means "none".
  words[POOL_AVAILABLE] = pageCount - 1;
  setPeerTimeout(memory, settings.peerTimeout);
  return memory;
}

/** Bytes of all tables of claims; each has a power of two of entries. */
function claimBytesFor(memoryMax: number): number {
  const slots = Math.min(CLAIM_SLOTS_MAX, (memoryMax * CLAIMS_SHARE) / CLAIM_BYTES / SHARD_COUNT);
  return SHARD_COUNT * CLAIM_BYTES * 2 ** Math.floor(Math.log2(slots));
}

/** Ticks of peers, fine enough for the longest time they may be kept. */
export function peerTicksOf(settings: SwarmSettings): Ticks {
  const { peerTimeout, peerTimeoutMax = peerTimeout, startedSeconds } = settings;
  return new Ticks(Math.max(peerTimeout, peerTimeoutMax), META_TICK, startedSeconds);
}

/** Ticks of swarms without peers. */
export const emptyTicksOf = ({ downloadsTimeout, startedSeconds }: SwarmSettings): Ticks =>
  new Ticks(downloadsTimeout, 0xff, startedSeconds);

/** From now on all threads remove peers this long after their last announce. */
export function setPeerTimeout(memory: SwarmMemory, seconds: number): void {
  const ticks = peerTicksOf(memory.settings);
  const lifetime = Math.min(ticks.lifetime, ticks.lifetimeOf(seconds));
  Atomics.store(new Int32Array(memory.shards), POOL_PEER_LIFETIME, lifetime);
}

/** True if a peer was not stored for lack of memory since the last call. */
export function takeShortage(memory: SwarmMemory): boolean {
  return Atomics.exchange(new Int32Array(memory.shards), POOL_SHORT, 0) !== 0;
}

/** Words in `pages` for each page, and what they hold. */
export const PAGE_WORDS = 3;
export const PAGE_NEXT = 0;
export const PAGE_LIVE = 1;
export const PAGE_USED = 2;
