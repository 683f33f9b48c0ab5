/**
 * What limits requests, made from the settings: and the timer that lets intervals follow the load.
 */
import type { Config } from "../config/schema.ts";
import type { LimitsShared } from "../limits/limits.ts";
import { Load, type LoadSettings, stretchMax, stretchMemory } from "../limits/load.ts";
import { listAddresses, OwnAddresses, ownAddressMemory } from "../limits/own-addresses.ts";
import { reserveRateLimits } from "../limits/rate-limits.ts";
import { RuleKeeper } from "../limits/rule-keeper.ts";
import { now } from "../host/clock.ts";
import type { CounterName, Counters } from "../counters/counters.ts";
import { INTERVAL_JITTER_PERCENT, type IntervalSettings } from "../limits/intervals.ts";
import { peerTicksOf, setPeerTimeout, type SwarmMemory } from "../swarm/memory.ts";

const UPDATE_MILLISECONDS = 1000;
/** How often the machine is asked for its addresses: networks come and go. */
const ADDRESSES_MILLISECONDS = 60_000;

/** Announces that were answered, whose clients will come back. */
const ANNOUNCES: CounterName[] = [
  "udpAnnouncesIpv4",
  "udpAnnouncesIpv6",
  "httpAnnouncesIpv4",
  "httpAnnouncesIpv6",
];

/** Announces that came early, and those of them that were refused and so are none of the above. */
const EARLY: CounterName[] = ["udpEarly", "httpEarly"];
const REFUSED_EARLY: CounterName[] = ["udpRefusedEarly", "httpRefusedEarly"];

/** Announces that were only counted as too many of their address or network, and not early. */
const OVER_RATE: CounterName[] = ["udpOverRateAnnounces", "httpOverRateAnnounces"];

/** The settings of the load, as far as others depend on them. */
export function loadSettings(config: Config): LoadSettings {
  return {
    targetRate: config.targetRate,
    interval: config.intervalSeconds,
    intervalMax: config.intervalMaxSeconds,
    jitterPercent: INTERVAL_JITTER_PERCENT,
  };
}

/** The longest that peers may have to be kept, in seconds. */
export function peerTimeoutMax(config: Config): number {
  return Math.ceil(config.peerTimeoutSeconds * stretchMax(loadSettings(config)));
}

/** What the parts of the program need of it. */
export interface PreparedLimits {
  shared: LimitsShared;
  intervals: IntervalSettings;
  load: Load;
  rules: RuleKeeper;
}

/** For `threads` threads, the event loop among them. There are no rules before they are read. */
export function prepareLimits(
  config: Config,
  memory: SwarmMemory,
  threads: number,
): PreparedLimits {
  const stretch = stretchMemory();
  const rules = new RuleKeeper(config.rulesFile, threads);
  const shortest = Math.floor(config.intervalSeconds * (1 - INTERVAL_JITTER_PERCENT / 100));
  return {
    shared: {
      rates: reserveRateLimits({
        mode: config.rateLimit,
        addressRate: config.rateLimitAddress,
        networkRate: config.rateLimitNetwork,
      }),
      rules: rules.shared,
      ...(config.ownAddresses === "answer" ? { own: ownAddressMemory() } : {}),
      settings: {
        portMin: config.portMin,
        refuseEarly: config.earlyAnnounces === "refuse",
        minimumSeconds: Math.min(config.minIntervalSeconds, shortest),
        tickSeconds: peerTicksOf(memory.settings).seconds,
      },
    },
    intervals: {
      interval: config.intervalSeconds,
      jitterPercent: INTERVAL_JITTER_PERCENT,
      minimum: config.minIntervalSeconds,
      maximum: config.intervalMaxSeconds,
      perDoubling: config.intervalPerDoublingSeconds,
      stretch,
    },
    load: new Load(loadSettings(config), stretch),
    rules,
  };
}

/** Measures the load every second, for ever; the timer does not keep the process alive. */
export function startFollowingLoad(load: Load, counters: Counters, memory: SwarmMemory): void {
  let kept = 1;
  const total = (names: CounterName[]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  const update = (): void => {
    // Who comes early has a place in the schedule: one client could fill it for hours otherwise.
    const early = total(EARLY) - total(REFUSED_EARLY);
    // One address or network has the part in it that it may have of the tracker, and no more.
    load.update(total(ANNOUNCES) - early - total(OVER_RATE), now());
    if (load.kept === kept) return;
    kept = load.kept;
    setPeerTimeout(memory, memory.settings.peerTimeout * kept);
  };
  update();
  setInterval(update, UPDATE_MILLISECONDS).unref();
}

/**
 * Keeps the list of this machine's addresses, for ever; the timer does not keep the process alive.
 * `list` is for tests. Where the system does not tell, the list stays as it was.
 */
export function startFollowingAddresses(own: OwnAddresses, list = listAddresses): void {
  const update = (): void => {
    const addresses = list();
    if (addresses !== undefined) own.take(addresses);
  };
  update();
  setInterval(update, ADDRESSES_MILLISECONDS).unref();
}
