/**
 * Units: numbers of different meaning that stand side by side in a call, and must not be swapped.
 *
 * At run time all of them are plain numbers, and a plain number may be given for any. But the
 * type checker refuses one of them where another is asked for. What comes of arithmetic is a plain
 * number again.
 */
type Unit<Name extends string> = number & { readonly unit?: Name };

/** Where the line of a shard begins in the words of `shards`. */
export type Line = Unit<"line">;
/** The keyed hash of an info hash. */
export type Hash = Unit<"hash">;
/** Byte offset of a swarm's block in the arena; 0 for none. */
export type SwarmAt = Unit<"swarm">;
/** Byte offset of the word, in a swarm's block, that points to a directory. */
export type Cell = Unit<"cell">;
/** Byte offset of a bucket's block in the arena; 0 for none. */
export type BucketAt = Unit<"bucket">;
/** Coarse time: a count of ticks that begins again after a while (ticks.ts). */
export type Tick = Unit<"tick">;
