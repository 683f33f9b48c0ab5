/** Peers behind the tracker's own NAT are stored under its public address. */
import { describe, expect, test } from "bun:test";
import { externalAddresses } from "../../src/gates/external-addresses.ts";
import { readAddress, writeAddress } from "../../src/net/addresses.ts";
import { AnnounceRequest } from "../../src/swarm/requests.ts";
import { Notes, notesMemory } from "../../src/notes/notes.ts";
import { largestPrivateShare } from "../../src/notes/private-share.ts";
import { FakeCore, open, openTracker, QUERY } from "../http/fixture.ts";
import { announceOf, Desk } from "../udp/fixture.ts";

const IPV4 = "203.0.113.9";
const IPV6 = "2001:db9::9";
const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";

/** The address and port that a peer is stored under which comes from `from` and claims `peer`. */
function stored(external: string[], from: string, peer = from): string {
  const request = new AnnounceRequest();
  const source = new Uint8Array(16);
  const sourceFamily = readAddress(from, source, 0) || 4;
  request.family = readAddress(peer, request.peer, 0) || 4;
  const portAt = request.family === 4 ? 4 : 16;
  request.peer.set([0x1a, 0xe1], portAt);
  const place = { address: source, addressAt: 0, family: sourceFamily };
  const addresses = externalAddresses(external);
  if (addresses?.has(request, place)) addresses.replace(request);
  expect([...request.peer.subarray(portAt, portAt + 2)]).toEqual([0x1a, 0xe1]);
  return writeAddress(request.peer, 0, request.family);
}

test.each([
  ["192.168.1.7", IPV4],
  ["10.1.2.3", IPV4],
  ["100.64.0.1", IPV4],
  ["127.0.0.1", IPV4],
  ["fd00::7", IPV6],
  ["::1", IPV6],
  ["198.51.100.7", "198.51.100.7"],
  ["2001:db8::7", "2001:db8::7"],
])("a peer at %s is stored at %s", (from, expected) => {
  expect(stored([IPV4, IPV6], from)).toBe(expected);
});

test("a family without an external address keeps its own", () => {
  expect(stored([IPV4], "fd00::7")).toBe("fd00::7");
  expect(stored([IPV6], "10.0.0.1")).toBe("10.0.0.1");
  expect(externalAddresses([])).toBeUndefined();
});

test("what a client claims stays, unless it is behind the NAT and so is what it claims", () => {
  expect(stored([IPV4], "198.51.100.7", "10.0.0.1")).toBe("10.0.0.1");
  expect(stored([IPV4], "10.0.0.1", "198.51.100.7")).toBe("198.51.100.7");
  expect(stored([IPV4], "10.0.0.1", "10.0.0.2")).toBe(IPV4);
});

describe("an announce from a private address", () => {
  const settings = { externalAddresses: [IPV4] };

  test("over HTTP reaches the core under the external one, and the client is told it", async () => {
    const core = new FakeCore();
    const http = open(core, settings);
    const answer = await http.read(`/announce?${QUERY}`, "192.168.1.7");
    expect(core.calls).toEqual([`7 ${HASH} cb00710959dc leecher 0 50 both`]);
    expect(answer.get("external ip")).toBe("\xcb\x00\x71\x09");
    const outside = await http.read(`/announce?${QUERY}`, "198.51.100.7");
    expect(core.calls.at(-1)).toBe(`7 ${HASH} c633640759dc leecher 0 50 both`);
    expect(outside.get("external ip")).toBe("\xc6\x33\x64\x07");
  });

  test("is accepted also where private addresses are refused: it has none", async () => {
    const core = new FakeCore();
    const http = open(core, { externalAddresses: ["8.8.4.4"], refusePrivate: true });
    await http.read(`/announce?${QUERY}`, "192.168.1.7");
    expect(core.calls).toHaveLength(1);
    const refused = await http.read(`/announce?${QUERY}`, "fd00::7");
    expect(refused.has("failure reason")).toBe(true);
  });

  test("over UDP is handed to others under the external one", () => {
    const desk = new Desk(settings);
    const inside = "192.168.1.7";
    desk.ask(announceOf(desk.id(inside), { port: 6881 }), inside);
    const reply = desk.ask(announceOf(desk.id(), { port: 7000 }));
    expect(reply.slice(40)).toBe("cb0071091ae1");
  });

  test("is noted as private, so that a NAT that hides all clients is still warned of", () => {
    const shared = notesMemory(1, { tickSeconds: 45, minimumSeconds: 900 });
    const notes = new Notes(shared, 0);
    const http = open(openTracker(), settings, () => true, undefined, { notes });
    for (let port = 5000; port < 5024; port++) {
      http.ask(`/announce?${QUERY.replace("23004", String(port))}`, "172.17.0.1");
    }
    expect(largestPrivateShare(shared.privateShare)).toBeGreaterThan(0.25);
  });
});
