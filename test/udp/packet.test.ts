/** BEP 15 and BEP 41, byte by byte. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  ANNOUNCE_REQUEST_SIZE_MIN,
  hasConnectMagic,
  hasIp,
  ipAt,
  isNothingLeft,
  OFFSET_PORT,
  peersFitting,
  readAction,
  readEvent,
  readInfoHash,
  readNumWant,
  readUrlData,
  scrapeHashes,
  writeAnnounceNumbers,
  writeError,
  writeReplyHead,
  writeScrapeEntry,
} from "../../src/udp/packet.ts";
import { readU32, writeU32 } from "../../src/net/words.ts";
import { announceOf, bytesOf, connect, INFO_HASH, scrapeOf } from "./fixture.ts";

const ID = "1122334455667788";
/** A packet that does not begin at the start of its buffer. */
function placed(packet: Uint8Array, at: number): Uint8Array {
  const buffer = new Uint8Array(at + packet.length + 8).fill(0xaa);
  buffer.set(packet, at);
  return buffer;
}

describe("a connect request", () => {
  test("begins with 0x41727101980 and has action 0", () => {
    expect(hasConnectMagic(connect(), 0)).toBe(true);
    expect(readAction(connect(), 0)).toBe(0);
    expect(hasConnectMagic(placed(connect(), 5), 5)).toBe(true);
  });

  test("is refused if any bit of these eight bytes differs", () => {
    for (let bit = 0; bit < 64; bit++) {
      const packet = connect();
      packet[bit >> 3] ^= 1 << (bit & 7);
      expect(hasConnectMagic(packet, 0)).toBe(false);
    }
  });
});

describe("an announce request", () => {
  const packet = bytesOf(
    `1122334455667788 00000001 c0ffee01
     000102030405060708090a0b0c0d0e0f10111213 2d4c54323042302d313233343536373839303132
     0000000000000111 0000000200000000 0000000000000333 00000002 c0000207 deadbeef 0000001e 1ae1`,
  );

  test("is 98 bytes, each field at its place", () => {
    expect(packet.length).toBe(98);
    expect(ANNOUNCE_REQUEST_SIZE_MIN).toBe(98);
    expect(readAction(packet, 0)).toBe(1);
    const infoHash = new Uint8Array(20);
    readInfoHash(packet, 0, 0, infoHash);
    expect(infoHash.toHex()).toBe("000102030405060708090a0b0c0d0e0f10111213");
    expect(readEvent(packet, 0)).toBe(2);
    expect(hasIp(packet, 0)).toBe(true);
    expect(packet.slice(ipAt(0), ipAt(0) + 4).toHex()).toBe("c0000207");
    expect(readNumWant(packet, 0)).toBe(30);
    expect(packet.slice(OFFSET_PORT, OFFSET_PORT + 2).toHex()).toBe("1ae1");
  });

  test("is read the same at any offset of its buffer", () => {
    const there = placed(packet, 2048);
    const infoHash = new Uint8Array(20);
    readInfoHash(there, 2048, 0, infoHash);
    expect(infoHash.toHex()).toBe("000102030405060708090a0b0c0d0e0f10111213");
    expect(readAction(there, 2048)).toBe(1);
    expect(readEvent(there, 2048)).toBe(2);
    expect(isNothingLeft(there, 2048)).toBe(false);
    expect(hasIp(there, 2048)).toBe(true);
    expect(ipAt(2048)).toBe(2048 + 84);
    expect(readNumWant(there, 2048)).toBe(30);
  });

  test("is from a seeder only if all 64 bits of left are zero", () => {
    expect(isNothingLeft(announceOf(ID, { left: "0000000000000000" }), 0)).toBe(true);
    for (let bit = 0; bit < 64; bit++) {
      const left = (1n << BigInt(bit)).toString(16).padStart(16, "0");
      expect(isNothingLeft(announceOf(ID, { left }), 0)).toBe(false);
    }
  });

  test("has event 0 to 4; any other number means no event", () => {
    for (const event of [0, 1, 2, 3, 4]) {
      expect(readEvent(announceOf(ID, { event }), 0)).toBe(event);
    }
    for (const event of [5, 255, 0x100, 0x7fffffff, 0x80000001, 0xffffffff]) {
      expect(readEvent(announceOf(ID, { event }), 0)).toBe(0);
    }
  });

  test("has a signed num_want", () => {
    for (const numWant of [-1, 0, 1, 200, 0x7fffffff, -0x80000000]) {
      expect(readNumWant(announceOf(ID, { numWant }), 0)).toBe(numWant);
    }
  });

  test("claims an address if any bit of its ip field is set", () => {
    expect(hasIp(announceOf(ID), 0)).toBe(false);
    for (const ip of ["00000001", "80000000", "00010000"]) {
      expect(hasIp(announceOf(ID, { ip }), 0)).toBe(true);
    }
  });
});

describe("a scrape request", () => {
  test("has one info hash for every 20 whole bytes after its head", () => {
    const counts = [16, 35, 36, 55, 56, 1495, 1496, 2048].map((length) => scrapeHashes(length));
    expect(counts).toEqual([0, 0, 1, 1, 2, 73, 74, 101]);
  });

  test("is read hash by hash", () => {
    const other = "ff".repeat(19) + "01";
    const out = new Uint8Array(20);
    readInfoHash(placed(scrapeOf(ID, INFO_HASH + other), 4), 4, 1, out);
    expect(out.toHex()).toBe(other);
  });
});

