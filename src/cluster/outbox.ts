/**
 * The outbox: deltas, one for each change by an announce. The threads that answer write them; the
 * event loop reads them and sends them to the other trackers of the cluster.
 *
 *   thread 0 ──► ring ─┐                    a ring: one writer, one reader, no lock, no wait
 *   thread 1 ──► ring ─┼─► event loop         0   head     halves written so far, 32 bits
 *   thread 2 ──► ring ─┘   20 times/s        64   tail     halves taken out so far
 *                                           128   dropped  deltas that found no room
 *                                           192   2 MiB of deltas (wire.ts), by halves, in a circle
 *
 * An announce is told if it was stored and others would not know it else: the peer is new, has an
 * event or another role, or announced last in another group of four ticks (3 minutes by default).
 * So the announce after a usual interval is told, and a client in a hurry is not. The group of the
 * last tick, not the time since then: each announce moves the tick, so a peer that announces every
 * minute would never be told again. A stop is always told. A peer whose address another one claims
 * (swarm/claims.ts) is never told, as it is in no pull: a delta cannot name the owner.
 *
 * A ring that is full drops the delta and counts it; the reader then passes over a number, so that
 * others notice and ask for what they lack. 2 MiB hold a quarter of a second of announces at the
 * most that one thread answers.
 */
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STOPPED,
  INFO_HASH_SIZE,
} from "../constants.ts";
import type { AnnounceReply, AnnounceRequest } from "../swarm/requests.ts";
import type { Ticks } from "../swarm/ticks.ts";
import {
  DELTA_BYTES_IPV4,
  DELTA_BYTES_IPV6,
  DELTA_COMPLETED,
  DELTA_DOWNLOAD,
  DELTA_IPV6,
  DELTA_SEEDER,
  DELTA_STOPPED,
  deltaBytes,
} from "./wire.ts";

/** Each number of a ring has a cache line, since two threads write to them. */
const LINE_WORDS = 16;
const HEAD = 0;
const TAIL = LINE_WORDS;
const DROPPED = 2 * LINE_WORDS;
const NUMBERS_BYTES = 3 * 64;

const RING_HALVES = 2 ** 20;
const RING_MASK = RING_HALVES - 1;
const ROW_BYTES = NUMBERS_BYTES + 2 * RING_HALVES;

const INFO_HASH_HALVES = INFO_HASH_SIZE / 2;
const HALVES_IPV4 = DELTA_BYTES_IPV4 / 2;
const HALVES_IPV6 = DELTA_BYTES_IPV6 / 2;

/** Ticks of a group: a power of two. */
const GROUP_BITS = 2;

/** Memory for the rings of `threads` threads, including the event loop. */
export function outboxMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_BYTES);
}

/** The writing end of one thread, which may have several of them. */
export class Outbox {
  readonly #numbers: Int32Array;
  readonly #ring: Uint16Array;
  readonly #ticks: Pick<Ticks, "at" | "between">;

  constructor(memory: SharedArrayBuffer, thread: number, ticks: Pick<Ticks, "at" | "between">) {
    this.#numbers = numbersOf(memory, thread);
    this.#ring = ringOf(memory, thread);
    this.#ticks = ticks;
  }

  /** Call after each announce that the core has answered. */
  tell(request: AnnounceRequest, reply: AnnounceReply, nowSeconds: number): void {
    const { event, family, peerHalves } = request;
    // Others would take it for a word of the address itself, and stop or change its own peer.
    if (request.claimed) return;
    let flags = family === 6 ? DELTA_IPV6 : 0;
    if (event === EVENT_STOPPED) {
      if (peerHalves[family === 4 ? 2 : 8] === 0) return; // Port 0.
      flags |= DELTA_STOPPED;
    } else {
      if (!reply.stored || !this.#isNews(request, reply, nowSeconds)) return;
      if (request.seeder) flags |= DELTA_SEEDER;
      if (event === EVENT_COMPLETED) flags |= DELTA_COMPLETED;
    }
    this.#put(flags, request.infoHashHalves, peerHalves);
  }

  /** Tells a download of a client that is no peer of the shared swarms. */
  tellDownload(infoHashHalves: Uint16Array): void {
    this.#put(DELTA_DOWNLOAD, infoHashHalves, NO_PEER);
  }

  #isNews(request: AnnounceRequest, reply: AnnounceReply, nowSeconds: number): boolean {
    const { ticksSinceLast } = reply;
    if (ticksSinceLast < 0 || reply.roleChanged) return true;
    if (request.event !== EVENT_NONE && request.event !== EVENT_PAUSED) return true;
    // It did not renew the tick of the peer (see `earlyTicks`), so others would renew what we keep.
    if (ticksSinceLast < request.earlyTicks) return false;
    const tick = this.#ticks.at(nowSeconds);
    const last = this.#ticks.between(ticksSinceLast, tick);
    return tick >>> GROUP_BITS !== last >>> GROUP_BITS;
  }

