/**
 * Rules that bind two settings or more: what each of them allows alone, but not both together.
 *
 * Settings that could not be read are missing in what a rule is given, so it must hold its tongue
 * where it cannot compare; the setting has been complained about already.
 */
import type { Config } from "./config.ts";
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
    const jitter = Math.floor((config.intervalSeconds * config.intervalJitterPercent) / 100);
    const longest = config.intervalSeconds + jitter;
    if (!(config.peerTimeoutSeconds <= longest)) return undefined;
    const [timeout, wait] = [config.peerTimeoutSeconds, longest].map(showSeconds);
    const why = "peers would be forgotten between two announces";
    return `TRACKER_PEER_TIMEOUT is ${timeout}, so ${why}: choose more than ${wait}`;
  },
];
