import { describe, expect, test } from "bun:test";
import type { WsConnection } from "../../src/ws/ws-connection.ts";
import { swarmsLeftBy } from "../../src/ws/ws-swarms.ts";
import { frame, HASH, type Json, offersOf, openEngine } from "./fixture.ts";
import { hash20 } from "./some-words.ts";

const answerTo = (offer: Json, members: Json = {}): Json => ({
  action: "announce",
  info_hash: HASH,
  to_peer_id: offer["peer_id"],
  offer_id: offer["offer_id"],
  answer: { type: "answer", sdp: "v=0 answer" },
  ...members,
});

describe("an offer", () => {
  test("is passed on to another peer, with nothing of it but type and text", () => {
    const { join } = openEngine();
    const [a, b] = [join(), join()];
    a.announce();
    const [offer] = offersOf(1);
    b.announce({ offers: [{ ...offer, offer: { ...offer!["offer"], more: 1 } }], key: "secret" });
    expect(a.heard()).toEqual([
      {
        action: "announce",
        offer: { type: "offer", sdp: "sdp of o0" },
        offer_id: offer!["offer_id"],
        peer_id: b.peerId,
        info_hash: HASH,
      },
    ]);
  });

  test("never comes back to its sender, and each receiver gets one of an announce", () => {
    const { join, counters } = openEngine();
    const others = Array.from({ length: 7 }, () => join());
    for (const other of others) other.announce();
    const client = join();
    const replies = client.announce({ offers: offersOf(10) });
    expect(replies.length).toBe(1);
    const got = others.map((other) => other.heard());
    expect(got.map((messages) => messages.length)).toEqual(others.map(() => 1));
    expect(new Set(got.map(([offer]) => offer!["offer_id"])).size).toBe(7);
    expect(counters.total("websocketOffers")).toBe(7);
  });

  test("of a seeder goes to leechers only, of a leecher to anybody", () => {
    const { join } = openEngine();
    const seeders = Array.from({ length: 5 }, () => join());
    for (const seeder of seeders) seeder.announce({ left: 0 });
    const [leecher, seeder] = [join(), join()];
    leecher.announce();
    seeder.announce({ left: 0, offers: offersOf(6) });
    expect(leecher.heard().length).toBe(1);
    expect(seeders.flatMap((each) => each.heard())).toEqual([]);
    leecher.announce({ offers: offersOf(6) });
    expect([...seeders, seeder].map((each) => each.heard().length)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test("with characters beyond ASCII and lone surrogates arrives as it was sent", () => {
    const { join } = openEngine();
    const [a, b] = [join(), join()];
    a.announce();
    const sdp = 'é€😀\ud800"\\\u0000\u2028';
    b.announce({ offers: [{ offer: { type: "offer", sdp }, offer_id: "é".repeat(20) }] });
    const [offer] = a.heard();
    expect([offer!["offer"].sdp, offer!["offer_id"]]).toEqual([sdp, "é".repeat(20)]);
  });

  test("of the longest kind fits a frame", () => {
    const { join } = openEngine();
    const [a, b] = [join(), join()];
    a.announce();
    for (const char of ["x", "é", "€"]) {
      const offer = { type: "offer", sdp: char.repeat(16 * 1024) };
      b.announce({ offers: [{ offer, offer_id: "o".repeat(20) }] });
      expect(a.heard()[0]!["offer"]).toEqual(offer);
    }
  });

  test("is not passed on while 20 of the peer may still be answered", () => {
    const { join, clock } = openEngine();
    const others = Array.from({ length: 30 }, () => join());
    for (const other of others) other.announce();
    const client = join();
    const passed = (): number => {
      client.announce({ offers: offersOf(10) });
      return others.reduce((sum, other) => sum + other.heard().length, 0);
    };
    expect([passed(), passed(), passed()]).toEqual([10, 10, 0]);
    clock.now += 59;
    expect(passed()).toBe(0);
    clock.now += 2;
    expect(passed()).toBe(10);
  });
});

describe("an answer", () => {
  const meet = () => {
    const engine = openEngine();
    const [a, b] = [engine.join(), engine.join("192.0.2.2")];
    a.announce({ left: 0 });
    b.announce({ offers: offersOf(1) });
    const [offer] = a.heard();
    return { ...engine, a, b, offer: offer! };
  };

  test("is passed on to the peer that made the offer, and changes nothing else", () => {
    const { a, b, offer, swarms } = meet();
    expect(a.say(answerTo(offer, { peer_id: a.peerId }))).toEqual([]);
    expect(b.heard()).toEqual([
      {
        action: "announce",
        answer: { type: "answer", sdp: "v=0 answer" },
        offer_id: offer["offer_id"],
        peer_id: a.peerId,
        info_hash: HASH,
      },
    ]);
    expect(swarms.get(HASH)!.seeders).toBe(1);
  });

  test("is let through once", () => {
    const { a, b, offer, counters } = meet();
    for (let i = 0; i < 3; i++) a.say(answerTo(offer, { peer_id: a.peerId }));
    expect(b.heard().length).toBe(1);
    expect(counters.total("websocket:unexpected_answer")).toBe(2);
  });

  test("is let through for 60 s", () => {
    for (const [seconds, count] of [
      [60, 1],
      [61, 0],
    ] as const) {
      const { a, b, offer, clock } = meet();
      clock.now += seconds;
      a.say(answerTo(offer, { peer_id: a.peerId }));
      expect(b.heard().length).toBe(count);
    }
  });

  test("that was not asked for is dropped without a word", () => {
    const { a, b, offer, join } = meet();
    const stranger = join("192.0.2.3");
    const forged = answerTo(offer, { peer_id: a.peerId });
    expect(stranger.say(forged)).toEqual([]);
    stranger.announce();
    expect(stranger.say(forged)).toEqual([]);
    expect(a.say({ ...forged, offer_id: "x".repeat(20) })).toEqual([]);
    expect(a.say({ ...forged, to_peer_id: a.peerId })).toEqual([]);
    expect(a.say({ ...forged, to_peer_id: "n".repeat(20) })).toEqual([]);
    expect(a.say({ ...forged, info_hash: "n".repeat(20) })).toEqual([]);
    expect(b.heard()).toEqual([]);
    expect([stranger, a].map(({ line }) => line.ended)).toEqual([false, false]);
  });

  test("names the peer id of its connection, whatever it says", () => {
    const { a, b, offer } = meet();
    a.say(answerTo(offer, { peer_id: "-WW0208-anotheranoth" }));
    expect(b.heard()[0]!["peer_id"]).toBe(a.peerId);
  });

  test("to a peer that has left is dropped, and the connection stays", () => {
    const { a, b, offer } = meet();
    b.leave();
    expect(a.say(answerTo(offer, { peer_id: a.peerId }))).toEqual([]);
    expect(a.line.ended).toBe(false);
  });

  test("is passed on to a peer that has come back on another connection of its address", () => {
    const { a, b, offer, join } = meet();
    const again = join("192.0.2.2", b.peerId);
    again.announce();
    b.leave();
    a.say(answerTo(offer, { peer_id: a.peerId }));
    expect(again.heard().length).toBe(1);
  });
});

test("what is remembered of offers is given back when all have expired", () => {
  const { join, clock, swarms } = openEngine();
  const [a, b] = [join(), join()];
  a.announce();
  b.announce({ offers: offersOf(1) });
  const peer = swarms.get(HASH)!.find(b.peerId)!;
  expect(peer.expected).toBeDefined();
  clock.now += 61;
  b.bytes(frame("", { opcode: 9 }));
  b.expireAt(160, clock);
  expect(peer.expected).toBeUndefined();
});

test("without offers allowed none is passed on", () => {
  const { join } = openEngine({ offersMax: 0 });
  const [a, b] = [join(), join()];
  a.announce();
  expect(b.announce({ offers: offersOf(3) }).length).toBe(1);
  expect(a.heard()).toEqual([]);
});

describe("the limit of unanswered offers", () => {
  /** Twelve that receive, and what they have got. */
  const openCrowd = () => {
    const engine = openEngine({ offersMax: 5, peersMax: 100_000 });
    const others = Array.from({ length: 12 }, () => engine.join());
    const got = (): number => others.flatMap((other) => other.heard()).length;
    const announceAll = (info_hash: string) => {
      for (const other of others) other.announce({ info_hash });
      got();
    };
    announceAll(HASH);
    return { ...engine, announceAll, got };
  };

  test("holds for a peer that stops and starts again, until they expire", () => {
    const { join, clock, got } = openCrowd();
    const client = join();
    const repeat = (): number => {
      for (let i = 0; i < 8; i++) {
        client.announce({ event: "started", offers: offersOf(5, `o${i}`) });
        client.announce({ event: "stopped" });
      }
      return got();
    };
    expect(repeat()).toBe(10);
    clock.now += 61;
    expect(repeat()).toBe(10);
  });

  test("holds for a connection whose peers are taken over by another one", () => {
    const { join, got } = openCrowd();
    const [a, b] = [join("192.0.2.7"), join("192.0.2.7")];
    for (let i = 0; i < 8; i++) {
      const peer_id = `-WW0208-${String(i).padStart(12, "x")}`;
      for (let n = 0; n < 3; n++) a.announce({ peer_id, offers: offersOf(5, `o${i}${n}`) });
      b.announce({ peer_id });
    }
    expect(got()).toBe(10);
  });

  test("holds for one that goes through many swarms, and is over after a minute", () => {
    const { join, clock, announceAll, got } = openCrowd();
    const client = join();
    const offerIn = (info_hash: string): number => {
      announceAll(info_hash);
      client.announce({ info_hash, offers: offersOf(1) });
      client.announce({ info_hash, event: "stopped" });
      return got();
    };
    const passed = Array.from({ length: 70 }, (_, i) => offerIn(hash20(i)));
    expect(passed.reduce((sum, count) => sum + count)).toBe(64);
    clock.now += 61;
    expect(offerIn(hash20(99))).toBe(1);
  });

  test("is kept for 64 swarms that a connection has left, and for all others together", () => {
    const { join, clock, announceAll, got } = openCrowd();
    const client = join();
    const inSwarms = (from: number, to: number, members: Json): void => {
      for (let i = from; i < to; i++) client.announce({ info_hash: hash20(i), ...members });
    };
    for (let i = 0; i < 200; i++) announceAll(hash20(i));
    inSwarms(0, 64, { offers: offersOf(1) });
    clock.now += 30;
    inSwarms(64, 200, { offers: offersOf(1) });
    inSwarms(0, 200, { event: "stopped" });
    expect(swarmsLeftBy(client.tunnel as WsConnection)).toBe(64);
    got();
    const offerIn = (swarm: number): number => {
      announceAll(hash20(swarm));
      client.announce({ info_hash: hash20(swarm), offers: offersOf(1) });
      return got();
    };
    clock.now += 31;
    expect([offerIn(300), offerIn(70)]).toEqual([0, 0]);
    clock.now += 30;
    expect([offerIn(301), offerIn(71)]).toEqual([1, 1]);
    expect(swarmsLeftBy(client.tunnel as WsConnection)).toBe(0);
  });
});
