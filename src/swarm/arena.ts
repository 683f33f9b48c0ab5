/**
 * The arena: blocks of any size, laid one behind the other in the pages of their shard.
 *
 * A shard fills its open page from the front; when a block does not fit any more the page is closed
 * and another one opened. A released block stays where it is, marked dead, until `compact` moves
 * what still lives in the emptiest page elsewhere and gives that page back. So no memory is bound
 * to a size that is no longer needed, and a peer list may have any capacity.
 *
 *   page  [ swarm | dead | bucket | swarm | directory | dead | … ]  used ^          8 KiB
 *
 * Blocks move only in `compact`, never while one is allocated: an offset stays valid until then, or
 * until its own block is released. Nothing here throws; an allocation that finds no room returns 0.
 * The caller holds the lock of the shard.
 */
import { headerOf, KIND_DEAD, kindOf, sizeOf } from "./blocks.ts";
import { lock, unlock } from "./locks.ts";
import {
  PAGE_LIVE,
  PAGE_NEXT,
  PAGE_SHIFT,
  PAGE_SIZE,
  PAGE_USED,
  PAGE_WORDS,
  PAGES_RESERVED,
  POOL_AVAILABLE,
  POOL_BLANK,
  POOL_FREE,
  POOL_FREE_COUNT,
  POOL_FRESH,
  POOL_LOCK,
  SHARD_CLOSED_COUNT,
  SHARD_CLOSED_LIVE,
  SHARD_CLOSED_PAGES,
  SHARD_OPEN_PAGE,
  SHARD_OPEN_USED,
  type SwarmMemory,
} from "./memory.ts";
import type { Line } from "./units.ts";

export class Arena {
  /** The same bytes, by ones, twos and fours. */
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Int32Array;
  readonly shards: Int32Array;
  readonly totals: Float64Array;
  readonly pages: Int32Array;
  /** Pages that `allocate` leaves free; membership.ts decides which swarms may use them. */
  keepBack = PAGES_RESERVED;
  readonly #threads: boolean;

  constructor(memory: SwarmMemory) {
    this.bytes = new Uint8Array(memory.arena);
    this.halves = new Uint16Array(memory.arena);
    this.words = new Int32Array(memory.arena);
    this.shards = new Int32Array(memory.shards);
    this.totals = new Float64Array(memory.totals);
    this.pages = new Int32Array(memory.pages);
    this.#threads = memory.settings.threads;
  }

  /**
   * A new block of `size` bytes (a multiple of four, at most a page) in the shard whose line is
   * `line`. Returns its offset, or 0 if the arena is full. All but the header is left as it was.
   */
  allocate(line: Line, size: number, kind: number): number {
    return this.#place(line, size, kind, this.keepBack);
  }

  /** As `allocate`, for a block that moves: may use the pages kept back for that. */
  allocateForMove(line: Line, size: number, kind: number): number {
    return this.#place(line, size, kind, 0);
  }

