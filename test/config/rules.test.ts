/** Settings that do not go together. What each sentence says is in `config.test.ts`, too. */
import { expect, test } from "bun:test";

import type { Config } from "../../src/config/schema.ts";
import { readConfig } from "../../src/config/config.ts";
import { RULES } from "../../src/config/rules.ts";

function problems(changes: Partial<Config>, given: string[] = []): string[] {
  const result = readConfig({});
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  const { config, origins } = result;
  for (const variable of given) origins[variable] = "environment";
  return RULES.flatMap((rule) => rule({ ...config, ...changes }, origins) ?? []);
}

/** `127.0.0.1:80` and `::1:80` as listeners. */
function at(...texts: string[]) {
  return texts.map((text) => {
    const colon = text.lastIndexOf(":");
    return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)), tls: undefined };
  });
}

const SECURE = { tlsCertFile: "/c", tlsKeyFile: "/k" };

test("too few swarms for an address cannot be told from chance", () => {
  const memoryBytesMax = 16 * 2 ** 20;
  expect(problems({ memoryBytesMax, swarmsPerAddressMax: 64 })).toEqual([]);
  expect(problems({ memoryBytesMax, swarmsPerAddressMax: 63 })).toEqual([
    "TRACKER_SWARMS_PER_ADDRESS_MAX is 63, fewer than addresses can be told apart by in 16MiB: " +
      "choose at least 64",
  ]);
});

test("two settings that have no effect alone are set both, or none", () => {
  expect(problems({ tlsKeyFile: "/k" }, ["TRACKER_TLS_KEY_FILE"])).toEqual([
    "TRACKER_TLS_KEY_FILE is set without TRACKER_TLS_CERT_FILE: set both",
  ]);
  expect(problems(SECURE, ["TRACKER_TLS_KEY_FILE", "TRACKER_TLS_CERT_FILE"])).toEqual([]);
});

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
  [
    { ...SECURE, httpListeners: [{ host: "::", port: 80, tls: false }] },
    "TRACKER_TLS_CERT_FILE is set, but no address of TRACKER_HTTP_ADDRESS speaks HTTPS: ",
  ],
  [{ ...SECURE, httpListeners: [] }, "TRACKER_TLS_CERT_FILE is set, but no address"],
  [
    { denyFile: "/a/b", rulesFile: "/a/./b" },
    "TRACKER_DENY_FILE and TRACKER_RULES_FILE are the same file: each needs its own",
  ],
  [
    { allowFile: "/a", snapshotFile: "/a" },
    "TRACKER_ALLOW_FILE and TRACKER_SNAPSHOT_FILE are the same file: each needs its own",
  ],
  [
    { ...SECURE, snapshotFile: SECURE.tlsKeyFile },
    "TRACKER_TLS_KEY_FILE and TRACKER_SNAPSHOT_FILE are the same file: each needs its own",
  ],
  ...[".new", ".v1", ".v1.new"].map((end): [Partial<Config>, string] => [
    { denyFile: `/a/./b${end}`, snapshotFile: "/a/b" },
    `TRACKER_DENY_FILE is /a/./b${end}, which TRACKER_SNAPSHOT_FILE is written through or beside`,
  ]),
  [
    { tlsCertFile: "/c", tlsKeyFile: "/k.new", snapshotFile: "/k" },
    "TRACKER_TLS_KEY_FILE is /k.new, which TRACKER_SNAPSHOT_FILE is written through or beside: " +
      "choose another name",
  ],
  [
    { udpListeners: at(":::6969", "0.0.0.0:6969") },
    "TRACKER_UDP_ADDRESS has [::]:6969 and 0.0.0.0:6969, which cannot both be bound: keep one",
  ],
  [
    { udpListeners: at("127.0.0.1:1", "0.0.0.0:1") },
    "TRACKER_UDP_ADDRESS has 127.0.0.1:1 and 0.0.0.0:1, which cannot both be bound: keep one",
  ],
  [
    { httpListeners: at("127.0.0.1:6970") },
    "TRACKER_ADMIN_ADDRESS has 127.0.0.1:6970, where TRACKER_HTTP_ADDRESS answers at " +
      "127.0.0.1:6970 already: choose another port",
  ],
  [
    { adminListeners: at("fe80::1%eth0:6970") },
    "TRACKER_ADMIN_ADDRESS has [fe80::1%eth0]:6970, and the operator is not answered at link-",
  ],
  [
    { earlyAnnounces: "refuse", minIntervalSeconds: 0 } as const,
    "TRACKER_EARLY_ANNOUNCES is refuse, but with TRACKER_MIN_INTERVAL of 0s none is early",
  ],
  [
    { proxyHeader: "x-real-ip" },
    "TRACKER_PROXY_HEADER is x-real-ip, but without TRACKER_TRUSTED_PROXIES no header is",
  ],
  [
    { publicName: "a.example", allowHosts: ["b.example"] },
    "TRACKER_PUBLIC_NAME is a.example, under which TRACKER_ALLOW_HOSTS refuses announces",
  ],
])("%j breaks one rule", (changes, sentence) => {
  const found = problems(changes);
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith(sentence);
});

test("two lists in two files are fine", () => {
  expect(problems({ denyFile: "/a", allowFile: "/b" })).toEqual([]);
});

test.each([
  [{ udpListeners: at("127.0.0.1:1", "::1:1", "127.0.0.1:2") }],
  [{ udpListeners: at("0.0.0.0:1", "::1:1") }],
  [{ udpListeners: at("::1:0", ":::0") }],
  [{ httpListeners: at("127.0.0.1:6971") }],
  [{ ...SECURE, httpListeners: at(":::443") }],
  [{ tlsCertFile: "/both.pem", tlsKeyFile: "/both.pem" }],
  [{ proxyHeader: "x-real-ip", trustedProxies: ["127.0.0.1"] }],
  [{ publicName: "a.example", allowHosts: ["b.example", "a.example"] }],
  [{ publicName: "a.example" }],
])("%j breaks none", (changes) => {
  expect(problems(changes)).toEqual([]);
});

test("a rule says nothing of settings that could not be read", () => {
  expect(RULES.map((rule) => rule({} as Config, {}))).toEqual(RULES.map(() => undefined));
});

test("a longest interval that nothing uses may be shorter, unless somebody set it", () => {
  expect(problems({ intervalSeconds: 7201, peerTimeoutSeconds: 9000 })).toEqual([]);
  const [found] = problems({ intervalMaxSeconds: 60 }, ["TRACKER_INTERVAL_MAX"]);
  expect(found).toBe(
    "TRACKER_INTERVAL_MAX is 1m, shorter than TRACKER_INTERVAL: choose at least 30m",
  );
});

test("intervals that follow the load need no longer timeout", () => {
  expect(problems({ targetRate: 1000, intervalMaxSeconds: 86_400 })).toEqual([]);
});
