import { describe, expect, test } from "bun:test";
import { limitsOf } from "../limits/fixture.ts";
import { frame, HASH, type Json, offersOf, openEngine } from "./fixture.ts";

const text = (value: Json): string => JSON.stringify(value);

describe("a message", () => {
  test("in fragments is read as one, with a ping between them answered", () => {
    const { join } = openEngine();
    const client = join();
    const whole = text({ action: "scrape", info_hash: HASH });
    const [a, b, c] = [whole.slice(0, 5), whole.slice(5, 30), whole.slice(30)];
    client.bytes(
      frame(a!, { fin: false }),
      frame(b!, { opcode: 0, fin: false }),
      frame("alive?", { opcode: 9 }),
    );
    expect(client.line.held).toBe(256);
    const [pong] = client.frames();
    expect([pong!.opcode, pong!.payload.toString()]).toEqual([10, "alive?"]);
    client.bytes(frame(c!, { opcode: 0 }));
    expect(client.heard()[0]!["action"]).toBe("scrape");
    expect(client.line.held).toBe(0);
  });

  test("cut at any byte gives the same replies", () => {
    const bytes = Buffer.concat([
      frame(text({ action: "scrape", info_hash: [] })),
      frame("x", { opcode: 9 }),
      frame("nonsense", { fin: false }),
      frame("", { opcode: 0 }),
    ]);
    const whole = openEngine().join().bytes(bytes).frames();
    for (let at = 1; at < bytes.length; at++) {
      const { join } = openEngine();
      const got = join().bytes(bytes.subarray(0, at), bytes.subarray(at)).frames();
      const byKind = (frames: typeof got) => frames.map(({ payload }) => payload.toString()).sort();
      expect(byKind(got)).toEqual(byKind(whole));
    }
  });

  test("in a binary frame is taken as text", () => {
    const { join } = openEngine();
    const client = join();
    client.bytes(frame(text({ action: "scrape", info_hash: [] }), { opcode: 2 }));
    expect(client.heard()).toEqual([{ action: "scrape", files: {} }]);
  });

  test("that is wrong gets a sentence and leaves the connection open", () => {
    const { join, counters } = openEngine();
    const client = join();
    expect(client.say("null")).toEqual([{ "failure reason": "the message must be a JSON object" }]);
    const announce = { action: "announce", info_hash: HASH, peer_id: "short" };
    const [failure] = client.say(announce);
    expect(failure).toEqual({
      action: "announce",
      info_hash: HASH,
      "failure reason": expect.stringMatching(/^peer_id must/),
    });
    expect(client.announce()[0]!["incomplete"]).toBe(1);
    expect(counters.total("websocket:message")).toBe(2);
  });

  test("closes the connection when it is the sixteenth wrong one in a row", () => {
    const { join, engine } = openEngine();
    const client = join();
    for (let i = 0; i < 15; i++) client.say("{");
    client.announce();
    for (let i = 0; i < 15; i++) client.say("{");
    expect(client.line.ended).toBe(false);
    client.bytes(frame("{"));
    expect(client.closeCode()).toBe(1008);
    expect(client.line.ended).toBe(true);
    expect(engine.closes.wrong_messages).toBe(1);
  });

  test("that is wrong counts for the rate, and one over the rate ends no row of wrong ones", () => {
    const { limits } = limitsOf({ rates: { mode: "enforce", addressRate: 1, networkRate: 1 } });
    const { join, counters } = openEngine({ limits });
    const client = join();
    const scrape = text({ action: "scrape", info_hash: [] });
    for (let i = 0; i < 100; i++) client.say(scrape);
    for (let i = 0; i < 15; i++) expect(client.say("{")).toEqual([]);
    client.say(scrape);
    expect(client.line.ended).toBe(false);
    client.bytes(frame("{"));
    expect(client.line.ended).toBe(true);
    expect(counters.total("websocket:message")).toBe(0);
  });

  test("of 64 KiB leaves others their turn", () => {
    const turns: (() => void)[] = [];
    const { join } = openEngine({ soon: (call) => void turns.push(call) });
    const filling = "x".repeat(60_000);
    const large = frame(text({ action: "scrape", info_hash: [], filling }));
    const waiting = Buffer.concat([large, large, large]);
    const [a, b, c] = [join(), join(), join()].map(({ tunnel }) => tunnel);
    const read = (...tunnels: (typeof a)[]): number[] =>
      tunnels.map((tunnel) => tunnel!.read(waiting) / large.length);
    expect(read(a, b, c)).toEqual([2, 1, 0]);
    expect(c!.goesOn).toBe(true);
    turns.shift()!();
    expect(read(a, b, c)).toEqual([0, 0, 2]);
    turns.shift()!();
    expect(read(a, b, c)).toEqual([2, 1, 0]);
  });

  test("of 2 ms leaves others their turn, however few bytes were read", () => {
    const turns: (() => void)[] = [];
    const time = { milliseconds: 0 };
    const { join } = openEngine({ time, soon: (call) => void turns.push(call) });
    const [a, b] = [join(), join()].map(({ tunnel }) => tunnel);
    const ping = frame("", { opcode: 9 });
    expect(a!.read(ping)).toBe(ping.length);
    time.milliseconds += 2.1;
    expect([b!.read(ping), b!.goesOn]).toEqual([0, true]);
    turns.shift()!();
    expect(b!.read(ping)).toBe(ping.length);
  });

  test("gets its reply in one write with those of its turn", () => {
    const { join } = openEngine();
    const client = join();
    const one = frame(text({ action: "scrape", info_hash: HASH }));
    client.bytes(Buffer.concat(Array.from({ length: 40 }, () => one)));
    expect(client.line.writes.length).toBe(3);
    expect(client.heard().length).toBe(40);
  });
});

