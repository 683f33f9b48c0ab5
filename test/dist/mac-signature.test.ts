/** The signature of a program for macOS holds: every page has the checksum that is in it. */
import { describe, expect, test } from "bun:test";

import { signedForMac } from "../../scripts/mac-signature.ts";

const PAGE_BYTES = 4096;
const CODE_BYTES = 2 * PAGE_BYTES + 100;
const ROOM_BYTES = 300;

/** A Mach-O file: header, a segment with code, where its signature is, some code, and room. */
function macho(room = ROOM_BYTES): Buffer {
  const bytes = Buffer.alloc(CODE_BYTES + room, 7);
  bytes.writeUInt32LE(0xfeedfacf, 0);
  bytes.writeUInt32LE(2, 16); // load commands
  bytes.writeUInt32LE(0x19, 32); // a segment
  bytes.writeUInt32LE(72, 36);
  bytes.write("__TEXT\0\0", 40, "latin1");
  bytes.writeBigUInt64LE(0n, 32 + 40);
  bytes.writeBigUInt64LE(8000n, 32 + 48);
  bytes.writeUInt32LE(0x1d, 104); // the signature
  bytes.writeUInt32LE(16, 108);
  bytes.writeUInt32LE(CODE_BYTES, 112);
  bytes.writeUInt32LE(room, 116);
  return bytes;
}

/** The checksums in a signature, and those of the pages that it is about. */
function checksums(program: Buffer): { written: string[]; right: string[] } {
  const directory = program.subarray(CODE_BYTES + program.readUInt32BE(CODE_BYTES + 16));
  const [hashes, count, limit] = [16, 28, 32].map((at) => directory.readUInt32BE(at));
  const pages = Array.from({ length: count }, (_, page) => page);
  const written = pages.map((page) =>
    directory.subarray(hashes + page * 32, hashes + page * 32 + 32).toString("hex"),
  );
  const right = pages.map((page) => {
    const end = Math.min((page + 1) * PAGE_BYTES, limit);
    return Bun.SHA256.hash(program.subarray(page * PAGE_BYTES, end), "hex");
  });
  return { written, right };
}

describe("a signed program for macOS", () => {
  const signed = Buffer.from(signedForMac(macho(), "x"));

  test("has the checksum of each page, the last of which is not a whole one", () => {
    const { written, right } = checksums(signed);
    expect(written).toHaveLength(3);
    expect(written).toEqual(right);
  });

  test("is another program than was signed if one byte of it changes", () => {
    const changed = Buffer.from(signed);
    changed[PAGE_BYTES + 5] ^= 1;
    const { written, right } = checksums(changed);
    expect(written.map((sum, page) => sum === right[page])).toEqual([true, false, true]);
  });

  test("is the same up to its signature, has the same size, and names itself", () => {
    expect(signed.subarray(0, CODE_BYTES).equals(macho().subarray(0, CODE_BYTES))).toBe(true);
    expect(signed).toHaveLength(macho().length);
    expect(signed.toString("latin1", CODE_BYTES + 20 + 88, CODE_BYTES + 20 + 90)).toBe("x\0");
    expect(Buffer.from(signedForMac(signed, "x"))).toEqual(signed);
  });

  test("is refused where there is no room for a signature, or no place", () => {
    expect(() => signedForMac(macho(100), "x")).toThrow("does not fit");
    expect(() => signedForMac(Buffer.alloc(64), "x")).toThrow("no place for a signature");
  });
});
