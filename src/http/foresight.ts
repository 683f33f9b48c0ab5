/**
 * Looking ahead: which swarms the next requests are about, so that memory fetches those together.
 *
 *   GET /announce?info_hash=%7E%99%03Q...&peer_id=...      the first info hash of each text, if any
 *                           └── 20 bytes ──┘
 *
 * A guess, made quickly: nothing is refused or answered by it, and where it is wrong, memory is
 * read that nobody needed.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import type { Anticipation } from "../swarm/anticipation.ts";
import { GATHERED_MAX } from "./gathered.ts";
import { peekInfoHash } from "./query.ts";

const HALVES = INFO_HASH_SIZE / 2;

/** Where each info hash begins among the halves. */
const ATS = Int32Array.from({ length: GATHERED_MAX }, (_, i) => i * HALVES);

export class Foresight {
  readonly #anticipation: Pick<Anticipation, "fetch">;
  readonly #hashes = new Uint8Array(new ArrayBuffer(GATHERED_MAX * INFO_HASH_SIZE));
  readonly #halves = new Uint16Array(this.#hashes.buffer);

  /** `anticipation` is asked for at most GATHERED_MAX info hashes. */
  constructor(anticipation: Pick<Anticipation, "fetch">) {
    this.#anticipation = anticipation;
  }

  /** Has fetched what `texts` 0 to `count` - 1 will need: beginnings of requests, latin1. */
  foresee(texts: readonly string[], count: number): void {
    let found = 0;
    for (let i = 0; i < count; i++) {
      if (peekInfoHash(texts[i], this.#hashes, found * INFO_HASH_SIZE)) found += 1;
    }
    this.#anticipation.fetch(this.#halves, ATS, found);
  }
}
