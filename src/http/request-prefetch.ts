/**
 * Prefetch for HTTP: finds which swarms the next requests name, so that they are fetched together.
 *
 *   GET /announce?info_hash=%7E%99%03Q...&peer_id=...      the first info hash of each text, if any
 *                           └── 20 bytes ──┘
 *
 * A guess, made quickly: nothing is refused or answered by it, and where it is wrong, memory is
 * read for nothing.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import type { Prefetch } from "../swarm/prefetch.ts";
import { GATHERED_MAX } from "./gathered.ts";
import { peekInfoHash } from "./query.ts";

const HALVES = INFO_HASH_SIZE / 2;

/** Where each info hash begins among the halves. */
const ATS = Int32Array.from({ length: GATHERED_MAX }, (_, i) => i * HALVES);

export class RequestPrefetch {
  readonly #prefetch: Pick<Prefetch, "fetch">;
  readonly #hashes = new Uint8Array(new ArrayBuffer(GATHERED_MAX * INFO_HASH_SIZE));
  readonly #halves = new Uint16Array(this.#hashes.buffer);

  /** `prefetch` is asked for at most GATHERED_MAX info hashes. */
  constructor(prefetch: Pick<Prefetch, "fetch">) {
    this.#prefetch = prefetch;
  }

  /** Fetches what `texts` 0 to `count` - 1 will need: beginnings of requests, latin1. */
  fetch(texts: readonly string[], count: number): void {
    let found = 0;
    for (let i = 0; i < count; i++) {
      if (peekInfoHash(texts[i], this.#hashes, found * INFO_HASH_SIZE)) found += 1;
    }
    this.#prefetch.fetch(this.#halves, ATS, found);
  }
}
