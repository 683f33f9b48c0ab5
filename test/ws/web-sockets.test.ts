import { expect, test } from "bun:test";
import { Access, openToAll } from "../../src/access/access.ts";
import { readHashFile } from "../../src/access/hash-file.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { Limits } from "../../src/limits/limits.ts";
import { countRules, shareRules } from "../../src/limits/request-rules.ts";
import { readRules } from "../../src/limits/rule-lines.ts";
import type { Takeover } from "../../src/net/tunnel.ts";
import { atOnce, text } from "../access/fixture.ts";
import { openTracker } from "../http/fixture.ts";
import { FakeClient, FakeLine, HASH, offersOf } from "./fixture.ts";
import { openSockets, upgradeRequest } from "./sockets-fixture.ts";
import { hash20 } from "./some-words.ts";

function join(
  { sockets }: ReturnType<typeof openSockets>,
  origin = "https://a.example",
  { from = "192.0.2.1", peerId = "-WW0208-123456789012" } = {},
) {
  const request = upgradeRequest({ from, headers: { Origin: origin } });
  const line = new FakeLine({ tick: 0 });
  const tunnel = (sockets.upgrade(request) as Takeover).begin(line)!;
  return new FakeClient(line, tunnel, peerId);
}

/** What is passed on is sent at the end of a turn of the event loop. */
const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

test("the figures follow connections, swarms and peers", () => {
  const opened = openSockets();
  const { sockets } = opened;
  const [a, b] = [join(opened), join(opened, "https://b.example")];
  a.announce({ left: 0 });
  b.announce({ info_hash: hash20(1) });
  const figures = () => [sockets.connections, sockets.swarms, sockets.seeders, sockets.leechers];
  expect(figures()).toEqual([2, 2, 1, 1]);
  expect(sockets.largestOrigins(20)).toEqual([
    { origin: "https://a.example", connections: 1 },
    { origin: "https://b.example", connections: 1 },
  ]);
  a.leave();
  b.leave();
  expect(figures()).toEqual([0, 0, 0, 0]);
  expect(sockets.largestOrigins(20)).toEqual([]);
});

test("a connection that ends by itself is counted once", () => {
  const opened = openSockets();
  const client = join(opened);
  client.tunnel.stop();
  expect(opened.sockets.closes.shutdown).toBe(1);
  client.leave();
  expect(opened.sockets.connections).toBe(0);
});

test("swarms that the lists refuse are removed with their peers; the others stay", () => {
  const keys = openTracker().store.memory.keys;
  const access = new Access(openToAll(keys));
  const opened = openSockets({ access, settings: { peersMax: 100_000 } });
  const client = join(opened);
  for (let i = 0; i < 600; i++) client.announce({ info_hash: hash20(i) });
  const denied = [3, 4, 599].map((i) => Buffer.from(hash20(i)).toString("hex"));
  const deny = atOnce(readHashFile(text(denied.join("\n")), keys)).list.memory;
  access.update({ ...openToAll(keys), deny });
  const work = opened.sockets.evictRefused();
  let slices = 1;
  let step = work.next();
  for (; step.done !== true; step = work.next()) slices += 1;
  expect([step.value, slices, opened.sockets.swarms]).toEqual([3, 3, 597]);
  expect(client.announce({ info_hash: hash20(3) })[0]!["failure reason"]).toBe(
    "this info hash is denied here",
  );
  expect(client.announce({ info_hash: hash20(5) })[0]!["incomplete"]).toBe(1);
});

test("peers that a new rule refuses are removed, and the rule counts none of them", () => {
  const limits = new Limits();
  const opened = openSockets({ limits });
  const [old, other] = [
    join(opened, "", { peerId: "-WW0001-123456789012" }),
    join(opened, "", { from: "203.0.113.5", peerId: "-WW0208-abcdefabcdef" }),
  ];
  old.announce({ left: 0 });
  other.announce();
  const kept = join(opened);
  kept.announce();
  const rules = 'count peer-id=-WW\nrefuse "old" peer-id=-WW0001\ndrop network=203.0.113.0/24\n';
  const shared = shareRules(readRules(rules).rules, 1);
  limits.rules.update(shared);
  atOnce(opened.sockets.evictRefused());
  expect([opened.sockets.seeders, opened.sockets.leechers]).toEqual([0, 1]);
  expect(countRules(shared).every((count) => count === 0)).toBe(true);
  expect(kept.announce()[0]!["incomplete"]).toBe(1);
});

test("a network that is denied later gets no offers, counts or answers any more", async () => {
  const { keys } = openTracker().store.memory;
  const access = new Access(openToAll(keys));
  const opened = openSockets({ access });
  const denied = Array.from({ length: 3 }, (_, i) =>
    join(opened, "", { from: `203.0.113.${i}`, peerId: `-WW0208-denied00000${i}` }),
  );
  const other = join(opened);
  for (const client of denied) client.announce({ left: 0 });
  other.announce({ offers: offersOf(3) });
  await endOfTurn();
  const [offer] = denied[0]!.heard();
  const networks = atOnce(readNetworkFile(text("203.0.113.0/24"))).list.memory;
  access.update({ ...openToAll(keys), networks });
  const scrape = { action: "scrape", info_hash: HASH };
  const answer = { type: "answer", sdp: "v=0 late" };
  const late = { action: "announce", info_hash: HASH, answer, to_peer_id: other.peerId };
  const mine = { peer_id: denied[0]!.peerId, offer_id: offer!["offer_id"] };
  expect(denied[0]!.say({ ...late, ...mine })).toEqual([]);
  await endOfTurn();
  expect(other.heard()).toEqual([]);
  expect(denied[1]!.say(scrape).at(-1)!["failure reason"]).toBe("your network is denied here");
  denied[2]!.heard();
  atOnce(opened.sockets.evictRefused());
  expect([opened.sockets.seeders, opened.sockets.leechers]).toEqual([0, 1]);
  other.announce({ offers: offersOf(3, "later") });
  await endOfTurn();
  expect(denied.flatMap((client) => client.heard())).toEqual([]);
});
