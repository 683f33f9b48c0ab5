/**
 * Ages: which meta byte a peer of a dump has in this store, so that it goes on growing old.
 *
 * Where the ticks of both last equally long, an age is a whole number of ticks on either side, and
 * since ticks begin at the same moments (ticks.ts), so is the time between: nothing is rounded.
 */
import { META_COMPLETED, META_TICK } from "./blocks.ts";
import { ageOf } from "./records.ts";
import type { Store } from "./store.ts";
import type { Tick } from "./units.ts";

/** When the records of a chunk were written. */
export interface Dumped {
  /** The tick it was, and how many seconds such a tick lasts. */
  tick: Tick;
  tickSeconds: number;
  /** Seconds since then. */
  elapsedSeconds: number;
  /** Ticks since then, if they are known and last as long; less than 0 if our clock is late. */
  ticksSince?: number;
}

/** In place of a meta byte: the peer is too old. */
export const EXPIRED = -1;

/** By how much the time since a chunk was written may be wrong, if both clocks are right. */
const CHUNK_SLACK_SECONDS = 2;

export class Ages {
  /** Meta byte of this store for each meta byte of the chunk, or EXPIRED. */
  readonly metas = new Int16Array(256);
  tick: Tick = 0;
  elapsedSeconds = 0;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Begins a chunk. */
  open({ tick, tickSeconds, elapsedSeconds, ticksSince }: Dumped, nowSeconds: number): void {
    const { peerTicks, peerLifetime } = this.#store;
    this.tick = peerTicks.at(nowSeconds);
    // A clock that went back makes no peer younger.
    this.elapsedSeconds = Math.max(0, elapsedSeconds);
    const same = tickSeconds === peerTicks.seconds;
    const about = same ? this.#ticksSince(tick) : this.elapsedSeconds / peerTicks.seconds;
    const since = ticksSince ?? about;
    for (let meta = 0; meta < this.metas.length; meta++) {
      // Rounded to the nearest tick, because up or down would add up each time two stores exchange.
      const ticks = (ageOf(meta, tick) * tickSeconds) / peerTicks.seconds + since;
      const age = Math.max(0, Math.round(ticks));
      const own = (meta & META_COMPLETED) | ((this.tick - age) & META_TICK);
      this.metas[meta] = age > peerLifetime ? EXPIRED : own;
    }
  }

  /**
   * The ticks that have begun since `tick`, in a store whose ticks are as long. They begin at the
   * same moments in both if their clocks agree, and then there is nothing to round: a tracker that
   * is restarted every ten seconds would else keep peers for ever, or forget them early.
   */
  #ticksSince(tick: Tick): number {
    const { peerTicks } = this.#store;
    const about = this.elapsedSeconds / peerTicks.seconds;
    const nearest = Math.round(about);
    const offset = (peerTicks.between((tick + nearest) & META_TICK, this.tick) + 64) & META_TICK;
    const exact = nearest + offset - 64;
    // Seconds in a chunk are whole ones.
    const slack = 1 + CHUNK_SLACK_SECONDS / peerTicks.seconds;
    return Math.abs(exact - about) < slack && exact >= 0 ? exact : nearest;
  }
}