  #place(line: Line, size: number, kind: number, reserve: number): number {
    const { shards, pages } = this;
    let page = shards[line + SHARD_OPEN_PAGE];
    let used = shards[line + SHARD_OPEN_USED];
    if (page === 0 || used + size > PAGE_SIZE) {
      const fresh = this.#takePage(reserve);
      if (fresh === 0) return 0;
      if (page !== 0) this.#closePage(line, page, used);
      page = fresh;
      used = 0;
      shards[line + SHARD_OPEN_PAGE] = page;
      pages[page * PAGE_WORDS + PAGE_LIVE] = 0;
    }
    const offset = (page << PAGE_SHIFT) + used;
    shards[line + SHARD_OPEN_USED] = used + size;
    pages[page * PAGE_WORDS + PAGE_LIVE] += size;
    this.words[offset >>> 2] = headerOf(size, kind);
    return offset;
  }

  /** The block at `offset` is not needed any more. */
  release(line: Line, offset: number): void {
    const size = sizeOf(this.words[offset >>> 2]);
    const page = offset >>> PAGE_SHIFT;
    this.words[offset >>> 2] = headerOf(size, KIND_DEAD);
    this.pages[page * PAGE_WORDS + PAGE_LIVE] -= size;
    if (page !== this.shards[line + SHARD_OPEN_PAGE]) this.shards[line + SHARD_CLOSED_LIVE] -= size;
  }

  #closePage(line: Line, page: number, used: number): void {
    const { shards, pages } = this;
    pages[page * PAGE_WORDS + PAGE_USED] = used;
    pages[page * PAGE_WORDS + PAGE_NEXT] = shards[line + SHARD_CLOSED_PAGES];
    shards[line + SHARD_CLOSED_PAGES] = page;
    shards[line + SHARD_CLOSED_COUNT] += 1;
    shards[line + SHARD_CLOSED_LIVE] += pages[page * PAGE_WORDS + PAGE_LIVE];
  }

  /** Unused bytes in closed pages: what moving blocks could win back. */
  wasted(line: Line): number {
    const { shards } = this;
    return shards[line + SHARD_CLOSED_COUNT] * PAGE_SIZE - shards[line + SHARD_CLOSED_LIVE];
  }

  /** Takes the closed page with the fewest live bytes off the shard's list; 0 if none. */
  takeEmptiestPage(line: Line): number {
    const { shards, pages } = this;
    let best = 0;
    let beforeBest = 0;
    let before = 0;
    for (let page = shards[line + SHARD_CLOSED_PAGES]; page !== 0;) {
      if (
        best === 0 ||
        pages[page * PAGE_WORDS + PAGE_LIVE] < pages[best * PAGE_WORDS + PAGE_LIVE]
      ) {
        best = page;
        beforeBest = before;
        if (pages[page * PAGE_WORDS + PAGE_LIVE] === 0) break;
      }
      before = page;
      page = pages[page * PAGE_WORDS + PAGE_NEXT];
    }
    if (best === 0) return 0;
    const next = pages[best * PAGE_WORDS + PAGE_NEXT];
    if (beforeBest === 0) shards[line + SHARD_CLOSED_PAGES] = next;
    else pages[beforeBest * PAGE_WORDS + PAGE_NEXT] = next;
    shards[line + SHARD_CLOSED_COUNT] -= 1;
    shards[line + SHARD_CLOSED_LIVE] -= pages[best * PAGE_WORDS + PAGE_LIVE];
    return best;
  }

  /** Puts a page taken by `takeEmptiestPage` back among the shard's closed pages. */
  putBack(line: Line, page: number): void {
    this.#closePage(line, page, this.pages[page * PAGE_WORDS + PAGE_USED]);
  }

  /** Offset of the first live block at or after `offset` in a closed page; 0 if there is none. */
  nextLive(page: number, offset: number): number {
    const end = (page << PAGE_SHIFT) + this.pages[page * PAGE_WORDS + PAGE_USED];
    while (offset < end) {
      const header = this.words[offset >>> 2];
      if (kindOf(header) !== KIND_DEAD) return offset;
      offset += sizeOf(header);
    }
    return 0;
  }

  // The pool of pages, common to all shards.

  /** Pages that are not free, and page 0, which is never used. */
  get pagesInUse(): number {
    return this.pages.length / PAGE_WORDS - this.shards[POOL_AVAILABLE];
  }

  #takePage(reserve: number): number {
    const { shards } = this;
    if (this.#threads) lock(shards, POOL_LOCK);
    let page = 0;
    if (shards[POOL_AVAILABLE] > reserve) {
      shards[POOL_AVAILABLE] -= 1;
      page = shards[POOL_FREE] !== 0 ? this.#popFree() : this.#popBlank();
      if (page === 0) page = shards[POOL_FRESH]++;
    }
    if (this.#threads) unlock(shards, POOL_LOCK);
    return page;
  }

  #popFree(): number {
    const { shards, pages } = this;
    const page = shards[POOL_FREE];
    shards[POOL_FREE] = pages[page * PAGE_WORDS + PAGE_NEXT];
    shards[POOL_FREE_COUNT] -= 1;
    return page;
  }

  #popBlank(): number {
    const { shards, pages } = this;
    const page = shards[POOL_BLANK];
    if (page !== 0) shards[POOL_BLANK] = pages[page * PAGE_WORDS + PAGE_NEXT];
    return page;
  }

  /** Gives an empty page, taken by `takeEmptiestPage`, back to all shards. */
  givePage(page: number): void {
    const { shards, pages } = this;
    if (this.#threads) lock(shards, POOL_LOCK);
    pages[page * PAGE_WORDS + PAGE_NEXT] = shards[POOL_FREE];
    shards[POOL_FREE] = page;
    shards[POOL_FREE_COUNT] += 1;
    shards[POOL_AVAILABLE] += 1;
    if (this.#threads) unlock(shards, POOL_LOCK);
  }

  /**
   * Takes free pages whose memory is still ours, as many as `taken` holds, but leaves `kept` of
   * them. Returns how many it took. Their memory may be given back to the system, and then they go
   * back by `giveBlank`.
   */
  takeFreePages(taken: Int32Array, kept: number): number {
    const { shards } = this;
    if (shards[POOL_FREE_COUNT] <= kept) return 0;
    let count = 0;
    if (this.#threads) lock(shards, POOL_LOCK);
    while (count < taken.length && shards[POOL_FREE_COUNT] > kept) {
      taken[count++] = this.#popFree();
    }
    shards[POOL_AVAILABLE] -= count;
    if (this.#threads) unlock(shards, POOL_LOCK);
    return count;
  }

  /** Gives the first `count` pages that `takeFreePages` took to all shards again. */
  giveBlank(taken: Int32Array, count: number): void {
    const { shards, pages } = this;
    if (this.#threads) lock(shards, POOL_LOCK);
    for (let i = 0; i < count; i++) {
      pages[taken[i] * PAGE_WORDS + PAGE_NEXT] = shards[POOL_BLANK];
      shards[POOL_BLANK] = taken[i];
    }
    shards[POOL_AVAILABLE] += count;
    if (this.#threads) unlock(shards, POOL_LOCK);
  }
}