describe("a reply", () => {
  const request = placed(connect("89abcdef"), 3);
  /** Writes at 2 in a buffer of sixes and returns all of it. */
  function written(write: (out: Uint8Array) => void, length = 16): string {
    const out = new Uint8Array(length).fill(0x66);
    write(out);
    return out.toHex();
  }

  test("begins with its action and the transaction id of the request", () => {
    const bytes = written((out) => writeReplyHead(out, 2, 2, request, 3), 12);
    expect(bytes).toBe("6666" + "00000002" + "89abcdef" + "6666");
  });

  test("to an announce has interval, leechers, seeders in this order", () => {
    const bytes = written((out) => writeAnnounceNumbers(out, 1, 1800, 0xfffffffe, 3), 22);
    expect(bytes).toBe("66".repeat(9) + "00000708" + "fffffffe" + "00000003" + "66");
  });

  test("to a scrape has seeders, downloads, leechers for each hash", () => {
    const bytes = written((out) => writeScrapeEntry(out, 2, 1, 1, 2, 3), 36);
    expect(bytes).toBe("66".repeat(22) + "00000001" + "00000002" + "00000003" + "6666");
  });

  test("of an error is action 3, the transaction id and a text", () => {
    const out = new Uint8Array(20).fill(0x66);
    expect(writeError(out, 1, request, 3, new TextEncoder().encode("no"))).toBe(10);
    expect(out.toHex()).toBe("66" + "00000003" + "89abcdef" + "6e6f" + "66".repeat(9));
  });

  test("of 1,232 bytes holds 202 IPv4 or 67 IPv6 peers, one of 20 bytes no peer", () => {
    expect(peersFitting(1232, 4)).toBe(202);
    expect(peersFitting(1232, 6)).toBe(67);
    expect(peersFitting(20, 4)).toBe(0);
    expect(peersFitting(37, 6)).toBe(0);
    expect(peersFitting(38, 6)).toBe(1);
  });
});

test("a 32-bit number is read and written big-endian, as a DataView would, at any place", () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(9), (value, at) => {
      const bytes = new Uint8Array(16).fill(0x77);
      const view = new DataView(new ArrayBuffer(16));
      new Uint8Array(view.buffer).fill(0x77);
      view.setUint32(at, value);
      writeU32(bytes, at, value);
      expect(bytes).toEqual(new Uint8Array(view.buffer));
      expect(readU32(bytes, at)).toBe(value);
    }),
  );
});

describe("the options of an announce", () => {
  /** URL data of an announce with these options, placed in the middle of a buffer of 0x02. */
  function urlData(options: string, room = 64): string {
    const packet = announceOf(ID, { options });
    const buffer = new Uint8Array(packet.length + 600).fill(2);
    buffer.set(packet, 100);
    const out = new Uint8Array(room);
    const length = readUrlData(buffer, 100, packet.length, out);
    return new TextDecoder().decode(out.subarray(0, length));
  }
  const text = (words: string): string => new TextEncoder().encode(words).toHex();

  test("may be absent", () => {
    expect(urlData("")).toBe("");
    expect(urlData("00")).toBe("");
  });

  test("can hold the path and query of the announce URL", () => {
    expect(urlData("020a" + text("/a?pass=11"))).toBe("/a?pass=11");
    expect(urlData("020a" + text("/a?pass=11") + "00")).toBe("/a?pass=11");
  });

  test("can hold it in pieces, with fillers and unknown options between", () => {
    const first = `01 02 03 ${text("/an")} 01 01 07 02 ffff 02 00`;
    const pieces = `${first} 02 04 ${text("noun")} 00 02 01 41`;
    expect(urlData(pieces)).toBe("/announ");
  });

  test("end with the option that overruns the packet", () => {
    expect(urlData("0202" + text("ab") + "0203" + text("cd"))).toBe("ab");
    expect(urlData("0202" + text("ab") + "02")).toBe("ab");
    expect(urlData("02ff")).toBe("");
    expect(urlData("07ff" + "02")).toBe("");
  });

  test("never write beyond the output buffer", () => {
    expect(urlData("020a" + text("/a?pass=11"), 4)).toBe("/a?p");
    expect(urlData("0202" + text("ab") + "0202" + text("cd"), 3)).toBe("abc");
    expect(urlData("0202" + text("ab"), 0)).toBe("");
  });

  test("of any bytes are read in one pass and never past the packet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (options) => {
        const packet = announceOf(ID, { options: options.toHex() });
        const out = new Uint8Array(500);
        const alone = readUrlData(packet, 0, packet.length, out);
        expect(alone).toBeLessThanOrEqual(Math.max(0, options.length - 2));
        // The bytes behind the packet in its slot belong to another datagram and change nothing.
        for (const filler of [0, 1, 2, 255]) {
          const buffer = new Uint8Array(packet.length + 300).fill(filler);
          buffer.set(packet);
          const other = new Uint8Array(500);
          expect(readUrlData(buffer, 0, packet.length, other)).toBe(alone);
          expect(other).toEqual(out);
        }
      }),
    );
  });
});
