/**
 * What addresses and networks hold: how many of their peers are stored, so that none of them fills
 * the memory.
 *
 *   address   an IPv4 address or IPv6 /64 that holds `swarmsPerAddressMax` begins no more swarms
 *   network   an IPv4 /24 or IPv6 /48 gets no more peers, while memory is tight, once it holds more
 *             than a share of what is left
 *
 * A peer is charged when it is stored and discharged when it goes; a swarm without peers that stays
 * for its download counter remains charged to the address that left it last.
 *
 * Counted in fixed memory: two count-min sketches with two cells for each key. A key is judged by
 * the smaller of its cells, so it may seem to hold more than it does (when others share both),
 * never less: with ten million peers a cell has some 300 that are not its own, where memory for as
 * many allows an address some hundred thousand. The cells are chosen by keyed hashes.
 *
 * Both cells of a key lie in one cache line, because a peer that joins mostly waits for them: two
 * lines took 90 ns where four took 230. The price is that with 10,000 keys that hold as much as
 * they may, four of 100 others seem to do the same; memory has room for 10 such addresses.
 *
 * Cells are shared by all threads and added to without a lock. A thread that answers requests in
 * batches gathers its changes and makes them together, after each batch: the processor then waits
 * for all of their cells at once. What another thread asks may come before; it sees at most a batch
 * less. What the same thread asks makes the changes first.
 */
import type { Family } from "../constants.ts";
import { hashAddress, hashNetwork, hashPlaces } from "./keyed-hash.ts";
import {
  ADDRESS_CELLS,
  NETWORK_CELLS,
  PAGE_SIZE,
  POOL_AVAILABLE,
  type SwarmMemory,
  TIGHT_SHARE,
} from "./memory.ts";

/** What a network may hold while memory is tight: this part of what is left. */
const NETWORK_SHARE = 1 / 16;
/** Cells of a cache line, 64 bytes; each key has one in either half. */
const LINE_CELLS = 16;
const HALF_CELLS = LINE_CELLS / 2;
const HALF_BITS = 3;
/** Bits of a key that choose its line, in either sketch. */
const LINE_BITS = 12;
/** What a peer takes at most: a swarm of its own, whose entry in the index is one of a few. */
const PEER_BYTES = 48;

/** Peers that `chargeMany` takes at a time: those of a swarm's own block. */
const CHARGED_MAX = 128;

/** Changes that are gathered at most: two for each request of a batch. */
const GATHERED_MAX = 128;
/** Words of each: the keys of address and network, and the change. */
const GATHERED_WORDS = 3;

export class Holdings {
  /** The key of the address that was charged or discharged last; see `chargeAddress`. */
  lastAddress = 0;
  readonly #cells: Int32Array;
  readonly #shards: Int32Array;
  readonly #keys: Int32Array;
  readonly #threads: boolean;
  readonly #peersMax: number;
  readonly #tightPages: number;
  readonly #places = new Int32Array(2 * CHARGED_MAX);
  readonly #gathered = new Int32Array(GATHERED_WORDS * GATHERED_MAX);
  /** Words of `#gathered` that wait for `settle`; -1 while changes are made at once. */
  #waiting = -1;
  /** Keeps what is read from being optimized away. */
  readonly #touched = new Int32Array(1);

  constructor(memory: SwarmMemory) {
    this.#cells = holdingCells(memory);
    this.#shards = new Int32Array(memory.shards);
    this.#keys = memory.keys;
    this.#threads = memory.settings.threads;
    const { swarmsPerAddressMax = Infinity, restoring = false } = memory.settings;
    this.#peersMax = restoring ? Infinity : swarmsPerAddressMax;
    this.#tightPages = restoring ? 0 : (memory.arena.byteLength / PAGE_SIZE) * TIGHT_SHARE;
  }

  /** From now on changes wait for `settle`, which the caller calls after each batch of requests. */
  gather(): void {
    this.#waiting = 0;
  }

  /** Makes the changes that wait, and from now on each at once. */
  gatherNoMore(): void {
    this.settle();
    this.#waiting = -1;
  }

  /** Makes the changes that wait. */
  settle(): void {
    if (this.#waiting > 0) this.#settle();
  }

  #settle(): void {
    const gathered = this.#gathered;
    const cells = this.#cells;
    const words = this.#waiting;
    // Both cells of a key lie in one line. All lines are read first: an atomic addition waits for
    // its line, and so does each that comes after it.
    let touched = 0;
    for (let i = 0; i < words; i += GATHERED_WORDS) {
      touched ^= cells[firstAddress(gathered[i])] ^ cells[firstNetwork(gathered[i + 1])];
    }
    this.#touched[0] = touched;
    for (let i = 0; i < words; i += GATHERED_WORDS) {
      this.#make(gathered[i], gathered[i + 1], gathered[i + 2]);
    }
    this.#waiting = 0;
  }