describe("a connection is closed", () => {
  const closedBy = (...frames: Buffer[]): number | undefined => {
    const { join } = openEngine();
    const client = join().bytes(Buffer.concat(frames));
    expect(client.line.ended).toBe(true);
    return client.closeCode();
  };

  test("with 1002 for frames that are wrong", () => {
    expect(closedBy(frame("{}", { masked: false }))).toBe(1002);
    expect(closedBy(frame("{}", { rsv: 0x40 }))).toBe(1002);
    expect(closedBy(frame("{}", { opcode: 3 }))).toBe(1002);
    expect(closedBy(frame("x", { opcode: 9, fin: false }))).toBe(1002);
    expect(closedBy(frame("x", { opcode: 0 }))).toBe(1002);
    expect(closedBy(frame("x", { fin: false }), frame("x"))).toBe(1002);
    expect(closedBy(frame(Buffer.of(3, 231), { opcode: 8 }))).toBe(1002);
    expect(closedBy(frame("x", { opcode: 8 }))).toBe(1002);
  });

  test("with 1007 for text that is not UTF-8, in one frame or in fragments", () => {
    expect(closedBy(frame(Buffer.of(0xff)))).toBe(1007);
    const euro = Buffer.from("€");
    const halves = [
      frame(euro.subarray(0, 1), { fin: false }),
      frame(euro.subarray(1, 2), { opcode: 0 }),
    ];
    expect(closedBy(...halves)).toBe(1007);
  });

  test("with 1009 for a message that is too long, or in too many fragments", () => {
    expect(closedBy(Buffer.of(0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0))).toBe(1009);
    const half = "x".repeat(40_000);
    expect(closedBy(frame(half, { fin: false }), frame(half, { opcode: 0 }))).toBe(1009);
    const many = Array.from({ length: 64 }, () => frame("", { opcode: 0, fin: false }));
    expect(closedBy(frame("", { fin: false }), ...many)).toBe(1009);
  });

  test("with the code of the client's own close, after the replies of the turn", () => {
    const { join, engine } = openEngine();
    const client = join();
    const scrape = frame(text({ action: "scrape", info_hash: [] }));
    client.bytes(Buffer.concat([scrape, frame(Buffer.of(3, 232), { opcode: 8 }), scrape]));
    const got = client.frames();
    expect(got.map(({ opcode }) => opcode)).toEqual([1, 8]);
    expect(got[1]!.payload.readUInt16BE(0)).toBe(1000);
    expect(closedBy(frame("", { opcode: 8 }))).toBe(0);
    expect({ ...engine.closes }).toEqual({
      ...{
        silent: 0,
        protocol: 0,
        too_large: 0,
        malformed: 0,
        wrong_messages: 0,
        starved: 0,
        shutdown: 0,
      },
    });
  });

  test("with 1001 when the server stops", () => {
    const { join } = openEngine();
    const client = join();
    client.tunnel.stop();
    expect(client.closeCode()).toBe(1001);
  });

  test("with 1011 for a bug of ours, which is reported", () => {
    const { join, announces, bugs } = openEngine();
    const client = join();
    announces.answer = () => {
      throw new Error("a bug");
    };
    client.bytes(frame(text({ action: "announce", info_hash: HASH, peer_id: client.peerId })));
    expect(client.closeCode()).toBe(1011);
    expect(bugs.map(String)).toEqual(["Error: a bug"]);
  });

  test("and all its peers are gone at once", () => {
    const { join, swarms } = openEngine();
    const client = join();
    client.announce();
    client.announce({ info_hash: "x".repeat(20) });
    expect([swarms.size, swarms.peers]).toEqual([2, 2]);
    client.bytes(frame("", { opcode: 8 }));
    expect([swarms.size, swarms.peers, client.line.place.peers]).toEqual([0, 0, 0]);
    client.leave();
    expect(swarms.peers).toBe(0);
  });
});

