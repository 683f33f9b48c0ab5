/**
 * The limits on requests other than the access lists; each thread has its own `Limits`.
 *
 *   rates      how many requests an address and its network may make       rate-limits.ts
 *   rules      the operator's rules against some requests                  request-rules.ts
 *   port       a peer whose port is too low is answered but not stored
 *   own        a peer with an address of this machine likewise             own-addresses.ts
 *   early      an announce too soon after the last one can be answered without peers
 *
 * The core knows the time of a peer's last announce in ticks only. An announce counts as early when
 * that is certain, so one that comes up to two ticks early passes. An announce that starts, stops
 * or completes a download is never early.
 *
 * Even then an early announce does not fail. The core does not know by which URL a peer came, so a
 * client that uses several of one tracker is early by each, and would fail for as long as it runs;
 * and clients come back after a failure sooner than after a reply: libtorrent after 30 s over UDP.
 */
import { EVENT_NONE, EVENT_PAUSED } from "../constants.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { RateLimits, type RateLimitsShared } from "./rate-limits.ts";
import { RequestRules, type RulesShared } from "./request-rules.ts";

export interface LimitSettings {
  /** Peers with a lower port are not stored. */
  portMin: number;
  /** True to give early announces no peers, false to count them only. */
  refuseEarly: boolean;
  /** The `min interval` of replies, in seconds. */
  minimumSeconds: number;
  /** Seconds a tick of the core lasts. */
  tickSeconds: number;
}

/** What all threads share; can be posted to a worker as it is. */
export interface LimitsShared {
  rates: RateLimitsShared;
  rules: RulesShared;
  settings: LimitSettings;
  /** The machine's own addresses; their peers are not stored. If left out, all peers are stored. */
  own?: SharedArrayBuffer;
}

const EVERYTHING: LimitSettings = {
  portMin: 1,
  refuseEarly: false,
  minimumSeconds: 0,
  tickSeconds: 1,
};

export class Limits {
  readonly rates: RateLimits;
  /** They may change between two requests. */
  readonly rules: RequestRules;
  readonly portMin: number;
  /** They may change between two requests. */
  readonly own: OwnAddresses;
  /** Ticks below which an announce is too early; 0 if none can be. */
  readonly earlyTicks: number;
  /** True if early announces get no peers, false if they are only counted. */
  readonly refusesEarly: boolean;
  readonly #tickSeconds: number;

  /** `thread` is 0 for the event loop, 1 and up for workers. Without `shared` there is no limit. */
  constructor(thread = 0, shared?: LimitsShared) {
    const { portMin, refuseEarly, minimumSeconds, tickSeconds } = shared?.settings ?? EVERYTHING;
    this.rates = new RateLimits(shared?.rates);
    this.rules = new RequestRules(thread, shared?.rules);
    this.portMin = portMin;
    this.own = new OwnAddresses(shared?.own);
    // Two moments n ticks apart may be up to n + 1 ticks apart in seconds.
    this.earlyTicks = Math.max(0, Math.floor(minimumSeconds / tickSeconds));
    this.refusesEarly = refuseEarly;
    this.#tickSeconds = tickSeconds;
  }

  /** The `earlyTicks` of a request to the core with this event; 0 if early ones get peers. */
  earlyTicksFor(event: number): number {
    return this.refusesEarly && isPlain(event) ? this.earlyTicks : 0;
  }

  /** True if the announce is early. `ticksSinceLast` is -1 for the first announce of a peer. */
  isEarly(ticksSinceLast: number, event: number): boolean {
    return ticksSinceLast >= 0 && ticksSinceLast < this.earlyTicks && isPlain(event);
  }

  /**
   * Seconds left, after an early announce, of the interval `drawn` that began with the one before:
   * no longer, or the peer might expire, but long enough that the next announce is not early.
   */
  intervalLeft(drawn: number, ticksSinceLast: number): number {
    const early = this.earlyTicks - ticksSinceLast;
    return Math.max(early * this.#tickSeconds, drawn - (ticksSinceLast + 1) * this.#tickSeconds);
  }
}

function isPlain(event: number): boolean {
  return event === EVENT_NONE || event === EVENT_PAUSED;
}
