/**
 * The shape of a swarm's block: a new block for a swarm that needs other fields or other room.
 *
 * Throws nothing; the caller holds the lock of the shard.
 */
import type { Family } from "../constants.ts";
import type { Arena } from "./arena.ts";
import {
  blockSize,
  countAt,
  downloadsAt,
  FLAG_DOWNLOADS,
  FLAG_IPV6,
  FLAG_LARGE_IPV6,
  KIND_SWARM,
  seedersAt,
  SWARM_CAPACITY_IPV4,
  SWARM_CAPACITY_IPV6,
  SWARM_COUNT_IPV4,
  SWARM_FLAGS,
  SWARM_HEADER_SIZE,
  SWARM_INFO_HASH,
} from "./blocks.ts";
import type { Line, SwarmAt } from "./units.ts";

/**
 * A block with the same fields, room for `capacity` peers of `family`, none of which is there
 * yet, and the other family's shape. FLAG_IPV6 is set here, by whether it is needed.
 */
export function copyShape(
  arena: Arena,
  line: Line,
  swarm: SwarmAt,
  family: Family,
  capacity: number,
  flags: number,
): number {
  const { bytes, words } = arena;
  const ipv4 = family === 4 ? capacity : bytes[swarm + SWARM_CAPACITY_IPV4];
  const roomIpv6 =
    (bytes[swarm + SWARM_FLAGS] & FLAG_IPV6) === 0 ? 0 : bytes[swarm + SWARM_CAPACITY_IPV6];
  const ipv6 = family === 6 ? capacity : roomIpv6;
  const needsIpv6 = ipv6 > 0 || (flags & FLAG_LARGE_IPV6) !== 0;
  flags = needsIpv6 ? flags | FLAG_IPV6 : flags & ~FLAG_IPV6;
  const copy = arena.allocate(line, blockSize(flags, ipv4, ipv6), KIND_SWARM);
  if (copy === 0) return 0;
  bytes.copyWithin(copy + SWARM_INFO_HASH, swarm + SWARM_INFO_HASH, swarm + SWARM_HEADER_SIZE);
  bytes[copy + SWARM_FLAGS] = flags;
  bytes[copy + SWARM_CAPACITY_IPV4] = ipv4;
  bytes[copy + SWARM_COUNT_IPV4] = bytes[swarm + SWARM_COUNT_IPV4];
  const had = bytes[swarm + SWARM_FLAGS];
  if (needsIpv6) {
    const at = SWARM_CAPACITY_IPV6;
    words[(copy + at) >>> 2] = (had & FLAG_IPV6) === 0 ? 0 : words[(swarm + at) >>> 2];
    bytes[copy + SWARM_CAPACITY_IPV6] = ipv6;
  }
  if ((flags & FLAG_DOWNLOADS) !== 0) {
    const upper = (had & FLAG_DOWNLOADS) === 0 ? 0 : words[(swarm + downloadsAt(had)) >>> 2];
    words[(copy + downloadsAt(flags)) >>> 2] = upper;
  }
  if (family === 4 || needsIpv6) {
    bytes[copy + countAt(family)] = 0;
    bytes[copy + seedersAt(family)] = 0;
  }
  return copy;
}
