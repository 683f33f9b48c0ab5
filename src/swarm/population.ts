/**
 * The population: the counts of a shard, and what addresses and networks hold, change here and only
 * here when a peer comes, goes or changes its role, so that they match what is stored.
 *
 * A peer is charged to the address it came from: its own, or the owner of its claim, which comes
 * and goes with it. Moving a peer, from block to bucket or page to page, is neither. The caller
 * holds the lock of the shard.
 */
import type { Family } from "../constants.ts";
import type { Arena } from "./arena.ts";
import {
  FLAG_EMPTY,
  LEECHERS,
  SEEDERS,
  SWARM_FLAGS,
  SWARM_INFO_HASH,
  type Role,
} from "./blocks.ts";
import { Claims } from "./claims.ts";
import { Holdings } from "./holdings.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import {
  SHARD_EMPTY_SWARMS,
  SHARD_SEEDERS_IPV4,
  SHARD_SEEDERS_IPV6,
  TOTAL_EXPIRED,
  totalsOf,
  type SwarmMemory,
} from "./memory.ts";
import type { AnnounceRequest } from "./requests.ts";
import type { Line, SwarmAt } from "./units.ts";

export class Population {
  readonly holdings: Holdings;
  /** Undefined where no peer may be stored under another address than it comes from. */
  readonly claims: Claims | undefined;
  readonly #arena: Arena;
  readonly #keys: Int32Array;

  constructor(memory: SwarmMemory, arena: Arena) {
    this.holdings = new Holdings(memory);
    this.claims = memory.settings.claims === true ? new Claims(memory) : undefined;
    this.#arena = arena;
    this.#keys = memory.keys;
  }

  /** The peer of a request has been stored. */
  came(line: Line, role: Role, request: AnnounceRequest): void {
    this.#arena.shards[columnOf(line, request.family) + role] += 1;
    if (!request.claimed) {
      this.holdings.charge(request.peerHalves, 0, request.family);
      return;
    }
    this.holdings.charge(request.sourceHalves, 0, request.sourceFamily);
    this.claims!.add(line, request);
  }

  /** The peers at `at` in the arena have been put there, each at its own address. */
  put(line: Line, family: Family, seeders: number, leechers: number, at: number): void {
    const { shards, halves } = this.#arena;
    const column = columnOf(line, family);
    shards[column + SEEDERS] += seeders;
    shards[column + LEECHERS] += leechers;
    this.holdings.chargeMany(halves, at, family, seeders + leechers);
  }

  /** The peer at `at` in the arena goes from its swarm: it stopped, or had to make room. */
  gone(line: Line, swarm: SwarmAt, family: Family, role: Role, at: number): void {
    this.#arena.shards[columnOf(line, family) + role] -= 1;
    if (this.claims !== undefined && this.#endClaim(line, swarm, family, at)) return;
    this.holdings.discharge(this.#arena.halves, at, family);
  }

  /** The peer at `at` in the arena goes because its last announce was too long ago. */
  expired(line: Line, swarm: SwarmAt, family: Family, role: Role, at: number): void {
    this.gone(line, swarm, family, role, at);
    this.#arena.totals[totalsOf(line) + TOTAL_EXPIRED] += 1;
  }

  /** Ends the claim of the peer and discharges its owner; false if the peer was not claimed. */
  #endClaim(line: Line, swarm: SwarmAt, family: Family, at: number): boolean {
    const claims = this.claims!;
    if (claims.count(line) === 0) return false;
    const { halves } = this.#arena;
    const hash = hashInfoHash(this.#keys, halves, (swarm + SWARM_INFO_HASH) >>> 1);
    const entry = claims.find(line, hash, family, halves, at);
    if (entry < 0) return false;
    this.holdings.discharge(claims.halves, claims.ownerAt(entry), claims.ownerFamily(entry));
    claims.remove(line, entry);
    return true;
  }

  /** A peer now has this role, and had the other. */
  switched(line: Line, family: Family, role: Role): void {
    const column = columnOf(line, family);
    this.#arena.shards[column + role] += 1;
    this.#arena.shards[column + (role === SEEDERS ? LEECHERS : SEEDERS)] -= 1;
  }

  /** Marks a swarm as one without peers, or as one that has some again; it may be so already. */
  setEmpty(line: Line, swarm: SwarmAt, empty: boolean): void {
    const { bytes, shards } = this.#arena;
    const flags = bytes[swarm + SWARM_FLAGS];
    if (((flags & FLAG_EMPTY) !== 0) === empty) return;
    bytes[swarm + SWARM_FLAGS] = flags ^ FLAG_EMPTY;
    shards[line + SHARD_EMPTY_SWARMS] += empty ? 1 : -1;
  }
}

const columnOf = (line: Line, family: Family): number =>
  line + (family === 4 ? SHARD_SEEDERS_IPV4 : SHARD_SEEDERS_IPV6);
