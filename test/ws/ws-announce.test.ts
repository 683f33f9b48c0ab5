import { describe, expect, test } from "bun:test";
import { Intervals } from "../../src/limits/intervals.ts";
import { hash20 } from "./some-words.ts";
import { HASH, offersOf, openEngine } from "./fixture.ts";

describe("an announce", () => {
  test("is answered with counts that include it, the interval, and the info hash as sent", () => {
    const { join } = openEngine();
    const [a, b] = [join(), join()];
    expect(a.announce({ left: 0 })).toEqual([
      {
        action: "announce",
        interval: 120,
        info_hash: HASH,
        complete: 1,
        incomplete: 0,
        downloaded: 0,
      },
    ]);
    const [reply] = b.announce({ left: null });
    expect([reply!["complete"], reply!["incomplete"]]).toEqual([1, 1]);
  });

  test("is told the interval that the load has stretched", () => {
    const stretch = new SharedArrayBuffer(8);
    const factor = new Float64Array(stretch).fill(1);
    const intervals = new Intervals({ interval: 120, jitterPercent: 0, minimum: 60, stretch });
    const client = openEngine({ intervals }).join();
    expect(client.announce()[0]!["interval"]).toBe(120);
    factor.fill(1.5);
    expect(client.announce()[0]!["interval"]).toBe(180);
  });

  test("of an unknown event, or paused, is plain", () => {
    const { join } = openEngine();
    const client = join();
    for (const event of ["update", "paused", "", null, 7]) {
      expect(client.announce({ event })[0]!["incomplete"]).toBe(1);
    }
  });

  test("that stops removes the peer, is answered with counts, and passes no offers on", () => {
    const { join, swarms } = openEngine();
    const [a, b] = [join(), join()];
    a.announce();
    b.announce();
    const [reply] = a.announce({ event: "stopped", offers: offersOf(3) });
    expect([reply!["action"], reply!["incomplete"]]).toEqual(["announce", 1]);
    expect(b.heard()).toEqual([]);
    expect(swarms.peers).toBe(1);
    expect(a.announce({ event: "stopped" })[0]!["incomplete"]).toBe(1);
  });

  test("tells of HTTP and UDP peers as well, unless a setting says otherwise", () => {
    for (const [countsAll, incomplete] of [
      [true, 2],
      [false, 1],
    ] as const) {
      const { join, core } = openEngine({ countsAll });
      const { request } = core;
      request.infoHash.set(Buffer.from(HASH, "latin1"));
      request.family = 4;
      request.peer.set([192, 0, 2, 9, 26, 225]);
      request.wanted = 0;
      core.announce(1000);
      expect(join().announce()[0]!["incomplete"]).toBe(incomplete);
    }
  });

  test("has the warning of the operator, if there is one", () => {
    const { join } = openEngine({ warningMessage: "we move" });
    expect(join().announce()[0]!["warning message"]).toBe("we move");
  });
});

describe("a download", () => {
  const downloads = (reply: Record<string, any>[]): number => reply[0]!["downloaded"] as number;

  test("is counted once, for a peer that was a leecher", () => {
    const { join } = openEngine();
    const client = join();
    client.announce();
    expect(downloads(client.announce({ event: "completed", left: 0 }))).toBe(1);
    client.announce({ left: 1 });
    expect(downloads(client.announce({ event: "completed", left: 0 }))).toBe(1);
  });

  test("is not counted for a seeder, whose completed may come before its started", () => {
    const { join } = openEngine();
    const client = join();
    expect(downloads(client.announce({ event: "completed", left: 0 }))).toBe(0);
    client.announce({ event: "started", left: 0 });
    expect(downloads(client.announce({ event: "completed", left: 0 }))).toBe(0);
  });

  test("is not counted again for a client that comes anew with the same peer id", () => {
    const { join } = openEngine();
    for (let i = 0; i < 3; i++) {
      const client = join("192.0.2.1", "-WW0208-abcdefabcdef");
      client.announce();
      expect(downloads(client.announce({ event: "completed", left: 0 }))).toBe(1);
      client.leave();
    }
  });

  test("is in the one counter of the info hash, which outlives the peers", () => {
    const { join, core } = openEngine();
    const client = join();
    client.announce();
    client.announce({ event: "completed", left: 0 });
    client.leave();
    core.request.infoHash.set(Buffer.from(HASH, "latin1"));
    core.scrape();
    expect([core.reply.downloads, core.reply.seeders]).toEqual([1, 0]);
  });
});