  /** True while new peers of one network must leave room for those of others. */
  get tight(): boolean {
    return this.#shards[POOL_AVAILABLE] < this.#tightPages;
  }

  /** True if the address of the peer whose halves begin at `at` may begin one more swarm. */
  mayBegin(halves: Uint16Array, at: number, family: Family): boolean {
    this.settle();
    const key = hashAddress(this.#keys, halves, at, family);
    return this.#ofAddress(key) < this.#peersMax;
  }

  /** True if its network may store one more peer; to be asked while memory is `tight`. */
  mayStore(halves: Uint16Array, at: number, family: Family): boolean {
    this.settle();
    const key = hashNetwork(this.#keys, halves, at, family);
    const cells = this.#cells;
    const held = Math.min(cells[firstNetwork(key)], cells[secondNetwork(key)]);
    const left = this.#shards[POOL_AVAILABLE] * PAGE_SIZE;
    return held * PEER_BYTES < left * NETWORK_SHARE;
  }

  /** A peer has been stored. */
  charge(halves: Uint16Array, at: number, family: Family): void {
    this.#change(halves, at, family, 1);
  }

  /** `count` peers that lie side by side have been stored, at most CHARGED_MAX. */
  chargeMany(halves: Uint16Array, at: number, family: Family, count: number): void {
    const places = this.#places;
    hashPlaces(this.#keys, halves, at, family, count, places);
    // In a loop of their own, so that the processor waits for many cells at once.
    for (let i = 0; i < 2 * count; i += 2) {
      this.#make(places[i], places[i + 1], 1);
    }
    if (count > 0) this.lastAddress = places[2 * count - 2];
  }

  /** A peer has gone. */
  discharge(halves: Uint16Array, at: number, family: Family): void {
    this.#change(halves, at, family, -1);
  }

  /** One more, or one less, for the address with a key that `lastAddress` gave. */
  changeAddress(key: number, change: number): void {
    this.#add(firstAddress(key), change);
    this.#add(secondAddress(key), change);
  }

  /** Peers, and swarms without peers, that the address of a peer holds; never too few. */
  heldByAddress(halves: Uint16Array, at: number, family: Family): number {
    this.settle();
    return this.#ofAddress(hashAddress(this.#keys, halves, at, family));
  }

  #ofAddress(key: number): number {
    return Math.min(this.#cells[firstAddress(key)], this.#cells[secondAddress(key)]);
  }

  #change(halves: Uint16Array, at: number, family: Family, change: 1 | -1): void {
    const address = hashAddress(this.#keys, halves, at, family);
    const network = hashNetwork(this.#keys, halves, at, family);
    this.lastAddress = address;
    const waiting = this.#waiting;
    if (waiting < 0) {
      this.#make(address, network, change);
      return;
    }
    const gathered = this.#gathered;
    gathered[waiting] = address;
    gathered[waiting + 1] = network;
    gathered[waiting + 2] = change;
    this.#waiting = waiting + GATHERED_WORDS;
    if (this.#waiting === gathered.length) this.#settle();
  }

  #make(address: number, network: number, change: number): void {
    this.changeAddress(address, change);
    this.#add(firstNetwork(network), change);
    this.#add(secondNetwork(network), change);
  }

  #add(cell: number, change: number): void {
    if (this.#threads) Atomics.add(this.#cells, cell, change);
    else this.#cells[cell] += change;
  }
}

/** The cells of both sketches, those of addresses first. */
export function holdingCells({ index, holdingsAt }: SwarmMemory): Int32Array {
  return new Int32Array(index, holdingsAt, ADDRESS_CELLS + NETWORK_CELLS);
}

// The lowest bits of a key choose its line, the next ones a cell in each half of that line.

const firstAddress = (key: number): number => lineOfKey(key, ADDRESS_CELLS) + inHalf(key, 0);
const secondAddress = (key: number): number => lineOfKey(key, ADDRESS_CELLS) + inHalf(key, 1);
const firstNetwork = (key: number): number =>
  ADDRESS_CELLS + lineOfKey(key, NETWORK_CELLS) + inHalf(key, 0);
const secondNetwork = (key: number): number =>
  ADDRESS_CELLS + lineOfKey(key, NETWORK_CELLS) + inHalf(key, 1);

const lineOfKey = (key: number, cells: number): number => (key * LINE_CELLS) & (cells - 1);
const inHalf = (key: number, half: 0 | 1): number =>
  half * HALF_CELLS + ((key >>> (LINE_BITS + half * HALF_BITS)) & (HALF_CELLS - 1));
