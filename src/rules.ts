/**
 * Rules that bind two settings or more: what each of them allows alone, but not both together.
 *
 * Settings that could not be read are missing in what a rule is given, so it must hold its tongue
 * where it cannot compare; the setting has been complained about already.
 */
import type { Config } from "./config.ts";
import { doublings } from "./ops/intervals.ts";
import { showSeconds, showWebListener } from "./settings.ts";

/** Rules that bind two settings or more: the sentence that breaks them, or undefined. */
export const RULES: ((config: Config) => string | undefined)[] = [
  (config) => {
    if ((config.tlsCertFile === undefined) === (config.tlsKeyFile === undefined)) return undefined;
    const given = config.tlsCertFile === undefined ? "KEY" : "CERT";
    const missing = given === "KEY" ? "CERT" : "KEY";
    return `TRACKER_TLS_${given}_FILE is set without TRACKER_TLS_${missing}_FILE: set both`;
  },
  (config) => {
    const asked = config.httpListeners?.find((listener) => listener.tls === true);
    if (asked === undefined || config.tlsCertFile !== undefined) return undefined;
    const why = "which needs a certificate: set TRACKER_TLS_CERT_FILE";
    return `TRACKER_HTTP_ADDRESS has ${showWebListener(asked)}, ${why}`;
  },
  (config) => {
    if (config.denyFile === undefined || config.denyFile !== config.allowFile) return undefined;
    return "TRACKER_DENY_FILE and TRACKER_ALLOW_FILE are the same file: nothing would be served";
  },
  (config) => {
    if (config.udpListeners?.length !== 0 || config.httpListeners?.length !== 0) return undefined;
    return "TRACKER_UDP_ADDRESS and TRACKER_HTTP_ADDRESS are both empty: keep at least one";
  },
  (config) => {
    if (!(config.minIntervalSeconds > config.intervalSeconds)) return undefined;
    const [min, interval] = [config.minIntervalSeconds, config.intervalSeconds].map(showSeconds);
    const hint = `choose at most ${interval}`;
    return `TRACKER_MIN_INTERVAL is ${min}, longer than TRACKER_INTERVAL: ${hint}`;
  },
  (config) => {
    if (!(config.numwantDefault > config.numwantMax)) return undefined;
    const { numwantDefault, numwantMax } = config;
    const hint = `choose at most ${numwantMax}`;
    return `TRACKER_NUMWANT_DEFAULT is ${numwantDefault}, more than TRACKER_NUMWANT_MAX: ${hint}`;
  },
  (config) => {
    const usual = longestUsual(config);
    const longest = usual + Math.floor((usual * config.intervalJitterPercent) / 100);
    if (!(config.peerTimeoutSeconds <= longest)) return undefined;
    const [timeout, wait] = [config.peerTimeoutSeconds, longest].map(showSeconds);
    const why = "peers would be forgotten between two announces";
    return `TRACKER_PEER_TIMEOUT is ${timeout}, so ${why}: choose more than ${wait}`;
  },
  (config) => {
    const grows = config.targetRate > 0 || config.intervalPerDoublingSeconds > 0;
    if (!grows || !(config.intervalMaxSeconds < config.intervalSeconds)) return undefined;
    const [max, interval] = [config.intervalMaxSeconds, config.intervalSeconds].map(showSeconds);
    const hint = `choose at least ${interval}`;
    return `TRACKER_INTERVAL_MAX is ${max}, shorter than TRACKER_INTERVAL: ${hint}`;
  },
  (config) => {
    const { rateLimitAddress, rateLimitNetwork } = config;
    if (!(rateLimitNetwork < rateLimitAddress)) return undefined;
    const why = `is ${rateLimitNetwork}, less than one address of it may ask`;
    return `TRACKER_RATE_LIMIT_NETWORK ${why}: choose at least ${rateLimitAddress}`;
  },
];

/**
 * The longest interval without load, in seconds: that of the largest swarm. Load needs no rule, for
 * where it makes intervals longer peers are kept longer by the same factor.
 */
function longestUsual(config: Config): number {
  const { intervalSeconds, intervalMaxSeconds, intervalPerDoublingSeconds } = config;
  if (intervalPerDoublingSeconds === 0) return intervalSeconds;
  const largest = intervalPerDoublingSeconds * doublings(config.peersPerSwarmMax);
  return Math.min(intervalSeconds + largest, Math.max(intervalSeconds, intervalMaxSeconds));
}
