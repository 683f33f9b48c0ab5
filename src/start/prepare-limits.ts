/**
 * Makes the limits on requests from the settings.
 */
import { loadSettings, shortestInterval } from "../config/derived.ts";
import type { Config } from "../config/schema.ts";
import { INTERVAL_JITTER_PERCENT, type IntervalSettings } from "../limits/intervals.ts";
import type { LimitsShared } from "../limits/limits.ts";
import { Load, stretchMemory } from "../limits/load.ts";
import { ownAddressMemory } from "../limits/own-addresses.ts";
import { reserveRateLimits } from "../limits/rate-limits.ts";
import { RuleKeeper } from "../limits/rule-keeper.ts";
import { peerTicksOf, type SwarmMemory } from "../swarm/memory.ts";

/** The limits, for the parts of the program. */
export interface PreparedLimits {
  shared: LimitsShared;
  intervals: IntervalSettings;
  load: Load;
  rules: RuleKeeper;
}

/** Limits for `threads` threads, including the event loop. Rules are read later. */
export function prepareLimits(
  config: Config,
  memory: SwarmMemory,
  threads: number,
): PreparedLimits {
  const stretch = stretchMemory();
  const rules = new RuleKeeper(config.rulesFile, threads);
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
        minimumSeconds: shortestInterval(config),
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