  #put(flags: number, infoHash: Uint16Array, peer: Uint16Array): void {
    const numbers = this.#numbers;
    const ring = this.#ring;
    const halves = (flags & DELTA_IPV6) === 0 ? HALVES_IPV4 : HALVES_IPV6;
    let at = numbers[HEAD];
    if (((at - Atomics.load(numbers, TAIL)) >>> 0) + halves > RING_HALVES) {
      Atomics.store(numbers, DROPPED, (numbers[DROPPED] + 1) | 0);
      return;
    }
    ring[at++ & RING_MASK] = flags;
    for (let i = 0; i < INFO_HASH_HALVES; i++) ring[at++ & RING_MASK] = infoHash[i];
    const peerHalves = halves - INFO_HASH_HALVES - 1;
    for (let i = 0; i < peerHalves; i++) ring[at++ & RING_MASK] = peer[i];
    Atomics.store(numbers, HEAD, at | 0);
  }
}

const NO_PEER = new Uint16Array(3);

/** The reading end, of all threads. */
export class Outboxes {
  readonly #rings: { numbers: Int32Array; ring: Uint16Array }[];
  #dropped: number[];
  /** The ring that the next batch begins with: each ring is the first in turn. */
  #next = 0;

  constructor(memory: SharedArrayBuffer) {
    const threads = memory.byteLength / ROW_BYTES;
    this.#rings = Array.from({ length: threads }, (_, thread) => ({
      numbers: numbersOf(memory, thread),
      ring: ringOf(memory, thread),
    }));
    this.#dropped = this.#rings.map(() => 0);
  }

  /** Takes out whole deltas, as many as fit into `out`; returns the number of halves. */
  take(out: Uint16Array): number {
    let taken = 0;
    const count = this.#rings.length;
    for (let i = 0; i < count; i++) {
      const { numbers, ring } = this.#rings[(this.#next + i) % count];
      taken = takeFrom(numbers, ring, out, taken);
    }
    this.#next = (this.#next + 1) % count;
    return taken;
  }

  /** Deltas dropped since the last call. */
  takeDropped(): number {
    let dropped = 0;
    for (const [thread, { numbers }] of this.#rings.entries()) {
      const now = Atomics.load(numbers, DROPPED);
      dropped += (now - this.#dropped[thread]) >>> 0;
      this.#dropped[thread] = now;
    }
    return dropped;
  }

  /** True if a ring is more than half full: it must be emptied sooner than usual. */
  get hurries(): boolean {
    return this.#rings.some(({ numbers }) => filled(numbers) > RING_HALVES / 2);
  }
}

/** Copies the deltas of a ring behind the first `taken` halves of `out`; returns the new number. */
function takeFrom(numbers: Int32Array, ring: Uint16Array, out: Uint16Array, taken: number): number {
  const head = Atomics.load(numbers, HEAD);
  let at = numbers[TAIL];
  while (at !== head) {
    const halves = deltaBytes(ring[at & RING_MASK]) / 2;
    if (taken + halves > out.length) break;
    for (let i = 0; i < halves; i++) out[taken++] = ring[(at + i) & RING_MASK];
    at = (at + halves) | 0;
  }
  Atomics.store(numbers, TAIL, at);
  return taken;
}

const filled = (numbers: Int32Array): number =>
  (Atomics.load(numbers, HEAD) - Atomics.load(numbers, TAIL)) >>> 0;

const numbersOf = (memory: SharedArrayBuffer, thread: number): Int32Array =>
  new Int32Array(memory, thread * ROW_BYTES, NUMBERS_BYTES / 4);

const ringOf = (memory: SharedArrayBuffer, thread: number): Uint16Array =>
  new Uint16Array(memory, thread * ROW_BYTES + NUMBERS_BYTES, RING_HALVES);