describe("a peer id", () => {
  test("that another address claims is refused, and the holder is asked whether it lives", () => {
    const { join, clock, counters, swarms } = openEngine();
    const holder = join("192.0.2.1", "-WW0208-abcdefabcdef");
    holder.announce();
    const other = join("192.0.2.2", holder.peerId);
    expect(other.announce()).toEqual([
      {
        action: "announce",
        info_hash: HASH,
        "failure reason": "another connection has this peer id: try again in a minute",
        "retry in": "1",
      },
    ]);
    expect(counters.total("websocket:peer_id")).toBe(1);
    expect(holder.frames().map(({ opcode }) => opcode)).toEqual([9]);
    holder.bytes(Buffer.of(0x8a, 0x80, 0, 0, 0, 0));
    holder.expireAt(clock.tick + 11, clock);
    expect(holder.line.wasCut).toBe(false);
    other.announce();
    holder.expireAt(clock.tick + 11, clock);
    expect(holder.line.wasCut).toBe(true);
    expect(other.announce()[0]!["incomplete"]).toBe(1);
    expect(swarms.peers).toBe(1);
  });

  test("is refused while its holder is slow to take what was sent: that is asked later", () => {
    const { join, clock } = openEngine({ peersMax: 100_000 });
    const holder = join("192.0.2.1", "-WW0208-abcdefabcdef");
    holder.announce();
    const other = join("192.0.2.2", holder.peerId);
    const takeAll = (): void => {
      holder.line.isFull = false;
      holder.tunnel.progressed();
    };
    holder.line.isFull = true;
    other.announce();
    holder.expireAt(clock.tick + 30, clock);
    expect([holder.line.wasCut, holder.frames()]).toEqual([false, []]);
    takeAll();
    expect(holder.frames().map(({ opcode }) => opcode)).toEqual([9]);
    holder.line.isFull = true;
    holder.expireAt(clock.tick + 11, clock);
    expect(holder.line.wasCut).toBe(false);
    takeAll();
    holder.expireAt(clock.tick + 10, clock);
    expect(holder.line.wasCut).toBe(false);
    holder.expireAt(clock.tick + 1, clock);
    expect(holder.line.wasCut).toBe(true);
  });

  test("is free 30 s after its holder takes nothing more of what was sent", () => {
    const { join, clock } = openEngine({ peersMax: 100_000 });
    const holder = join("192.0.2.1", "-WW0208-abcdefabcdef");
    holder.announce();
    const other = join("192.0.2.2", holder.peerId);
    holder.line.isFull = true;
    other.announce();
    const asked = clock.tick;
    expect(holder.line.wakesAfter).toBe(asked + 30);
    // Some is taken: it lives.
    clock.tick += 20;
    holder.tunnel.progressed();
    holder.expireAt(asked + 50, clock);
    expect(holder.line.wasCut).toBe(false);
    expect(holder.line.wakesAfter).toBe(asked + 50);
    holder.expireAt(asked + 51, clock);
    expect(holder.line.wasCut).toBe(true);
    expect(other.announce()[0]!["incomplete"]).toBe(1);
  });

  test("that the same address claims moves to the newer connection", () => {
    for (const [one, other] of [
      ["192.0.2.1", "192.0.2.1"],
      ["2001:db8::1", "2001:db8::1"],
    ] as const) {
      const { join, swarms } = openEngine();
      const before = join(one, "-WW0208-abcdefabcdef");
      before.announce();
      const after = join(other, before.peerId);
      expect(after.announce()[0]!["incomplete"]).toBe(1);
      before.leave();
      expect(swarms.peers).toBe(1);
      expect(join("192.0.2.7").announce({ offers: offersOf(1) })[0]!["incomplete"]).toBe(2);
      expect(after.heard().length).toBe(1);
    }
  });

  test("that is new on the same connection renames its peer", () => {
    const { join, swarms } = openEngine();
    const client = join();
    client.announce();
    expect(client.announce({ peer_id: "-WW0208-zzzzzzzzzzzz" })[0]!["incomplete"]).toBe(1);
    expect(swarms.get(HASH)!.find("-WW0208-zzzzzzzzzzzz")).toBeDefined();
    expect(swarms.get(HASH)!.find(client.peerId)).toBeUndefined();
    client.announce({ event: "stopped" });
    expect(swarms.peers).toBe(1);
  });

  test("of another connection cannot be stopped", () => {
    const { join, swarms } = openEngine();
    const [holder, other] = [join("192.0.2.1"), join("192.0.2.2")];
    holder.announce();
    const [reply] = other.announce({ peer_id: holder.peerId, event: "stopped" });
    expect(reply!["incomplete"]).toBe(1);
    expect([swarms.peers, holder.frames().length]).toEqual([1, 0]);
  });
});

describe("a peer that finds no room", () => {
  test("is answered with a warning, but not stored", () => {
    const { join, swarms } = openEngine({ peersMax: 2 });
    join().announce();
    join().announce();
    const [reply] = join().announce();
    expect(reply!["warning message"]).toBe("the tracker is full: other peers will not see you");
    expect([reply!["incomplete"], swarms.peers]).toEqual([2, 2]);
  });

  test("is one of an address that has a sixteenth of all", () => {
    const { join, swarms } = openEngine({ peersMax: 32 });
    const client = join();
    for (let i = 0; i < 2; i++) client.announce({ info_hash: hash20(i) });
    const [reply] = client.announce({ info_hash: hash20(2) });
    expect(reply!["warning message"]).toMatch(/^your address or network is in too many swarms/);
    expect(swarms.peers).toBe(2);
    expect(join().announce({ info_hash: hash20(3) })[0]!["warning message"]).toBeUndefined();
  });
});

test("a peer finds no room if its IPv6 /48 has a quarter of all", () => {
  const { join, swarms } = openEngine({ peersMax: 32 });
  const client = join("2001:db8::1");
  client.line.place.sitePeers = 7;
  expect(client.announce({ info_hash: hash20(0) })[0]!["warning message"]).toBeUndefined();
  const [reply] = client.announce({ info_hash: hash20(1) });
  expect(reply!["warning message"]).toMatch(/^your address or network is in too many swarms/);
  expect(swarms.peers).toBe(1);
});

test("an announce that stores nothing changes no peer of the connection", () => {
  const { join, swarms } = openEngine();
  const client = join();
  for (let i = 0; i < 40; i++) client.announce({ info_hash: hash20(i) });
  expect([swarms.size, swarms.peers, client.line.place.peers]).toEqual([40, 40, 40]);
  for (let i = 0; i < 40; i++) client.announce({ info_hash: hash20(i), event: "stopped" });
  expect([swarms.size, swarms.peers, client.line.place.peers]).toEqual([0, 0, 0]);
});
