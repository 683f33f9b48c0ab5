/**
 * What limits requests beside the access lists, one `Limits` for each thread.
 *
 *   rates      how many requests an address and its network may make       rate-limits.ts
 *   rules      what the operator has written against some of them          request-rules.ts
 *   port       a peer whose port is too low is answered but not stored
 *   own        nor is one that has an address of this machine             own-addresses.ts
 *   early      an announce too soon after the last one can be refused
 *
 * An announce is too early if it is sure to be: the core knows the time of a peer's last announce
 * in ticks, so one is let pass that came up to two ticks too soon. What starts, stops or completes
 * a download is news, and never too early.
 */
import { EVENT_NONE, EVENT_PAUSED } from "../constants.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { RateLimits, type RateLimitsShared } from "./rate-limits.ts";
import { RequestRules, type RulesShared } from "./request-rules.ts";

export interface LimitSettings {
  /** Peers with a lower port are not stored. */
  portMin: number;
  /** True to refuse announces that are too early, false to count them only. */
  refuseEarly: boolean;
  /** Seconds that must pass between two announces of a peer, as clients were told at least. */
  minimumSeconds: number;
  /** Seconds a tick of the core lasts. */
  tickSeconds: number;
}

/** What all threads share; can be posted to a worker as it is. */
export interface LimitsShared {
  rates: RateLimitsShared;
  rules: RulesShared;
  settings: LimitSettings;
  /** The machine's own addresses, whose peers are not stored; all are if it is left out. */
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
  /** True if an announce that is too early is refused, false if it is only counted. */
  readonly refusesEarly: boolean;
  readonly #tickSeconds: number;

  /** `thread` is 0 for the event loop, 1 and up for workers. Without `shared` there is no limit. */
  constructor(thread = 0, shared?: LimitsShared) {
    const { portMin, refuseEarly, minimumSeconds, tickSeconds } = shared?.settings ?? EVERYTHING;
    this.rates = new RateLimits(shared?.rates);
    this.rules = new RequestRules(thread, shared?.rules);
    this.portMin = portMin;
    this.own = new OwnAddresses(shared?.own);
    // Moments that are some ticks apart are up to one tick more than that apart in seconds.
    this.earlyTicks = Math.max(0, Math.floor(minimumSeconds / tickSeconds));
    this.refusesEarly = refuseEarly;
    this.#tickSeconds = tickSeconds;
  }

  /** What the core's request must say for this event: `earlyTicks`, if early is to be refused. */
  earlyTicksFor(event: number): number {
    return this.refusesEarly && isPlain(event) ? this.earlyTicks : 0;
  }

  /** True if an announce so many ticks after the last one (-1: there was none) is too early. */
  isEarly(ticksSinceLast: number, event: number): boolean {
    return ticksSinceLast >= 0 && ticksSinceLast < this.earlyTicks && isPlain(event);
  }

  /** Minutes after which it will not be too early any more, 1 or more. */
  minutesLeft(ticksSinceLast: number): number {
    return Math.ceil(((this.earlyTicks - ticksSinceLast) * this.#tickSeconds) / 60);
  }
}

function isPlain(event: number): boolean {
  return event === EVENT_NONE || event === EVENT_PAUSED;
}
