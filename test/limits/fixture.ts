/** Limits for tests, of one thread. */
import { type LimitSettings, Limits } from "../../src/limits/limits.ts";
import { OwnAddresses, ownAddressMemory } from "../../src/limits/own-addresses.ts";
import { type RateLimitSettings, reserveRateLimits } from "../../src/limits/rate-limits.ts";
import { type RulesShared, shareRules } from "../../src/limits/request-rules.ts";
import { readRules } from "../../src/limits/rule-lines.ts";

export interface Wanted {
  rates: Partial<RateLimitSettings>;
  /** Lines of a rules file. */
  rules: string;
  settings: Partial<LimitSettings>;
  /** Addresses of this machine. */
  own: string[];
}

/** Limits of the event loop; settings that are not given limit nothing. */
export function limitsOf({ rates, rules = "", settings, own = [] }: Partial<Wanted>): {
  limits: Limits;
  rules: RulesShared;
} {
  const memory = ownAddressMemory();
  new OwnAddresses(memory).take(own);
  const shared = {
    rates: reserveRateLimits({ mode: "off", addressRate: 1, networkRate: 1000, ...rates }),
    rules: shareRules(readRules(rules).rules, 1),
    settings: { portMin: 1, refuseEarly: false, minimumSeconds: 900, tickSeconds: 45, ...settings },
    own: memory,
  };
  return { limits: new Limits(0, shared), rules: shared.rules };
}
