/** The DNS records for a tracker's name. */
import { expect, test } from "bun:test";

import { dnsAdvice, type DnsFacts, trackerRecord } from "../../src/verbs/dns-advice.ts";

const FACTS: DnsFacts = {
  udpListeners: [{ host: "::", port: 6969 }],
  httpListeners: [
    { host: "::", port: 6969 },
    { host: "0.0.0.0", port: 6969 },
    { host: "::", port: 443 },
  ],
  interfaces: {
    lo: [
      { address: "127.0.0.1", family: "IPv4" },
      { address: "::1", family: "IPv6" },
    ],
    eth0: [
      { address: "10.1.2.3", family: "IPv4" },
      { address: "8.8.4.4", family: "IPv4" },
      { address: "fe80::1", family: "IPv6" },
      { address: "2a00:1450::5", family: "IPv6" },
    ],
  },
};

const records = (text: string) =>
  text.split("\n").filter((line) => line !== "" && !line.startsWith(";"));

test("the record of BEP 34 names each port once, UDP first", () => {
  expect(trackerRecord(FACTS)).toBe("BITTORRENT UDP:6969 TCP:6969 TCP:443");
  expect(trackerRecord({ ...FACTS, udpListeners: [] })).toBe("BITTORRENT TCP:6969 TCP:443");
});

test("loopback ports are left out, and the advice asks for the proxy's port", () => {
  const httpListeners = [{ host: "127.0.0.1", port: 6969 }];
  const udpListeners = [...FACTS.udpListeners, { host: "::1", port: 7 }];
  const facts = { ...FACTS, udpListeners, httpListeners };
  expect(trackerRecord(facts)).toBe("BITTORRENT UDP:6969");
  expect(dnsAdvice("t.example", facts)).toContain("add the port of its proxy, such as TCP:443");
  expect(dnsAdvice("t.example", FACTS)).not.toContain("proxy");
});

test("addresses are public, with a TTL of a day", () => {
  expect(records(dnsAdvice("tracker.example", FACTS))).toEqual([
    "tracker.example.         86400 IN A    8.8.4.4",
    "tracker.example.         86400 IN AAAA 2a00:1450::5",
    'tracker.example.         86400 IN TXT  "BITTORRENT UDP:6969 TCP:6969 TCP:443"',
  ]);
});

test("behind a NAT the addresses are those of the settings", () => {
  const facts = { ...FACTS, externalAddresses: ["198.41.100.9"] };
  expect(records(dnsAdvice("tracker.example", facts)).slice(0, 2)).toEqual([
    "tracker.example.         86400 IN A    198.41.100.9",
    "tracker.example.         86400 IN AAAA 2a00:1450::5",
  ]);
});

test("without a public address there is an example with a note", () => {
  const text = dnsAdvice("tracker.example.", { ...FACTS, interfaces: {} });
  expect(records(text).slice(0, 2)).toEqual([
    "tracker.example.         86400 IN A    192.0.2.1",
    "tracker.example.         86400 IN AAAA 2001:db8::1",
  ]);
  expect(text).toContain("; This machine has no public IPv4 address");
  expect(text).toContain("; This machine has no public IPv6 address");
});

test("no line is wider than a hundred columns", () => {
  for (const line of dnsAdvice("tracker.example", FACTS).split("\n")) {
    expect(line.length).toBeLessThanOrEqual(100);
  }
});
