/**
 * Claims: the peers that were stored under another address than the one their announce came from,
 * which only TRACKER_ALLOW_IP_PARAMETER lets in, each with the address it came from: its owner.
 *
 * Each shard has a table of its own, open addressing with linear probing. A peer without an entry
 * was stored by its own address.
 *
 *   entry   offset  size  field
 *                0     4  keyed hash of the info hash
 *                4    18  the peer, in wire format; zeros behind an IPv4 one
 *               22     2  its family | family of the owner in the upper byte; 0 for no entry
 *               24    16  address of the owner; zeros behind an IPv4 one
 *
 * The tables never grow. A claim for which there is no room is not stored; nothing else changes.
 * Without the setting they have no bytes, and no `Claims` is made. Nothing here throws or
 * allocates. The caller holds the lock of the shard.
 */
import type { Family } from "../constants.ts";
import { peerHalves } from "./blocks.ts";
import { hashInfoHash, hashPeer } from "./keyed-hash.ts";
import { CLAIM_BYTES, SHARD_CLAIMS, SHARD_COUNT, SHARD_WORDS, type SwarmMemory } from "./memory.ts";
import { copyHalves } from "./peers.ts";
import { sameAddress, sameNetwork } from "./places.ts";
import type { AnnounceRequest } from "./requests.ts";
import type { Hash, Line } from "./units.ts";

const ENTRY_WORDS = CLAIM_BYTES / 4;
const ENTRY_HALVES = CLAIM_BYTES / 2;
// Where the fields of an entry are, in halves.
const PEER = 2;
const FAMILIES = 11;
const OWNER = 12;
const FAMILY_BITS = 8;
const FAMILY_MASK = 0xff;

/** Searches are short while a table is at most so full. */
const LOAD_MAX = 3 / 4;
/**
 * Once half of a table is taken, a network gets no more of it when it has this part of what is
 * left: so no place keeps the claims of others out.
 */
const NETWORK_SHARE = 1 / 8;

export class Claims {
  /** All entries; `peerAt` and `ownerAt` tell where they have what. */
  readonly halves: Uint16Array;
  readonly #words: Int32Array;
  readonly #shards: Int32Array;
  readonly #keys: Int32Array;
  /** Entries of one shard's table, and how many of them may be taken. */
  readonly #slots: number;
  readonly #most: number;
  readonly #perAddressMax: number;

  constructor(memory: SwarmMemory) {
    const { index, claimsAt } = memory;
    this.halves = new Uint16Array(index, claimsAt);
    this.#words = new Int32Array(index, claimsAt);
    this.#shards = new Int32Array(memory.shards);
    this.#keys = memory.keys;
    this.#slots = this.halves.byteLength / CLAIM_BYTES / SHARD_COUNT;
    this.#most = Math.floor(this.#slots * LOAD_MAX);
    this.#perAddressMax = memory.settings.peersPerAddressMax ?? Infinity;
  }

  /** Claims of a shard. */
  count(line: Line): number {
    return this.#shards[line + SHARD_CLAIMS];
  }

