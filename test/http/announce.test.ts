import { expect, test } from "bun:test";
import { repliesSize } from "../../src/http/announce.ts";
import { createHttp } from "../../src/http/routes.ts";
import { counterMemory, Counters } from "../../src/counters/counters.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { AllowedHosts, HostReport } from "../../src/notes/hosts.ts";
import { Notes, notesMemory } from "../../src/notes/notes.ts";
import { Tallies } from "../../src/notes/tally.ts";
import { NOT_STORED_CLAIM, NOT_STORED_MEMORY } from "../../src/swarm/requests.ts";
import { limitsOf } from "../limits/fixture.ts";
import { answerOf, FakeCore, HASH, HASH_HEX, latin1, open, openTracker } from "./fixture.ts";
import { PEER_ID, QUERY, SETTINGS } from "./fixture.ts";

const ANNOUNCE = `/announce?${QUERY}`;

test("an announce reaches the core as its bytes", async () => {
  const core = new FakeCore();
  await open(core).read(
    `/announce?info_hash=${HASH}&peer_id=${PEER_ID}&port=23004&left=0&numwant=9`,
  );
  expect(core.calls).toEqual([`7 ${HASH_HEX} c000020159dc seeder 0 9 both`]);
});

test("an announce over IPv6 reaches the core as IPv6, a v4-mapped one as IPv4", async () => {
  const core = new FakeCore();
  const { read } = open(core);
  await read(`${ANNOUNCE}&event=started`, "2001:db8::1");
  await read(`${ANNOUNCE}&event=stopped`, "::ffff:192.0.2.1");
  expect(core.calls).toEqual([
    `7 ${HASH_HEX} 20010db800000000000000000000000159dc leecher 2 50 both`,
    `7 ${HASH_HEX} c000020159dc leecher 3 50 both`,
  ]);
});

test.each([
  ["", 50],
  ["&numwant=0", 0],
  ["&numwant=-1", 50],
  ["&numwant=junk", 50],
  ["&numwant=200", 200],
  ["&numwant=201", 200],
  ["&numwant=4294967296", 200],
])("an announce with %p wants %d peers", async (extra, wanted) => {
  const core = new FakeCore();
  await open(core).read(ANNOUNCE + extra);
  expect(core.request.wanted).toBe(wanted);
});

test("the reply says what the core answered", async () => {
  const core = new FakeCore();
  Object.assign(core.reply, { seeders: 3, leechers: 4, downloads: 5 });
  core.peersIpv4 = "010203041ae1";
  core.peersIpv6 = "20010db80000000000000000000000011ae1";
  expect(await open(core).read(ANNOUNCE)).toEqual(
    new Map<string, string | number>([
      ["complete", 3],
      ["downloaded", 5],
      ["external ip", latin1("c0000201")],
      ["incomplete", 4],
      ["interval", 1800],
      ["min interval", 900],
      ["peers", latin1("010203041ae1")],
      ["peers6", latin1("20010db80000000000000000000000011ae1")],
    ]),
  );
});

test("compact=0 is answered in the list form", async () => {
  const core = new FakeCore();
  core.peersIpv4 = "010203041ae1";
  const reply = await open(core).read(`${ANNOUNCE}&compact=0`);
  expect(reply.get("peers")).toEqual([{ ip: "1.2.3.4", port: 6881 }]);
  expect(reply.has("peers6")).toBe(false);
});

test("peers is there for a client over IPv6 too, and peers6 beside it", async () => {
  const reply = await open(new FakeCore()).read(ANNOUNCE, "2001:db8::1");
  expect([reply.get("peers"), reply.get("peers6")]).toEqual(["", ""]);
  expect(reply.get("external ip")).toBe(latin1("20010db8000000000000000000000001"));
});

test("a peer that does not fit into memory gets a warning, one that stops does not", async () => {
  const core = new FakeCore();
  core.reply.stored = false;
  core.reply.notStored = NOT_STORED_MEMORY;
  const { read } = open(core);
  expect((await read(ANNOUNCE)).get("warning message")).toBe(
    "the tracker is full: other peers will not see you",
  );
  expect((await read(`${ANNOUNCE}&port=0`)).has("warning message")).toBe(false);
  expect((await read(`${ANNOUNCE}&event=stopped`)).has("warning message")).toBe(false);
});