describe("a flood is bounded", () => {
  test("of 10,000 pings in one write: one answer for each turn of 256 frames", () => {
    const { join } = openEngine();
    const client = join();
    const pings = Array.from({ length: 10_000 }, (_, i) => frame(String(i), { opcode: 9 }));
    client.bytes(Buffer.concat(pings));
    const pongs = client.frames();
    expect(pongs.length).toBe(Math.ceil(10_000 / 256));
    expect(pongs.at(-1)!.payload.toString()).toBe("9999");
  });

  test("of messages: 16 of them, then others have their turn", () => {
    const { join } = openEngine();
    const client = join();
    const one = frame(text({ action: "scrape", info_hash: [] }));
    const bytes = Buffer.concat(Array.from({ length: 20 }, () => one));
    expect(client.tunnel.read(bytes)).toBe(16 * one.length);
    expect(client.tunnel.goesOn).toBe(true);
    expect(client.tunnel.read(bytes.subarray(16 * one.length))).toBe(4 * one.length);
    expect(client.tunnel.goesOn).toBe(false);
  });

  test("of a client that does not read: its messages wait, and nothing is passed on to it", () => {
    const { join } = openEngine();
    const [reader, writer] = [join(), join()];
    reader.announce();
    reader.line.isFull = true;
    reader.line.writes = [];
    const one = frame(text({ action: "scrape", info_hash: HASH }));
    expect(reader.tunnel.read(Buffer.concat([one, one, one]))).toBe(one.length);
    reader.line.writes = [];
    writer.announce({ offers: offersOf(5) });
    expect(reader.line.writes).toEqual([]);
  });
});

describe("a silent connection", () => {
  test("is asked after 50 ticks and cut after twice that", () => {
    const { join, clock, engine, swarms } = openEngine();
    const client = join();
    client.announce();
    client.expireAt(150, clock);
    expect(client.frames()).toEqual([]);
    client.expireAt(151, clock);
    expect(client.frames().map(({ opcode }) => opcode)).toEqual([9]);
    client.expireAt(180, clock);
    expect(client.frames()).toEqual([]);
    client.expireAt(201, clock);
    expect(client.line.wasCut).toBe(true);
    expect([engine.closes.silent, swarms.peers]).toEqual([1, 0]);
  });

  test("lives on when it answers, and half a frame is no answer", () => {
    const { join, clock } = openEngine();
    const [alive, dead] = [join(), join()];
    for (const client of [alive, dead]) client.expireAt(151, clock);
    clock.tick = 152;
    alive.bytes(frame("", { opcode: 10 }));
    dead.bytes(frame("pong", { opcode: 10 }).subarray(0, 5));
    for (const client of [alive, dead]) client.expireAt(201, clock);
    expect([alive.line.wasCut, dead.line.wasCut]).toEqual([false, true]);
    alive.line.writes = [];
    alive.expireAt(203, clock);
    expect(alive.frames().map(({ opcode }) => opcode)).toEqual([9]);
  });

  test("that takes what was sent to it lives", () => {
    const { join, clock } = openEngine();
    const client = join();
    clock.tick = 199;
    client.tunnel.progressed();
    client.expireAt(230, clock);
    expect(client.line.wasCut).toBe(false);
  });

  test("loses the peers that did not announce for two intervals and a minute", () => {
    const { join, clock, swarms } = openEngine();
    const client = join();
    client.announce();
    clock.now += 300;
    client.bytes(frame("", { opcode: 9 }));
    client.expireAt(151, clock);
    expect(swarms.peers).toBe(1);
    clock.now += 1;
    client.bytes(frame("", { opcode: 9 }));
    client.expireAt(203, clock);
    expect(swarms.peers).toBe(0);
  });
});

describe("a scrape", () => {
  test("gives the counts of each info hash, and zeros for unknown ones", () => {
    const { join } = openEngine();
    const client = join();
    client.announce({ left: 0 });
    const other = "\x00".repeat(20);
    expect(client.say({ action: "scrape", info_hash: [HASH, other] })).toEqual([
      {
        action: "scrape",
        files: {
          [HASH]: { complete: 1, incomplete: 0, downloaded: 0 },
          [other]: { complete: 0, incomplete: 0, downloaded: 0 },
        },
      },
    ]);
  });

  test("of more info hashes than allowed gives the first ones", () => {
    const { join } = openEngine();
    const hashes = Array.from({ length: 80 }, (_, i) => String(i).padEnd(20, "-"));
    const [reply] = join().say({ action: "scrape", info_hash: hashes });
    expect(Object.keys(reply!["files"] as Json).length).toBe(74);
  });

  test("without an info hash is refused: there is no full scrape", () => {
    const { join } = openEngine();
    expect(join().say({ action: "scrape" })).toEqual([
      { action: "scrape", "failure reason": "info_hash is missing" },
    ]);
  });
});