  /** The entry of a peer, in a swarm whose info hash has this hash; -1 if it has none. */
  find(line: Line, hash: Hash, family: Family, source: Uint16Array, at: number): number {
    if (this.count(line) === 0) return -1;
    const mask = this.#slots - 1;
    const first = this.#firstOf(line);
    let slot = this.#slotOf(hash, family, source, at);
    for (; this.#isTaken(first + slot); slot = (slot + 1) & mask) {
      if (this.#holds(first + slot, hash, family, source, at)) return first + slot;
    }
    return -1;
  }

  /** True if the address that a request came from owns the entry. */
  isOwner(entry: number, request: AnnounceRequest): boolean {
    const { sourceFamily, sourceHalves } = request;
    if (this.ownerFamily(entry) !== sourceFamily) return false;
    return isSame(this.halves, this.ownerAt(entry), sourceHalves, 0, wholeHalves(sourceFamily));
  }

  /**
   * True if the address that a request came from may store one more claim: in the swarm it may have
   * as many as peers of its own, and its network must not hold too many of all.
   */
  mayAdd(line: Line, request: AnnounceRequest): boolean {
    const count = this.count(line);
    if (count >= this.#most) return false;
    if (count === 0) return true;
    const { infoHashHalves, sourceFamily, sourceHalves } = request;
    const hash = hashInfoHash(this.#keys, infoHashHalves, 0);
    const first = this.#firstOf(line);
    let ofAddress = 0;
    let ofNetwork = 0;
    for (let entry = first; entry < first + this.#slots; entry++) {
      if (this.ownerFamily(entry) !== sourceFamily) continue;
      const owner = this.ownerAt(entry);
      if (!sameNetwork(this.halves, owner, sourceHalves, 0, sourceFamily)) continue;
      ofNetwork += 1;
      if (this.#words[entry * ENTRY_WORDS] !== hash) continue;
      if (sameAddress(this.halves, owner, sourceHalves, 0, sourceFamily)) ofAddress += 1;
    }
    if (ofAddress >= this.#perAddressMax) return false;
    return count * 2 < this.#most || ofNetwork < (this.#most - count) * NETWORK_SHARE;
  }

  /** Notes that the peer of a request has been stored, for which there is room. */
  add(line: Line, request: AnnounceRequest): void {
    const { infoHashHalves, family, peerHalves: peer, sourceFamily, sourceHalves } = request;
    const hash = hashInfoHash(this.#keys, infoHashHalves, 0);
    const mask = this.#slots - 1;
    const first = this.#firstOf(line);
    let slot = this.#slotOf(hash, family, peer, 0);
    while (this.#isTaken(first + slot)) slot = (slot + 1) & mask;
    const entry = first + slot;
    this.#words[entry * ENTRY_WORDS] = hash;
    copyHalves(peer, 0, this.halves, this.peerAt(entry), peerHalves(family));
    const owner = this.ownerAt(entry);
    copyHalves(sourceHalves, 0, this.halves, owner, wholeHalves(sourceFamily));
    this.halves[entry * ENTRY_HALVES + FAMILIES] = family | (sourceFamily << FAMILY_BITS);
    this.#shards[line + SHARD_CLAIMS] += 1;
  }

  /** Removes an entry. Those behind it may move, so that a search never meets a gap. */
  remove(line: Line, entry: number): void {
    const mask = this.#slots - 1;
    const first = this.#firstOf(line);
    let gap = entry - first;
    for (let slot = (gap + 1) & mask; this.#isTaken(first + slot); slot = (slot + 1) & mask) {
      const from = this.#homeOf(first + slot);
      if (((slot - from) & mask) < ((slot - gap) & mask)) continue;
      const moved = (first + slot) * ENTRY_WORDS;
      this.#words.copyWithin((first + gap) * ENTRY_WORDS, moved, moved + ENTRY_WORDS);
      gap = slot;
    }
    const freed = (first + gap) * ENTRY_WORDS;
    this.#words.fill(0, freed, freed + ENTRY_WORDS);
    this.#shards[line + SHARD_CLAIMS] -= 1;
  }

  /**
   * The first entry at or behind the `from`th of a shard that is a claim in the swarm with this
   * hash; -1 if there is none.
   */
  next(line: Line, hash: Hash, from: number): number {
    if (this.count(line) === 0) return -1;
    const first = this.#firstOf(line);
    for (let entry = Math.max(first, from); entry < first + this.#slots; entry++) {
      if (this.#isTaken(entry) && this.#words[entry * ENTRY_WORDS] === hash) return entry;
    }
    return -1;
  }

  /** Where the peer of an entry begins in `halves`. */
  peerAt(entry: number): number {
    return entry * ENTRY_HALVES + PEER;
  }

  peerFamily(entry: number): Family {
    return (this.halves[entry * ENTRY_HALVES + FAMILIES] & FAMILY_MASK) as Family;
  }

  /** Where the address of its owner begins in `halves`. */
  ownerAt(entry: number): number {
    return entry * ENTRY_HALVES + OWNER;
  }

  ownerFamily(entry: number): Family {
    return (this.halves[entry * ENTRY_HALVES + FAMILIES] >>> FAMILY_BITS) as Family;
  }

  #firstOf(line: Line): number {
    return (line / SHARD_WORDS) * this.#slots;
  }

  #isTaken(entry: number): boolean {
    return this.halves[entry * ENTRY_HALVES + FAMILIES] !== 0;
  }

  #holds(entry: number, hash: Hash, family: Family, source: Uint16Array, at: number): boolean {
    if (this.#words[entry * ENTRY_WORDS] !== hash || this.peerFamily(entry) !== family)
      return false;
    return isSame(this.halves, this.peerAt(entry), source, at, peerHalves(family));
  }

  #homeOf(entry: number): number {
    const hash = this.#words[entry * ENTRY_WORDS];
    return this.#slotOf(hash, this.peerFamily(entry), this.halves, this.peerAt(entry));
  }

  #slotOf(hash: Hash, family: Family, source: Uint16Array, at: number): number {
    return (hash ^ hashPeer(this.#keys, source, at, peerHalves(family))) & (this.#slots - 1);
  }
}

/** Halves of a whole address: a peer without its port. */
const wholeHalves = (family: Family): number => peerHalves(family) - 1;

function isSame(a: Uint16Array, atA: number, b: Uint16Array, atB: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}
