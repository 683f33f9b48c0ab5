/**
 * One peer of a swarm: found and taken out, whichever of its two ways the swarm keeps it.
 *
 * `find` leaves in `bucket`, `index` and `role` where the peer is; they hold until anything in the
 * shard changes. The caller holds the lock of the shard.
 */
import type { Family } from "../constants.ts";
import { LEECHERS, peerHalves, ROLES, type Role } from "./blocks.ts";
import { findPeer } from "./peers.ts";
import type { Population } from "./population.ts";
import type { Swarms } from "./swarms.ts";
import type { BucketAt, Line, SwarmAt } from "./units.ts";

export class Members {
  /** The bucket it lies in; 0 in a small swarm. */
  bucket: BucketAt = 0;
  /** Its place in the bucket, or in the swarm's block. */
  index = -1;
  role: Role = LEECHERS;
  readonly #swarms: Swarms;
  readonly #population: Population;

  constructor(swarms: Swarms, population: Population) {
    this.#swarms = swarms;
    this.#population = population;
  }

  /** Looks for the peer whose halves begin at `source[at]`; false if it is not stored. */
  find(swarm: SwarmAt, family: Family, source: Uint16Array, at: number): boolean {
    const swarms = this.#swarms;
    if (swarms.isLarge(swarm, family)) return this.#findLarge(swarm, family, source, at);
    const { halves } = swarms.arena;
    const first = swarms.peersAt(swarm, family);
    const count = swarms.smallCount(swarm, family);
    this.bucket = 0;
    this.index = findPeer(halves, first, 0, count, peerHalves(family), source, at);
    if (this.index >= 0) this.role = swarms.roleOfSmall(swarm, family, this.index);
    return this.index >= 0;
  }

  #findLarge(swarm: SwarmAt, family: Family, source: Uint16Array, at: number): boolean {
    const { directories } = this.#swarms;
    for (const role of ROLES) {
      const bucket = directories.find(this.#swarms.cell(swarm, family, role), family, source, at);
      if (bucket === 0) continue;
      this.bucket = bucket;
      this.index = directories.index;
      this.role = role;
      return true;
    }
    return false;
  }

  /** Where the meta byte of the peer lies that `find` has found. */
  metaAt(swarm: SwarmAt, family: Family): number {
    const { bucket, index } = this;
    const swarms = this.#swarms;
    if (bucket === 0) return swarms.metaAt(swarm, family) + index;
    return swarms.directories.metaAt(family, bucket, index);
  }

  /** Takes out the peer that `find` has found. */
  removeFound(line: Line, swarm: SwarmAt, family: Family): void {
    const { bucket, index, role } = this;
    if (bucket === 0) this.removeSmall(line, swarm, family, index);
    else this.removeLarge(line, swarm, family, role, bucket, index);
  }

  /** Takes a peer out of the swarm's own block. */
  removeSmall(line: Line, swarm: SwarmAt, family: Family, index: number): void {
    const swarms = this.#swarms;
    const role = swarms.roleOfSmall(swarm, family, index);
    const at = swarms.peersAt(swarm, family) + index * peerHalves(family);
    this.#population.gone(line, swarm, family, role, at);
    swarms.removeSmall(swarm, family, index);
  }

  /** Takes a peer out of a bucket of the directory of its role. */
  removeLarge(
    line: Line,
    swarm: SwarmAt,
    family: Family,
    role: Role,
    bucket: BucketAt,
    index: number,
  ): void {
    const { directories } = this.#swarms;
    const at = directories.peerAt(family, bucket, index);
    this.#population.gone(line, swarm, family, role, at);
    directories.remove(line, this.#swarms.cell(swarm, family, role), family, bucket, index);
  }
}