test.each([
  ["no info hash", `/announce?port=1`, "info_hash is missing"],
  [
    "no port",
    `/announce?info_hash=${HASH}`,
    "port is missing: add the port you listen on, or 0 if none",
  ],
  ["a port too high", `${ANNOUNCE}&port=65536`, "port must be a number from 0 to 65535"],
])(
  "an announce with %s is refused with a sentence and does not reach the core",
  async (_, target, reason) => {
    const core = new FakeCore();
    const { read, counters } = open(core);
    expect(await read(target)).toEqual(new Map([["failure reason", reason]]));
    expect(core.calls).toEqual([]);
    expect(counters.total("http:query")).toBe(1);
    expect(counters.total("httpAnnouncesIpv4")).toBe(0);
  },
);

test.each([
  ["a client that has hung up", null, {}, "your address is unknown: try again"],
  ["a multicast address", "224.0.0.1", {}, "your address cannot be the address of a peer"],
  ["an unspecified address", "::", {}, "your address cannot be the address of a peer"],
  [
    "a private address, if these are refused",
    "192.168.1.2",
    { refusePrivate: true },
    "private addresses are not accepted: announce from a public address",
  ],
  [
    "a trusted proxy that names no client",
    "192.0.2.1",
    { trustedProxies: ["192.0.2.0/24"] },
    "the proxy in front of this tracker did not send your address: tell the operator",
  ],
])("%s is refused with a sentence", async (_, from, settings, reason) => {
  const core = new FakeCore();
  const { read, counters } = open(core, settings);
  expect(await read(ANNOUNCE, from)).toEqual(new Map([["failure reason", reason]]));
  expect(core.calls).toEqual([]);
  expect(counters.total("http:address")).toBe(1);
  expect(counters.total("http:query")).toBe(0);
});

test("private addresses are accepted unless a setting refuses them", async () => {
  const core = new FakeCore();
  await open(core).read(ANNOUNCE, "127.0.0.1");
  expect(core.calls).toHaveLength(1);
});

test("behind a trusted proxy the peer is the client that the proxy names", async () => {
  const core = new FakeCore();
  const { read } = open(core, { trustedProxies: ["192.0.2.0/24"] });
  const headers = { "x-forwarded-for": "8.8.8.8, 203.0.113.9" };
  const reply = await read(ANNOUNCE, "192.0.2.1", { headers });
  expect(core.calls).toEqual([`7 ${HASH_HEX} cb00710959dc leecher 0 50 both`]);
  expect(reply.get("external ip")).toBe(latin1("cb007109"));
});

/** The peer stored for an announce with claimed addresses. */
async function believed(extra: string, from: string, allowIpParameter: boolean): Promise<string> {
  const core = new FakeCore();
  await open(core, { allowIpParameter }).read(ANNOUNCE + extra, from);
  return core.calls[0].split(" ")[2];
}

test("claimed addresses are ignored unless a setting allows them", async () => {
  const claims = "&ip=198.41.0.1&ipv4=198.41.0.2&ipv6=2a00::2";
  expect(await believed(claims, "192.0.2.1", false)).toBe("c000020159dc");
});

test.each([
  ["&ip=198.41.0.1", "192.0.2.1", "c629000159dc"],
  ["&ip=%5B2a00::2%5D:80", "192.0.2.1", "2a00000000000000000000000000000259dc"],
  ["&ipv4=198.41.0.2&ipv6=2a00::2", "192.0.2.1", "c629000259dc"],
  ["&ipv4=198.41.0.2&ipv6=2a00::2", "2001:db8::1", "2a00000000000000000000000000000259dc"],
  // What the tracker sees is useless, so an address of the other family is better.
  ["&ipv6=2a00::2", "10.0.0.1", "2a00000000000000000000000000000259dc"],
  ["&ip=10.0.0.1&ipv4=198.41.0.2", "fd00::1", "c629000259dc"],
  // It is useful: peers of its family would not find the client under another.
  ["&ip=2a00::2", "198.41.0.9", "c629000959dc"],
  ["&ip=2a00::2&ipv4=198.41.0.2", "198.41.0.9", "c629000259dc"],
  ["&ipv6=2a00::2", "198.41.0.9", "c629000959dc"],
  ["&ip=198.41.0.2", "2a00::9", `2a${"00".repeat(14)}0959dc`],
  ["&ip=garbage", "192.0.2.1", "c000020159dc"],
  ["&ip=", "192.0.2.1", "c000020159dc"],
])("where allowed, %p from %s is believed as far as it makes sense", async (extra, from, peer) => {
  expect(await believed(extra, from, true)).toBe(peer);
});

