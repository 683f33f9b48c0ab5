/** The HTTP client of the suite: what it sends, what it sees, and that it leaves. */
import { expect, test } from "bun:test";

import { countsOf, type HttpPlace, HttpWire } from "../../../src/verbs/conformance/http-wire.ts";
import { percent, readAnnounce, readPeers } from "../../../src/verbs/conformance/http-wire.ts";
import { ownPeer, Pace } from "../../../src/verbs/conformance/statements.ts";
import { FakeTracker } from "./fake-tracker.ts";
import { HASTY } from "./tried.ts";

function wireAt(url: string): HttpWire {
  const { hostname, port, host, pathname, search } = new URL(url);
  const place: HttpPlace = {
    ...{ address: hostname, port: Number(port), tls: undefined, host, pathname, search },
  };
  return new HttpWire(place, HASTY, new Pace(0));
}

const answer = (body: string, status = 200) => ({
  status,
  fields: new Map<string, string>(),
  body: Buffer.from(body, "latin1"),
});

test("a peer that was announced is stopped when the wire leaves", async () => {
  await using fake = new FakeTracker();
  const wire = wireAt(await fake.overHttp());
  await wire.announce(ownPeer());
  const [swarm] = fake.swarms.values();
  expect(swarm.peers.size).toBe(1);
  await wire.leave();
  expect(swarm.peers.size).toBe(0);
});

test("the query of the URL comes first, fields can be replaced and left out", () => {
  const wire = wireAt("http://127.0.0.1:1/x/announce?key=1");
  const target = wire.target(ownPeer(), { fields: { port: "0", left: undefined }, event: "none" });
  expect(target).toStartWith("/x/announce?key=1&info_hash=%");
  expect(target).toEndWith("&port=0&uploaded=0&downloaded=0&compact=1");
});

test("a scrape has its own path, if the URL has one", () => {
  const hash = Buffer.alloc(20, 255);
  expect(wireAt("http://h:1/a/announce.php?x").scrapeTarget([hash])).toBe(
    `/a/scrape.php?x&info_hash=${percent(hash)}`,
  );
  expect(() => wireAt("http://h:1/a").scrapeTarget([hash])).toThrow("the URL has no scrape");
});

test.each([
  ["<html>", "no bencoded dictionary"],
  ["d14:failure reason2:noe", "it is refused: no"],
  ["d5:peers0:e", "no number interval"],
  ["d8:intervali9e5:peers5:abcdee", "the peers have 5 bytes"],
  ["d8:intervali9e5:peersli1eee", "a peer has no text ip"],
])("an announce that gets %s is broken", (body, problem) => {
  expect(() => readAnnounce(answer(body))).toThrow(problem);
});

test("peers are read in both forms", () => {
  const bytes = readPeers("\x7f\0\0\x01\x01\x02", 6);
  const listed = readPeers(
    [
      new Map<string, string | number>([
        ["ip", "127.0.0.1"],
        ["port", 258],
      ]),
    ],
    6,
  );
  expect(bytes).toEqual([{ address: "7f000001", port: 258 }]);
  expect(listed).toEqual(bytes);
});

test("a swarm without counts is broken", () => {
  const hash = Buffer.alloc(20, 65);
  expect(() => countsOf(new Map(), hash)).toThrow("the answer does not have the swarm");
  const file = new Map([["complete", -1]]);
  const files = new Map([["A".repeat(20), file]]);
  expect(() => countsOf(files, hash)).toThrow("the swarm has no number complete");
});

test("an exchange is kept as text, with bytes that are not printable escaped", async () => {
  await using fake = new FakeTracker();
  const wire = wireAt(await fake.overHttp());
  await wire.announce(ownPeer());
  await wire.announce(ownPeer());
  expect(wire.exchanges[1].sent).toMatch(/^GET \/announce\?info_hash=%/);
  expect(wire.exchanges[1].came).toMatch(/^200 d8:completei0e.*\\x7f\\x00/);
});

test("a server that says nothing is a sentence", async () => {
  const wire = wireAt("http://127.0.0.1:1/announce");
  const refused = wire.announce(ownPeer());
  expect(refused).rejects.toThrow();
  await refused.catch(() => {});
  expect(wire.exchanges[0].came).not.toBe("");
});
