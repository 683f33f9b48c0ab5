import { describe, expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import {
  countRules,
  PORT_NONE,
  RequestRules,
  RULE_NONE,
  shareRules,
} from "../../src/limits/request-rules.ts";
import { readRules } from "../../src/limits/rule-lines.ts";
import { readAddress } from "../../src/net/addresses.ts";

const PEER_ID = new TextEncoder().encode("-XX1234-abcdefghijkl");

const share = (text: string, threads = 1) => shareRules(readRules(text).rules, threads);

interface Asked {
  from: string;
  port: number;
  peerId: Uint8Array | undefined;
  headers: Record<string, string>;
}

/** The line that decides over an HTTP announce, 0 if none does. */
function overHttp(rules: RequestRules, asked: Partial<Asked> = {}): number {
  const { from = "192.0.2.1", port = 6881, headers = {} } = asked;
  const peerId = "peerId" in asked ? asked.peerId : PEER_ID;
  const bytes = new Uint8Array(16);
  const family = readAddress(from, bytes, 0) as Family;
  const verdict = rules.judge({
    address: bytes,
    addressAt: 0,
    family,
    port,
    peerId: peerId ?? PEER_ID,
    peerIdAt: peerId === undefined ? -1 : 0,
    head: new Headers(headers),
  });
  return verdict === RULE_NONE ? 0 : rules.rule(verdict).line;
}

/** The same over UDP, where the peer id stands at 36. */
function overUdp(rules: RequestRules, asked: Partial<Asked> = {}): number {
  const { from = "192.0.2.1", port = 6881 } = asked;
  const bytes = new Uint8Array(20);
  const family = readAddress(from, bytes, 4) as Family;
  const packet = new Uint8Array(98);
  packet.set(PEER_ID, 36);
  const at = "peerId" in asked && asked.peerId === undefined ? -1 : 36;
  const verdict = rules.judge({
    address: bytes,
    addressAt: 4,
    family,
    port,
    peerId: packet,
    peerIdAt: at,
    head: undefined,
  });
  return verdict === RULE_NONE ? 0 : rules.rule(verdict).line;
}

const both = (text: string, asked: Partial<Asked>): [number, number] => {
  const shared = share(text);
  return [
    overHttp(new RequestRules(0, shared), asked),
    overUdp(new RequestRules(0, shared), asked),
  ];
};

describe("over HTTP and UDP, a rule matches", () => {
  test("for an address in its network, of the same family only", () => {
    expect(both("drop network=192.0.2.0/25", { from: "192.0.2.127" })).toEqual([1, 1]);
    expect(both("drop network=192.0.2.0/25", { from: "192.0.2.128" })).toEqual([0, 0]);
    expect(both("drop network=2001:db8::/33", { from: "2001:db8:7fff::" })).toEqual([1, 1]);
    expect(both("drop network=2001:db8::/33", { from: "2001:db8:8000::" })).toEqual([0, 0]);
    expect(both("drop network=::/0", { from: "192.0.2.1" })).toEqual([0, 0]);
  });

  test("for a port in its range", () => {
    expect(both("drop port=80-90", { port: 80 })).toEqual([1, 1]);
    expect(both("drop port=80-90", { port: 90 })).toEqual([1, 1]);
    expect(both("drop port=80-90", { port: 79 })).toEqual([0, 0]);
    expect(both("drop port=80-90", { port: 91 })).toEqual([0, 0]);
    expect(both("drop port=0", { port: 0 })).toEqual([1, 1]);
  });

  test("for a peer id that begins with its prefix", () => {
    expect(both("drop peer-id=-XX1", {})).toEqual([1, 1]);
    expect(both("drop peer-id=-XX2", {})).toEqual([0, 0]);
    expect(both("drop peer-id=-xx1", {})).toEqual([0, 0]);
  });

  test("not for a request without a port or peer id, such as a scrape", () => {
    expect(both("drop port=0-65535", { port: PORT_NONE })).toEqual([0, 0]);
    expect(both("drop peer-id=-XX", { peerId: undefined })).toEqual([0, 0]);
    expect(both("drop network=192.0.2.1", { port: PORT_NONE, peerId: undefined })).toEqual([1, 1]);
  });

  test("only if all its conditions match", () => {
    const rule = "drop network=192.0.2.1 port=6881 peer-id=-XX";
    expect(both(rule, {})).toEqual([1, 1]);
    expect(both(rule, { from: "192.0.2.2" })).toEqual([0, 0]);
    expect(both(rule, { port: 6882 })).toEqual([0, 0]);
    expect(both(rule, { peerId: undefined })).toEqual([0, 0]);
  });
});

describe("a condition on a header", () => {
  test.each([
    ["Bad/1.0", "bad/1.0", true],
    ["Bad/1.0", "Bad/1.0.1", false],
    ["Bad*", "badger", true],
    ["Bad*", "a bad", false],
    ["*Bad", "so bad", true],
    ["*Bad", "badger", false],
    ["*Bad*", "a badger", true],
    ["*Bad*", "good", false],
    ["*", "x", true],
    ["*", "", false],
    ["**", "", false],
    ['""', "", true],
    ['""', "x", false],
  ])("that is %s holds or not for %p", (condition, value, holds) => {
    const rules = new RequestRules(0, share(`drop user-agent=${condition}`));
    const headers: Record<string, string> = value === "" ? {} : { "User-Agent": value };
    expect(overHttp(rules, { headers })).toBe(holds ? 1 : 0);
  });

  test("never matches a datagram", () => {
    expect(overUdp(new RequestRules(0, share('drop user-agent=""')))).toBe(0);
  });

  test("reads each header once, and only if all other conditions match", () => {
    const rules = new RequestRules(
      0,
      share("count port=1 header:a=x\ncount user-agent=a*\ncount user-agent=b*"),
    );
    const asked: string[] = [];
    const source = { get: (name: string) => (asked.push(name), "bcd") };
    const request = {
      address: new Uint8Array(16),
      addressAt: 0,
      family: 4,
      port: 6881,
      peerId: PEER_ID,
      peerIdAt: -1,
      head: source,
    } as const;
    expect(rules.judge(request)).toBe(RULE_NONE);
    expect(asked).toEqual(["user-agent"]);
  });

  test("reads it again in the next request", () => {
    const rules = new RequestRules(0, share("drop user-agent=a"));
    expect(overHttp(rules, { headers: { "user-agent": "a" } })).toBe(1);
    expect(overHttp(rules, { headers: { "user-agent": "b" } })).toBe(0);
  });
});

test("the first rule that refuses or drops decides; rules that count do not", () => {
  const text = 'count port=6881\nrefuse "a" port=6881\ndrop port=6881\ncount port=6881 peer-id=-';
  const shared = share(text);
  expect(overHttp(new RequestRules(0, shared))).toBe(2);
  expect(overUdp(new RequestRules(0, shared))).toBe(2);
  expect(countRules(shared)).toEqual([2, 2, 0, 0]);
});

test("the counts of all threads are added", () => {
  const shared = share("drop port=6881\ncount port=1", 3);
  for (const thread of [0, 2]) overUdp(new RequestRules(thread, shared));
  expect(countRules(shared)).toEqual([2, 0]);
});

test("without rules no header is read", () => {
  const rules = new RequestRules(0);
  expect(rules.empty).toBe(true);
  expect([overHttp(rules), overUdp(rules)]).toEqual([0, 0]);
  rules.update(share("drop port=6881"));
  expect(rules.empty).toBe(false);
  expect([overHttp(rules), overUdp(rules)]).toEqual([1, 1]);
  rules.update(share(""));
  expect([overHttp(rules), overUdp(rules)]).toEqual([0, 0]);
});
