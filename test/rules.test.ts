/** Settings that do not go together. What each sentence says is in `config.test.ts`, too. */
import { expect, test } from "bun:test";

import { type Config, readConfig } from "../src/config.ts";
import { RULES } from "../src/rules.ts";

function problems(changes: Partial<Config>): string[] {
  const result = readConfig({});
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  return RULES.flatMap((rule) => rule({ ...result.config, ...changes }) ?? []);
}

test("the defaults break no rule", () => {
  expect(problems({})).toEqual([]);
});

test.each([
  [{ denyFile: "/a", allowFile: "/a" }, "TRACKER_DENY_FILE and TRACKER_ALLOW_FILE are the same"],
  [
    { udpListeners: [], httpListeners: [] },
    "TRACKER_UDP_ADDRESS and TRACKER_HTTP_ADDRESS are both",
  ],
  [{ minIntervalSeconds: 1801 }, "TRACKER_MIN_INTERVAL is 1801s, longer than"],
  [{ numwantDefault: 201 }, "TRACKER_NUMWANT_DEFAULT is 201, more than"],
  [{ peerTimeoutSeconds: 1980 }, "TRACKER_PEER_TIMEOUT is 33m, so peers would be forgotten"],
  [
    { intervalPerDoublingSeconds: 60 },
    "TRACKER_PEER_TIMEOUT is 45m, so peers would be forgotten between two announces: " +
      "choose more than 2838s",
  ],
  [
    { intervalPerDoublingSeconds: 600, intervalMaxSeconds: 2460 },
    "TRACKER_PEER_TIMEOUT is 45m, so peers would be forgotten between two announces: " +
      "choose more than 2706s",
  ],
  [{ targetRate: 1, intervalMaxSeconds: 1799 }, "TRACKER_INTERVAL_MAX is 1799s, shorter than"],
  [
    { rateLimitNetwork: 100 },
    "TRACKER_RATE_LIMIT_NETWORK is 100, less than one address of it may ask: choose at least 200",
  ],
  [{ tlsKeyFile: "/k" }, "TRACKER_TLS_KEY_FILE is set without TRACKER_TLS_CERT_FILE"],
])("%j breaks one rule", (changes, sentence) => {
  const found = problems(changes);
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith(sentence);
});

test("two lists in two files are fine", () => {
  expect(problems({ denyFile: "/a", allowFile: "/b" })).toEqual([]);
});

test("a rule says nothing of settings that could not be read", () => {
  expect(RULES.map((rule) => rule({} as Config))).toEqual(RULES.map(() => undefined));
});

test("a longest interval that nothing uses may be shorter than the usual one", () => {
  expect(problems({ intervalMaxSeconds: 60 })).toEqual([]);
});

test("intervals that follow the load need no longer timeout", () => {
  expect(problems({ targetRate: 1000, intervalMaxSeconds: 86_400 })).toEqual([]);
});