test.each([
  ...["0.0.0.0", "127.0.0.1", "10.0.0.5", "192.168.1.5", "172.16.0.1", "100.64.0.1", "169.254.1.1"],
  ...["224.0.0.1", "255.255.255.255", "203.0.113.1", "::ffff:10.0.0.5"],
  ...["::", "::1", "fe80::1", "fd00::1", "ff02::1", "2001:db8::2", "2002:a00:5::1"],
])("%s cannot be seen from outside: a claim of it is passed over", async (claim) => {
  expect(await believed(`&ip=${claim}`, "198.41.0.9", true)).toBe("c629000959dc");
  expect(await believed(`&ipv4=${claim}`, "198.41.0.9", true)).toBe("c629000959dc");
  expect(await believed(`&ipv6=${claim}`, "2a00::9", true)).toBe(`2a${"00".repeat(14)}0959dc`);
  // What else the client says of itself counts.
  expect(await believed(`&ip=${claim}&ipv4=198.41.0.2`, "192.0.2.1", true)).toBe("c629000259dc");
});

test("the core gets the source of a claim, and no source without a claim", async () => {
  const core = new FakeCore();
  const { request } = core;
  const { read } = open(core, { allowIpParameter: true, trustedProxies: ["192.0.2.1"] });
  const ask = async (extra: string, from: string, forwarded?: string) => {
    const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
    await read(ANNOUNCE + extra, from, { headers });
    const size = request.sourceFamily === 4 ? 6 : 18;
    return request.claimed ? request.source.slice(0, size).toHex() : "";
  };
  expect(await ask("&ip=198.41.0.1", "198.41.0.9")).toBe("c629000959dc");
  expect(await ask("&ip=2a00::1", "10.0.0.9")).toBe("0a00000959dc");
  expect(await ask("&ip=198.41.0.1", "fd00::9")).toBe(`fd${"00".repeat(14)}0959dc`);
  expect(await ask("&ip=198.41.0.1", "192.0.2.1", "198.41.0.8")).toBe("c629000859dc");
  expect(await ask("&ip=198.41.0.8", "192.0.2.1", "198.41.0.8")).toBe("");
  expect(await ask("&ip=198.41.0.9", "198.41.0.9")).toBe("");
  expect(await ask("", "198.41.0.9")).toBe("");
});

test("a claim that the core refuses is answered, with a warning", async () => {
  const core = new FakeCore();
  core.reply.stored = false;
  core.reply.notStored = NOT_STORED_CLAIM;
  const { read } = open(core, { allowIpParameter: true });
  const reply = await read(`${ANNOUNCE}&ip=198.41.0.1`);
  expect(reply.get("warning message")).toMatch(/^another client has the claimed address/);
});

test("a peer with an address of this machine is answered, but not stored", async () => {
  const { limits } = limitsOf({ own: ["192.0.2.7", "2001:db8::7", "198.41.0.7"] });
  const core = new FakeCore();
  const { read, counters } = open(core, { allowIpParameter: true }, () => true, limits);
  const stored = async (extra: string, from: string) => {
    const reply = await read(ANNOUNCE + extra, from);
    expect(reply.get("interval")).toBe(1800);
    return core.calls.at(-1)!.split(" ")[2].slice(-4) !== "0000";
  };
  expect(await stored("", "192.0.2.7")).toBe(false);
  expect(await stored("", "2001:db8::7")).toBe(false);
  expect(await stored("&ip=198.41.0.7", "203.0.113.1")).toBe(false);
  expect(await stored("&ip=198.41.0.2", "192.0.2.7")).toBe(true);
  expect(await stored("", "192.0.2.8")).toBe(true);
  expect(counters.total("httpOwnAddresses")).toBe(3);
});

test("a peer at an address of this machine gets no warning about full memory", async () => {
  const core = new FakeCore();
  core.reply.stored = false;
  core.reply.notStored = NOT_STORED_MEMORY;
  const { read } = open(core, {}, () => true, limitsOf({ own: ["192.0.2.7"] }).limits);
  expect((await read(ANNOUNCE, "192.0.2.7")).has("warning message")).toBe(false);
  expect((await read(ANNOUNCE, "192.0.2.8")).has("warning message")).toBe(true);
});

test("a claimed address is not shown as the external one", async () => {
  const { read } = open(new FakeCore(), { allowIpParameter: true });
  expect((await read(`${ANNOUNCE}&ip=198.41.0.1`)).get("external ip")).toBe(latin1("c0000201"));
});

