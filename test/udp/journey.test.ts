/** A datagram's journey: for every check there is a datagram that fails only this check. */
import { describe, expect, test } from "bun:test";
import { countRules } from "../../src/limits/request-rules.ts";
import { REPLY_SLOT } from "../../src/udp/datagrams.ts";
import { limitsOf } from "../limits/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { type AnnounceFields, announceOf, bytesOf, connect, Desk } from "./fixture.ts";
import { INFO_HASH, scrapeOf, TRANSACTION } from "./fixture.ts";
import { ID_SECONDS, TTL } from "./fixture.ts";

const FROM = "192.0.2.1";
const FROM_IPV6 = "2001:db8::1";
const NO_ID = "0123456789abcdef";
/** Head of an announce reply: action, transaction id, 1,800 seconds. */
const ANNOUNCED = "00000001" + TRANSACTION + "00000708";
const UNKNOWN_ACTION = "00000003" + TRANSACTION + "756e6b6e6f776e20616374696f6e";

const word = (value: number): string => value.toString(16).padStart(8, "0");

describe("the check of addresses", () => {
  test("drops datagrams from addresses that cannot be answered", () => {
    for (const from of ["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "255.255.255.255", "::"]) {
      const desk = new Desk();
      expect(desk.ask(connect(), from)).toBe("");
      expect(desk.counted()).toEqual({ "udp:address": 1 });
    }
    const desk = new Desk();
    expect(desk.ask(connect(), "ff02::1")).toBe("");
    expect(desk.ask(connect(), "not an address")).toBe("");
    expect(desk.ask(announceOf(NO_ID), "::ffff:0.0.0.0")).toBe("");
    expect(desk.counted()).toEqual({ "udp:address": 3 });
  });
});

describe("the check of lengths", () => {
  test("drops datagrams of less than 16 bytes", () => {
    const desk = new Desk();
    for (let length = 0; length < 16; length++) {
      expect(desk.ask(connect().subarray(0, length))).toBe("");
    }
    expect(desk.counted()).toEqual({ "udp:short": 16 });
  });

  test("drops an announce of 97 bytes with a valid id", () => {
    const desk = new Desk();
    const id = desk.id();
    desk.zero();
    expect(desk.ask(announceOf(id).subarray(0, 97))).toBe("");
    expect(desk.ask(announceOf(id).subarray(0, 16))).toBe("");
    expect(desk.counted()).toEqual({ "udp:short": 2 });
    expect(desk.ask(announceOf(id)).length).toBe(40);
  });
});

describe("connecting", () => {
  test("is answered with action 0, the transaction id and a valid connection id", () => {
    const desk = new Desk();
    const reply = desk.ask(connect("01020304"));
    expect(reply.slice(0, 16)).toBe("00000000" + "01020304");
    expect(reply.length).toBe(32);
    expect(desk.counted()).toEqual({ udpConnectsIpv4: 1 });
    expect(desk.ask(announceOf(reply.slice(16))).length).toBe(40);
  });

  test("works over IPv6, and with bytes after the first 16", () => {
    const desk = new Desk();
    const long = new Uint8Array(200);
    long.set(connect());
    expect(desk.ask(long, FROM_IPV6).slice(0, 16)).toBe("00000000" + TRANSACTION);
    expect(desk.counted()).toEqual({ udpConnectsIpv6: 1 });
  });

  test("without the magic number gets no reply", () => {
    const desk = new Desk();
    const wrong = connect();
    wrong[7] ^= 1;
    expect(desk.ask(wrong)).toBe("");
    expect(desk.counted()).toEqual({ "udp:magic": 1 });
  });
});

describe("the check of connection ids", () => {
  test("drops announces, scrapes and unknown actions alike", () => {
    const desk = new Desk();
    expect(desk.ask(announceOf(NO_ID))).toBe("");
    expect(desk.ask(scrapeOf(NO_ID, INFO_HASH))).toBe("");
    expect(desk.ask(bytesOf(`${NO_ID} 00000003 ${TRANSACTION}`))).toBe("");
    expect(desk.ask(bytesOf(`${NO_ID} 00000009 ${TRANSACTION}`))).toBe("");
    expect(desk.ask(announceOf(NO_ID).subarray(0, 50))).toBe("");
    expect(desk.counted()).toEqual({ "udp:connection_id": 5 });
    desk.tracker.request.infoHash.set(bytesOf(INFO_HASH));
    desk.tracker.scrape();
    expect(desk.tracker.reply.leechers).toBe(0);
  });

  test("refuses the id of another address, and accepts the same address in its other form", () => {
    const desk = new Desk();
    const id = desk.id(FROM);
    desk.zero();
    expect(desk.ask(announceOf(id), "192.0.2.2")).toBe("");
    expect(desk.ask(announceOf(id), FROM_IPV6)).toBe("");
    expect(desk.counted()).toEqual({ "udp:connection_id": 2 });
    expect(desk.ask(announceOf(id), "::ffff:192.0.2.1").length).toBe(40);
    expect(desk.counted()).toMatchObject({ udpAnnouncesIpv4: 1 });
  });

  test("refuses an expired id, by the clock of ids and not by that of the swarms", () => {
    const desk = new Desk();
    const id = desk.id();
    const { datagrams, journey } = desk;
    const ask = (nowSeconds: number, idSeconds: number): number => {
      desk.ask(announceOf(id));
      journey.answer(3, nowSeconds, idSeconds);
      return datagrams.replyLengths[3];
    };
    expect(ask(50, ID_SECONDS + TTL)).toBe(20);
    expect(ask(50, ID_SECONDS + 2 * TTL)).toBe(0);
    expect(ask(50 + 2 * TTL, ID_SECONDS)).toBe(20);
  });
});

describe("an id that proves less", () => {
  /** The reply in hex, by the age of the id in seconds. */
  const aged = (desk: Desk, request: Uint8Array, from: string, age: number): string => {
    const { datagrams, journey } = desk;
    desk.ask(request, from);
    journey.answer(3, 0, ID_SECONDS + age);
    const at = 3 * REPLY_SLOT;
    return datagrams.replies.subarray(at, at + datagrams.replyLengths[3]).toHex();
  };
  const full = (rules = ""): Desk => {
    const desk = new Desk({}, limitsOf({ rules }).limits);
    for (let i = 1; i < 60; i++) {
      for (const from of [`198.51.100.${i}`, `2a00:${i}::1`]) {
        desk.ask(announceOf(desk.id(from)), from);
      }
    }
    return desk;
  };
  const OLD = 3 * (TTL / 12);

  test("because it is old gets a reply that is no longer than its request, and is stored", () => {
    const desk = full();
    for (const [from, peers, size] of [
      [FROM, 13, 6],
      ["2a00:99::1", 4, 18],
    ] as const) {
      const request = announceOf(desk.id(from));
      expect(desk.ask(request, from).length / 2).toBe(20 + 50 * size);
      expect(aged(desk, request, from, OLD - 1).length / 2).toBe(20 + 50 * size);
      expect(aged(desk, request, from, OLD + TTL / 12).length / 2).toBe(20 + peers * size);
      expect(20 + peers * size).toBeLessThanOrEqual(98);
    }
    const late = announceOf(desk.id("192.0.2.77"), { event: 3 });
    const before = bytesOf(aged(desk, late, "192.0.2.77", 0))[15]!;
    const join = announceOf(desk.id("192.0.2.77"));
    expect(bytesOf(aged(desk, join, "192.0.2.77", OLD + TTL / 12))[15]!).toBe(before + 1);
  });

  test("because it is that of a neighbour changes nothing and gets the counts", () => {
    const desk = full();
    const [own, neighbour] = ["2a00:77::1", "2a00:77::2"];
    desk.ask(announceOf(desk.id(own)), own);
    const id = desk.id(neighbour);
    const counts = word(1800) + word(119) + word(0);
    for (const event of [0, 2, 1, 3, 0]) {
      expect(desk.ask(announceOf(id, { event, port: 6881 }), own).slice(16)).toBe(counts);
      expect(desk.ask(announceOf(id, { event, port: 9999 }), own).slice(16)).toBe(counts);
    }
    expect(desk.ask(scrapeOf(id, INFO_HASH), own).length / 2).toBe(20);
    expect(aged(desk, announceOf(id), own, OLD + TTL / 12)).toBe("");
    expect(desk.ask(announceOf(id), "2a00:78::1")).toBe("");
    // The id of its own address is as good as before.
    expect(desk.ask(announceOf(desk.id(own), { event: 3 }), own).slice(16)).toBe(
      word(1800) + word(118) + word(0),
    );
    expect(brokenInvariants(desk.tracker)).toEqual([]);
  });

  test("gets no error that is longer than its request", () => {
    const desk = full(`refuse "${"no ".repeat(30)}" network=2a00:77::/32`);
    const [own, neighbour] = ["2a00:77::1", "2a00:77::2"];
    const id = desk.id(neighbour);
    expect(errorText(desk.ask(announceOf(desk.id(own)), own))).toStartWith("no no");
    expect(errorText(desk.ask(announceOf(id), own))).toStartWith("no no");
    expect(errorText(desk.ask(scrapeOf(desk.id(own), INFO_HASH), own))).toStartWith("no no");
    expect(desk.ask(scrapeOf(id, INFO_HASH), own)).toBe("");
  });
});

describe("the check of actions", () => {
  test("answers an unknown action with an error, and drops an error packet", () => {
    const desk = new Desk();
    const id = desk.id();
    desk.zero();
    for (const action of [4, 5, 255, 0x01000000, 0x80000001, 0xffffffff]) {
      expect(desk.ask(bytesOf(`${id} ${word(action)} ${TRANSACTION}`))).toBe(UNKNOWN_ACTION);
    }
    expect(desk.counted()).toEqual({ "udp:query": 6 });
    desk.zero();
    expect(desk.ask(bytesOf(`${id} 00000003 ${TRANSACTION}`))).toBe("");
    expect(desk.counted()).toEqual({ "udp:action": 1 });
  });
});

describe("announcing", () => {
  test("is answered with interval, leechers, seeders, and the other peers", () => {
    const desk = new Desk();
    const seed = announceOf(desk.id("198.51.100.9"), { left: "0".repeat(16), port: 0x1ae1 });
    expect(desk.ask(seed, "198.51.100.9")).toBe(ANNOUNCED + word(0) + word(1));
    const leech = announceOf(desk.id(), { port: 0xffff });
    expect(desk.ask(leech)).toBe(ANNOUNCED + word(1) + word(1) + "c63364091ae1");
    expect(desk.ask(seed, "198.51.100.9")).toBe(ANNOUNCED + word(1) + word(1) + "c0000201ffff");
  });

  test("over IPv6 is answered with IPv6 peers of 18 bytes only", () => {
    const desk = new Desk();
    desk.ask(announceOf(desk.id()));
    const first = announceOf(desk.id("2001:db8::9"), { port: 0x1234 });
    expect(desk.ask(first, "2001:db8::9")).toBe(ANNOUNCED + word(2) + word(0));
    const second = announceOf(desk.id(FROM_IPV6));
    expect(desk.ask(second, FROM_IPV6)).toBe(
      ANNOUNCED + word(3) + word(0) + "20010db8000000000000000000000009" + "1234",
    );
    expect(desk.counted()).toMatchObject({ udpAnnouncesIpv4: 1, udpAnnouncesIpv6: 2 });
  });

  test("returns peers of its own family only, whatever the request record held before", () => {
    const desk = new Desk();
    desk.ask(announceOf(desk.id(FROM_IPV6)), FROM_IPV6);
    const announce = announceOf(desk.id());
    desk.tracker.request.bothFamilies = true;
    expect(desk.ask(announce)).toBe(ANNOUNCED + word(2) + word(0));
  });

  test("counts each event, and an unknown event as no event", () => {
    const desk = new Desk();
    const id = desk.id();
    desk.zero();
    for (const event of [0, 1, 2, 3, 4, 5, 0xffff]) desk.ask(announceOf(id, { event }));
    expect(desk.counted()).toEqual({
      udpAnnouncesIpv4: 7,
      eventNone: 3,
      eventCompleted: 1,
      eventStarted: 1,
      eventStopped: 1,
      eventPaused: 1,
    });
  });

  test("with event stopped removes the peer, and returns counts without peers", () => {
    const desk = new Desk();
    desk.ask(announceOf(desk.id("198.51.100.9")), "198.51.100.9");
    const id = desk.id();
    desk.ask(announceOf(id));
    expect(desk.ask(announceOf(id, { event: 3 }))).toBe(ANNOUNCED + word(1) + word(0));
  });

  test("distinguishes peers by port; every port may use the id of its address", () => {
    const desk = new Desk();
    const id = desk.id();
    desk.ask(announceOf(id, { port: 1000 }));
    expect(desk.ask(announceOf(id, { port: 1001 }))).toBe(
      ANNOUNCED + word(2) + word(0) + "c000020103e8",
    );
  });

  test("with options after the first 98 bytes is the same", () => {
    const desk = new Desk();
    const id = desk.id();
    expect(desk.ask(announceOf(id, { options: "02092f616e6e6f756e6365" + "00" }))).toBe(
      ANNOUNCED + word(1) + word(0),
    );
  });

  test("ignores the ip field unless a setting allows it", () => {
    for (const allowIpField of [false, true]) {
      const desk = new Desk({ allowIpField });
      desk.ask(announceOf(desk.id("198.51.100.9"), { ip: "c6290005" }), "198.51.100.9");
      const reply = desk.ask(announceOf(desk.id()));
      expect(reply.slice(40)).toBe((allowIpField ? "c6290005" : "c6336409") + "1ae1");
    }
  });

  test("takes the source address if the ip field is zero or the sender has IPv6", () => {
    const desk = new Desk({ allowIpField: true });
    desk.ask(announceOf(desk.id("198.51.100.9")), "198.51.100.9");
    expect(desk.ask(announceOf(desk.id())).slice(40)).toBe("c6336409" + "1ae1");
    desk.ask(announceOf(desk.id("2001:db8::9"), { ip: "c6290005" }), "2001:db8::9");
    expect(desk.ask(announceOf(desk.id(FROM_IPV6)), FROM_IPV6).slice(40)).toBe(
      "20010db8000000000000000000000009" + "1ae1",
    );
  });

  test("ignores an ip field whose address is not public", () => {
    const desk = new Desk({ allowIpField: true, refusePrivate: true });
    const ask = (from: string, ip: string) => desk.ask(announceOf(desk.id(from), { ip }), from);
    for (const ip of ["ffffffff", "e0000001", "00000001", "0a000001", "7f000001", "cb007105"]) {
      expect(ask("198.41.0.3", ip).slice(16)).toBe(word(1800) + word(1) + word(0));
    }
    expect(errorText(ask("10.0.0.7", "0a000001"))).toStartWith(
      "private addresses are not accepted",
    );
    expect(desk.ask(announceOf(desk.id("198.41.0.3"), { event: 3 }), "198.41.0.3").length).toBe(40);
    expect(ask("10.0.0.7", "c6290005").slice(16)).toBe(word(1800) + word(1) + word(0));
    expect(desk.ask(announceOf(desk.id("198.41.0.4")), "198.41.0.4").slice(40)).toBe(
      "c6290005" + "1ae1",
    );
  });

  test("does not let other clients stop or change a peer by the ip field", () => {
    const desk = new Desk({ allowIpField: true });
    const ask = (from: string, fields: Partial<AnnounceFields> = {}) =>
      desk.ask(announceOf(desk.id(from), fields), from).slice(16, 40);
    const seeds = { left: "0000000000000000" };
    ask("198.41.0.5", seeds);
    for (const from of ["198.41.0.6", "10.0.0.6"]) {
      expect(ask(from, { ip: "c6290005", event: 3 })).toBe(word(1800) + word(0) + word(1));
      expect(ask(from, { ip: "c6290005" })).toBe(word(1800) + word(0) + word(1));
    }
    // Only the claiming and the claimed address can stop the peer.
    ask("10.0.0.6", { ip: "c6290007" });
    expect(ask("10.0.0.8", { ip: "c6290007", event: 3 })).toBe(word(1800) + word(1) + word(1));
    expect(ask("10.0.0.6", { ip: "c6290007", event: 3 })).toBe(word(1800) + word(0) + word(1));
    ask("10.0.0.6", { ip: "c6290007", ...seeds });
    expect(ask("198.41.0.7")).toBe(word(1800) + word(1) + word(1));
    expect(ask("10.0.0.6", { ip: "c6290007", ...seeds })).toBe(word(1800) + word(1) + word(1));
    expect(brokenInvariants(desk.tracker)).toEqual([]);
  });

  test("from a link-local address is answered, and is in no reply", () => {
    const desk = new Desk();
    const ask = (from: string) => desk.ask(announceOf(desk.id(from)), from).slice(16);
    expect(ask("fe80::1")).toBe(word(1800) + word(0) + word(0));
    expect(ask("fe80::2")).toBe(word(1800) + word(0) + word(0));
    expect(ask("fd00::1")).toBe(word(1800) + word(1) + word(0));
  });

  test("from a private network is refused with a reason, if a setting says so", () => {
    const text = Buffer.from(
      "private addresses are not accepted: announce from a public address",
    ).toString("hex");
    for (const from of ["10.1.2.3", "127.0.0.1", "192.168.1.1", "fe80::1", "::1"]) {
      const desk = new Desk({ refusePrivate: true });
      const reply = desk.ask(announceOf(desk.id(from)), from);
      expect(reply).toBe("00000003" + TRANSACTION + text);
      expect(desk.counted()).toMatchObject({ "udp:address": 1 });
      expect(desk.counted()).not.toHaveProperty("eventNone");
    }
    const open = new Desk();
    expect(open.ask(announceOf(open.id("10.1.2.3")), "10.1.2.3").length).toBe(40);
    const other = new Desk({ refusePrivate: true });
    expect(other.ask(announceOf(other.id("192.0.2.1")), "192.0.2.1").slice(0, 8)).toBe("00000003");
    expect(other.ask(announceOf(other.id("1.2.3.4")), "1.2.3.4").length).toBe(40);
  });
});

/** The text of an error reply. */
const errorText = (reply: string): string => {
  expect(reply.slice(0, 16)).toBe("00000003" + TRANSACTION);
  return new TextDecoder().decode(bytesOf(reply.slice(16)));
};

describe("the rate limit", () => {
  test("drops requests over an enforced limit, from proven addresses only", () => {
    const { limits } = limitsOf({ rates: { mode: "enforce" } });
    const desk = new Desk({}, limits);
    const id = desk.id();
    // Requests from a spoofed address do not count against its owner.
    for (let i = 0; i < 500; i++) desk.ask(announceOf(NO_ID));
    desk.zero();
    const replies = Array.from({ length: 70 }, () => desk.ask(scrapeOf(id, INFO_HASH)) !== "");
    expect(replies.filter((replied) => replied)).toHaveLength(60);
    expect(desk.counted()).toEqual({
      udpScrapesIpv4: 60,
      udpOverRateAddress: 10,
      "udp:rate": 10,
    });
    expect(desk.ask(announceOf(id))).toBe("");
    expect(desk.ask(announceOf(desk.id("192.0.2.9")), "192.0.2.9")).not.toBe("");
    expect(desk.ask(announceOf(id), FROM, 3, 5)).not.toBe("");
  });

  test("only counts requests over an observed limit", () => {
    const { limits } = limitsOf({ rates: { mode: "observe", addressRate: 9, networkRate: 1 } });
    const desk = new Desk({}, limits);
    const id = desk.id();
    for (let i = 0; i < 70; i++) {
      expect(desk.ask(announceOf(id, { port: 1000 + i }))).not.toBe("");
    }
    // These requests do not lengthen intervals; an announce that is also early is counted once.
    for (let i = 0; i < 5; i++) desk.ask(announceOf(id, { port: 1000 }));
    expect(desk.counted()).toMatchObject({
      udpAnnouncesIpv4: 75,
      udpOverRateNetwork: 15,
      udpOverRateAnnounces: 10,
      udpEarly: 5,
    });
    expect(desk.counted()).not.toHaveProperty("udp:rate");
  });
});

describe("the operator's rules", () => {
  test("refuse with their message, or drop; nothing is stored", () => {
    const { limits, rules } = limitsOf({
      rules: 'count peer-id=-\nrefuse "another port" port=1-1023\ndrop network=198.51.100.0/24',
    });
    const desk = new Desk({}, limits);
    const id = desk.id();
    desk.zero();
    expect(errorText(desk.ask(announceOf(id, { port: 80 })))).toBe("another port");
    expect(desk.ask(announceOf(id)).slice(0, 40)).toBe(ANNOUNCED + word(1) + word(0));
    expect(desk.ask(announceOf(desk.id("198.51.100.7")), "198.51.100.7")).toBe("");
    expect(countRules(rules)).toEqual([3, 1, 1]);
    expect(desk.counted()).toEqual({
      udpConnectsIpv4: 1,
      udpAnnouncesIpv4: 1,
      eventNone: 1,
      "udp:rule": 2,
    });
  });

  test("apply to scrapes, if a scrape has the fields of the rule", () => {
    const { limits } = limitsOf({
      rules: "drop port=0-65535\ndrop peer-id=-\ndrop network=1.0.0.0/8",
    });
    const desk = new Desk({}, limits);
    expect(desk.ask(scrapeOf(desk.id(), INFO_HASH))).not.toBe("");
    expect(desk.ask(scrapeOf(desk.id("1.2.3.4"), INFO_HASH), "1.2.3.4")).toBe("");
  });
});

describe("an announce that is too early", () => {
  test("is answered with peers and counted, unless a setting says otherwise", () => {
    const desk = new Desk({}, limitsOf({}).limits);
    const id = desk.id();
    for (const seconds of [0, 60, 120])
      expect(desk.ask(announceOf(id), FROM, 3, seconds)).not.toBe("");
    expect(desk.counted()).toMatchObject({ udpAnnouncesIpv4: 3, udpEarly: 2 });
  });

  test("gets no peers then and the rest of its interval, which does not begin anew", () => {
    const desk = new Desk({}, limitsOf({ settings: { refuseEarly: true } }).limits);
    desk.ask(announceOf(desk.id("192.0.2.9")), "192.0.2.9");
    const id = desk.id();
    /** Interval and number of peers. */
    const ask = (seconds: number, event = 0): [number, number] => {
      const reply = bytesOf(desk.ask(announceOf(id, { event }), FROM, 3, seconds));
      expect(reply.toHex().slice(0, 16)).toBe("00000001" + TRANSACTION);
      return [Buffer.from(reply).readUInt32BE(8), (reply.length - 20) / 6];
    };
    expect([0, 300, 600, 840, 900].map((seconds) => ask(seconds))).toEqual([
      [1800, 1],
      [1485, 0],
      [1170, 0],
      [945, 0],
      [1800, 1],
    ]);
    expect([1, 2, 4, 3].map((event) => ask(910, event))).toEqual([
      [1800, 1],
      [1800, 1],
      [1755, 0],
      [1800, 0],
    ]);
    expect(desk.counted()).toMatchObject({ udpEarly: 4, udpAnnouncesIpv4: 10 });
  });
});

test("a peer with a port below the minimum is answered, but neither counted nor handed out", () => {
  const desk = new Desk({}, limitsOf({ settings: { portMin: 1024 } }).limits);
  const id = desk.id();
  for (const port of [0, 80, 1023]) {
    expect(desk.ask(announceOf(id, { port }))).toBe(ANNOUNCED + word(0) + word(0));
  }
  desk.ask(announceOf(id, { port: 1024 }));
  expect(desk.ask(announceOf(id, { port: 80 }))).toBe(
    ANNOUNCED + word(1) + word(0) + "c00002010400",
  );
});

describe("an address of this machine", () => {
  const OWN = "192.0.2.7";

  test("is answered with other peers, but neither counted nor handed out", () => {
    const desk = new Desk({}, limitsOf({ own: [OWN, "2001:db8::7"] }).limits);
    const ask = (from: string) => desk.ask(announceOf(desk.id(from)), from);
    expect(ask(OWN)).toBe(ANNOUNCED + word(0) + word(0));
    expect(ask("192.0.2.1")).toBe(ANNOUNCED + word(1) + word(0));
    expect(ask(OWN)).toBe(ANNOUNCED + word(1) + word(0) + "c00002011ae1");
    expect(ask("2001:db8::7")).toBe(ANNOUNCED + word(1) + word(0));
    expect(desk.counted()).toMatchObject({ udpOwnAddresses: 3, udpAnnouncesIpv4: 3 });
  });

  test("cannot be claimed, and a client at it can claim another address", () => {
    const { limits } = limitsOf({ own: [OWN, "198.41.0.7"] });
    const desk = new Desk({ allowIpField: true }, limits);
    const ask = (from: string, ip: string) => desk.ask(announceOf(desk.id(from), { ip }), from);
    expect(ask("192.0.2.1", "c6290007")).toBe(ANNOUNCED + word(0) + word(0));
    expect(ask(OWN, "c6290009")).toBe(ANNOUNCED + word(1) + word(0));
    expect(desk.counted()).toMatchObject({ udpOwnAddresses: 1 });
  });
});

describe("num_want", () => {
  /** Number of peers returned for a num_want, in a swarm of 300 peers of each family. */
  function desk(settings = {}): Desk {
    const desk = new Desk(settings);
    for (let i = 0; i < 300; i++) {
      const low = 1 + (i % 250);
      const four = `198.51.${100 + Math.floor(i / 250)}.${low}`;
      const six = `2001:db8::${(i + 16).toString(16)}`;
      desk.ask(announceOf(desk.id(four), { numWant: 0 }), four);
      desk.ask(announceOf(desk.id(six), { numWant: 0 }), six);
    }
    return desk;
  }
  const peers = (of: Desk, numWant: number): number =>
    (of.ask(announceOf(of.id(), { numWant })).length / 2 - 20) / 6;
  const peersIpv6 = (of: Desk, numWant: number): number =>
    (of.ask(announceOf(of.id(FROM_IPV6), { numWant }), FROM_IPV6).length / 2 - 20) / 18;

  test("below 0 means the default, 0 no peers, above the limit the limit", () => {
    const full = desk();
    const wanted = [-1, -0x80000000, 0, 1, 49, 200, 201, 0x7fffffff];
    expect(wanted.map((n) => peers(full, n))).toEqual([50, 50, 0, 1, 49, 200, 200, 200]);
  });

  test("is limited by the size of the reply, for each family", () => {
    const full = desk({ numwantMax: 1000, numwantDefault: 1000 });
    expect([peers(full, 1000), peersIpv6(full, 1000)]).toEqual([202, 67]);
    expect([peers(full, -1), peersIpv6(full, -1)]).toEqual([202, 67]);
    const small = desk({ replyBytes: 100 });
    expect([peers(small, 1000), peersIpv6(small, 1000)]).toEqual([13, 4]);
  });
});

describe("scraping", () => {
  const UNKNOWN = "00".repeat(19) + "99";
  const SCRAPED = "00000002" + TRANSACTION;
  const ENTRY = word(1) + word(1) + word(2);
  const NOTHING = word(0) + word(0) + word(0);

  function desk(settings = {}): Desk {
    const desk = new Desk(settings);
    const id = desk.id();
    desk.ask(announceOf(id, { port: 1 }));
    desk.ask(announceOf(id, { port: 2 }));
    desk.ask(announceOf(id, { port: 3 }));
    desk.ask(announceOf(id, { port: 3, left: "0".repeat(16), event: 1 }));
    desk.zero();
    return desk;
  }

  test("returns seeders, downloads, leechers of each hash, also unknown and repeated ones", () => {
    const known = desk();
    const reply = known.ask(scrapeOf(known.id(), INFO_HASH + UNKNOWN + INFO_HASH + UNKNOWN));
    expect(reply).toBe(SCRAPED + ENTRY + NOTHING + ENTRY + NOTHING);
    expect(known.counted()).toMatchObject({ udpScrapesIpv4: 1 });
  });

  test("ignores an incomplete last hash, and returns an empty list without hashes", () => {
    const known = desk();
    const id = known.id();
    expect(known.ask(scrapeOf(id, INFO_HASH + INFO_HASH.slice(0, 38)))).toBe(SCRAPED + ENTRY);
    expect(known.ask(scrapeOf(id, INFO_HASH.slice(0, 38)))).toBe(SCRAPED);
    expect(known.ask(scrapeOf(id, ""))).toBe(SCRAPED);
  });

  test("does not read hashes that an earlier datagram left in the slot", () => {
    const known = desk();
    const id = known.id();
    known.ask(scrapeOf(id, INFO_HASH.repeat(3)));
    expect(known.ask(scrapeOf(id, INFO_HASH))).toBe(SCRAPED + ENTRY);
  });

  test("answers at most 74 hashes, or the configured number, or what fits the reply", () => {
    for (const [settings, hashes] of [
      [{}, 74],
      [{ scrapeMax: 5 }, 5],
      [{ replyBytes: 100 }, 7],
      [{ scrapeMax: 200 }, 101],
    ] as const) {
      const known = desk(settings);
      const reply = known.ask(scrapeOf(known.id(), INFO_HASH.repeat(101)));
      expect(reply).toBe(SCRAPED + ENTRY.repeat(hashes));
    }
  });

  test("over IPv6 returns the same counts, of both families together", () => {
    const known = desk();
    known.ask(announceOf(known.id(FROM_IPV6)), FROM_IPV6);
    const reply = known.ask(scrapeOf(known.id(FROM_IPV6), INFO_HASH), FROM_IPV6);
    expect(reply).toBe(SCRAPED + word(1) + word(1) + word(3));
    expect(known.counted()).toMatchObject({ udpScrapesIpv6: 1 });
  });
});

describe("a datagram of random bytes", () => {
  /** A repeatable stream of bytes. */
  let state = 99;
  const below = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * n);
  };
  const noise = (length: number): Uint8Array => new Uint8Array(length).map(() => below(256));

  test("causes no exception and without an id no reply, at any length from 0 to 2,048", () => {
    const desk = new Desk();
    for (let length = 0; length <= 2048; length++) {
      const datagram = noise(length);
      // Half of them have a known action.
      if (length >= 12 && length % 2 === 0) datagram.set([0, 0, 0, length % 5], 8);
      expect(desk.ask(datagram, length % 3 === 0 ? FROM_IPV6 : FROM)).toBe("");
    }
    const {
      "udp:short": udpShort,
      "udp:magic": udpMagic,
      "udp:connection_id": udpId,
    } = desk.counted();
    expect(udpShort! + udpMagic! + udpId!).toBe(2049);
    expect(desk.counters.total("udpSentBytes")).toBe(0);
  });

  test("with a valid id causes no exception either, and no reply exceeds the limit", () => {
    const desk = new Desk();
    const id = desk.id();
    for (let length = 16; length <= 2048; length++) {
      const datagram = noise(length);
      datagram.set(bytesOf(id));
      datagram.set([0, 0, 0, length % 5], 8);
      expect(desk.ask(datagram).length / 2).toBeLessThanOrEqual(1232);
    }
    expect(desk.counted().udpAnnouncesIpv4).toBeGreaterThan(300);
    expect(desk.counted().udpScrapesIpv4).toBeGreaterThan(300);
  });

  test("gets no reply longer than itself before its address is proven", () => {
    const desk = new Desk();
    for (let length = 0; length <= 200; length++) {
      const datagram = new Uint8Array(length);
      datagram.set(connect().subarray(0, length));
      expect(desk.ask(datagram).length / 2).toBeLessThanOrEqual(length);
    }
    expect(desk.counted()).toEqual({ "udp:short": 16, udpConnectsIpv4: 185 });
  });

  test("is counted in received and sent bytes", () => {
    const desk = new Desk();
    desk.ask(connect());
    desk.ask(new Uint8Array(7));
    expect(desk.counters.total("udpReceivedBytes")).toBe(23);
    expect(desk.counters.total("udpSentBytes")).toBe(16);
  });

  test("is answered in its own slot, and changes no other", () => {
    const desk = new Desk();
    desk.datagrams.replies.fill(0xee);
    const id = desk.id();
    for (const slot of [0, 63]) {
      desk.ask(announceOf(id), "192.0.2.1", slot);
      const head = desk.datagrams.replies.subarray(slot * REPLY_SLOT, slot * REPLY_SLOT + 8);
      expect(head.toHex()).toBe("00000001" + TRANSACTION);
    }
    const second = desk.datagrams.replies.subarray(REPLY_SLOT, 3 * REPLY_SLOT);
    expect(second.every((byte) => byte === 0xee)).toBe(true);
    const between = desk.datagrams.replies.subarray(4 * REPLY_SLOT, 63 * REPLY_SLOT);
    expect(between.every((byte) => byte === 0xee)).toBe(true);
  });
});
