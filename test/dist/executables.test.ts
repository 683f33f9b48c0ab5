/** The target of a program file, from headers that are written here byte by byte. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";

import { targetOf } from "../../scripts/executables.ts";

const ELF_X64 = 62;
const ELF_ARM64 = 183;
const INTERPRETER = 3;
const NOTES = 4;

/** An ELF file with one program header for each content, which follow each other. */
function elf(machine: number, contents: [type: number, content: Buffer][]): Buffer {
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", 0, "latin1");
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(contents.length, 56);
  let offset = 64 + 56 * contents.length;
  const headers = contents.map(([type, content]) => {
    const bytes = Buffer.alloc(56);
    bytes.writeUInt32LE(type, 0);
    bytes.writeBigUInt64LE(BigInt(offset), 8);
    bytes.writeBigUInt64LE(BigInt(content.length), 32);
    offset += content.length;
    return bytes;
  });
  return Buffer.concat([header, ...headers, ...contents.map(([, content]) => content)]);
}

const interpreter = (path: string): [number, Buffer] => [INTERPRETER, Buffer.from(`${path}\0`)];

/** A note of another kind, padded, and then FreeBSD's own, which says 14.4. */
const freebsdNotes: [number, Buffer] = [
  NOTES,
  Buffer.from(
    "03000000" +
      "02000000" +
      "03000000" +
      "474e5500" +
      "abcd0000" + // GNU, 2 bytes
      "08000000" +
      "04000000" +
      "01000000" +
      "4672656542534400" +
      "406c1500", // FreeBSD
    "hex",
  ),
];

function macho(machine: number, kind: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(0xfeedfacf, 0);
  bytes.writeUInt32LE(machine, 4);
  bytes.writeUInt32LE(kind, 12);
  return bytes;
}

function pe(machine: number): Buffer {
  const bytes = Buffer.alloc(128);
  bytes.write("MZ", 0, "latin1");
  bytes.writeUInt32LE(96, 60);
  bytes.write("PE\0\0", 96, "latin1");
  bytes.writeUInt16LE(machine, 100);
  return bytes;
}

test.each([
  ["linux-x64", elf(ELF_X64, [interpreter("/lib64/ld-linux-x86-64.so.2")])],
  ["linux-arm64", elf(ELF_ARM64, [interpreter("/lib/ld-linux-aarch64.so.1")])],
  ["linux-x64-musl", elf(ELF_X64, [interpreter("/lib/ld-musl-x86_64.so.1")])],
  ["linux-arm64-musl", elf(ELF_ARM64, [interpreter("/lib/ld-musl-aarch64.so.1")])],
  ["freebsd-x64", elf(ELF_X64, [interpreter("/libexec/ld-elf.so.1"), freebsdNotes])],
  ["freebsd-arm64", elf(ELF_ARM64, [freebsdNotes])],
  ["darwin-x64", macho(0x01000007, 2)],
  ["darwin-arm64", macho(0x0100000c, 2)],
  ["windows-x64", pe(0x8664)],
])("%s is told by its bytes", (target, bytes) => {
  expect(targetOf(bytes)).toBe(target);
});

describe("a file is not a program for a known target", () => {
  test.each([
    ["empty", Buffer.alloc(0)],
    ["text", Buffer.from("#!/bin/sh\necho hello\n")],
    ["for a machine of 32 bits", Buffer.from("7f454c4601010100".padEnd(128, "0"), "hex")],
    ["for another machine", elf(243, [interpreter("/lib/ld-linux-riscv64-lp64d.so.1")])],
    ["an ELF file without interpreter", elf(ELF_X64, [])],
    ["for FreeBSD by its interpreter only", elf(ELF_X64, [interpreter("/libexec/ld-elf.so.1")])],
    ["a library of Darwin", macho(0x0100000c, 6)],
    ["of Windows, but not PE", pe(0x8664).fill(0, 96, 100)],
  ])("if it is %s", (_, bytes) => {
    expect(targetOf(bytes)).toBeUndefined();
  });

  test("if it is cut short before the bytes that identify it", () => {
    const whole = elf(ELF_X64, [interpreter("/libexec/ld-elf.so.1"), freebsdNotes]);
    for (let length = 0; length < whole.length - 4; length++) {
      expect(targetOf(whole.subarray(0, length))).not.toBe("linux-x64");
    }
    expect(targetOf(whole.subarray(0, 100))).toBeUndefined();
  });
});

test("the program that runs this is for this machine", () => {
  const target = targetOf(readFileSync(process.execPath));
  const machine = `${process.platform.replace("win32", "windows")}-${process.arch}`;
  expect(target).toStartWith(machine);
});