test("announces are counted by family and by event", async () => {
  const { read, counters } = open(new FakeCore());
  await read(ANNOUNCE);
  await read(`${ANNOUNCE}&event=started`, "2001:db8::1");
  await read(`${ANNOUNCE}&event=completed`, "2001:db8::1");
  await read(`${ANNOUNCE}&event=paused`);
  await read(`${ANNOUNCE}&event=stopped`);
  const counts = (
    ["httpAnnouncesIpv4", "httpAnnouncesIpv6", "eventNone", "eventStarted"] as const
  ).map((name) => counters.total(name));
  expect(counts).toEqual([3, 2, 1, 1]);
  expect(counters.total("eventCompleted")).toBe(1);
  expect(counters.total("eventPaused")).toBe(1);
  expect(counters.total("eventStopped")).toBe(1);
});

test("a reply buffer that is too small for the peers of both families is an error", () => {
  expect(repliesSize(200)).toBe(200 * 6 + 200 * 18);
  expect(() => open(new FakeCore(), { numwantMax: 201 })).toThrow("needs 4824 bytes");
});

test("over the real core two peers find each other, and a stopped peer is forgotten", async () => {
  const { read } = open(openTracker());
  await read(`${ANNOUNCE}&event=started&left=0`, "198.51.100.7");
  const found = await read(`${ANNOUNCE}&event=started`, "192.0.2.1");
  expect(found.get("peers")).toBe(latin1("c633640759dc"));
  expect([found.get("complete"), found.get("incomplete")]).toEqual([1, 1]);
  const stopped = await read(`${ANNOUNCE}&event=stopped&left=0`, "198.51.100.7");
  expect([stopped.get("complete"), stopped.get("incomplete")]).toEqual([0, 1]);
  expect(stopped.get("peers")).toBe("");
});

test("over the real core a client of either family gets peers of both", async () => {
  const { read } = open(openTracker());
  await read(ANNOUNCE, "192.0.2.1");
  const found = await read(ANNOUNCE, "2001:db8::1");
  expect(found.get("peers")).toBe(latin1("c000020159dc"));
  expect(found.get("peers6")).toBe("");
  const back = await read(ANNOUNCE, "192.0.2.1");
  expect(back.get("peers")).toBe("");
  expect(back.get("peers6")).toBe(latin1("20010db800000000000000000000000159dc"));
});

test("over the real core a peer with port 0 is answered but not stored", async () => {
  const { read } = open(openTracker());
  const reply = await read(`${ANNOUNCE}&port=0`);
  expect([reply.get("complete"), reply.get("incomplete")]).toEqual([0, 0]);
  expect(reply.has("warning message")).toBe(false);
});

test("over the real core a link-local peer is answered and given to nobody", async () => {
  const { read } = open(openTracker());
  expect((await read(ANNOUNCE, "fe80::1")).get("incomplete")).toBe(0);
  const other = await read(ANNOUNCE, "fe80::2");
  expect([other.get("incomplete"), other.get("peers6")]).toEqual([0, ""]);
});

test("an early announce gets no peers, if set, and the rest of its interval", async () => {
  const { limits } = limitsOf({ settings: { refuseEarly: true } });
  const { read } = open(openTracker(), {}, () => true, limits);
  await read(ANNOUNCE, "192.0.2.9");
  expect(await read(ANNOUNCE)).toEqual(await read(`${ANNOUNCE}&event=started`));
  const early = await read(ANNOUNCE);
  expect([early.get("failure reason"), early.get("peers")]).toEqual([undefined, ""]);
  expect([early.get("interval"), early.get("min interval")]).toEqual([1755, 900]);
  expect([early.get("complete"), early.get("incomplete")]).toEqual([0, 2]);
});

test("a host that is not allowed is refused and noted", async () => {
  const tracker = openTracker();
  const notes = notesMemory(1, { tickSeconds: 45, minimumSeconds: 900 });
  const http = createHttp({
    tracker,
    counters: new Counters(counterMemory(1), 0),
    intervals: new Intervals({ interval: 1800, jitterPercent: 0, minimum: 900 }),
    now: () => 7,
    ready: () => true,
    notes: new Notes(notes, 0),
    allowedHosts: new AllowedHosts(["tracker.example"]),
    settings: { ...SETTINGS, warningMessage: "use UDP" },
  });
  const announce = async (host: string) => {
    const answer = await answerOf(http, { target: ANNOUNCE, headers: { Host: host } });
    return answer.text();
  };
  expect(await announce("tracker.example:6969")).toEndWith("15:warning message7:use UDPe");
  expect(await announce("free.rider")).toStartWith("d14:failure reason66:this tracker does not");
  expect(new HostReport(notes.hosts).hosts(9)).toEqual([
    { name: "free.rider", count: 1 },
    { name: "tracker.example:6969", count: 1 },
  ]);
  expect(new Tallies(notes.tally).wanted()[50]).toBe(1);
});
