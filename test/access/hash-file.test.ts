/** The file of a list: which lines hold a hash, which are bad, how a hash is added and removed. */
import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";

import {
  enlargeHashList,
  hashLine,
  readHashFile,
  withoutHash,
} from "../../src/access/hash-file.ts";
import { atOnce, halvesOf, hashOf, KEYS, text } from "./fixture.ts";

const A = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const B = "0123456789abcdef0123456789abcdef01234567";
const LONG = `${B}89abcdef0123456789abcdef`;
const A32 = "P2MQGUL526JBGDRKPINOTJRM6LPOHS4A";
const LINK = `magnet:?xt=urn:btih:${A}&dn=a,b;c&tr=udp%3A%2F%2Ftracker.example`;
const HYBRID = `magnet:?xt=urn:btih:${A}&xt=urn:btmh:1220${LONG}&dn=x`;

const read = (words: string) => atOnce(readHashFile(text(words), KEYS));
const lists = (words: string, hash: string) =>
  read(words).list.contains(halvesOf(Uint8Array.fromHex(hash)), 0);
const shown = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

describe("a line", () => {
  test.each([
    ["a hash", `${A}\n`],
    ["a hash without a line end", A],
    ["upper case", `${A.toUpperCase()}\n`],
    ["CR LF", `${A}\r\n`],
    ["a comment behind the hash", `${A} ; by mail, 7 June\n`],
    ["a comment right behind the hash", `${A}; by mail\n`],
    ["blanks before the hash", ` \t${A}\n`],
    ["lines of comment and blank lines around it", `# list\n\n  \r\n${A}\n\n# end`],
    ["a byte order mark before it", `\ufeff${A}\n`],
    ["CR CR LF", `${A}\r\r\n`],
    ["LF CR", `\n\r${A}\n\r`],
    ["a comment that names another hash", `${A} ; as ${B}\n`],
    ["a number behind the hash", `${A} 20261127\n`],
    ["base32", `${A32}\n`],
    ["base32 in lower case, and a comment", `${A32.toLowerCase()};by mail\n`],
    ["a URN", `urn:btih:${A}\r\n`],
    ["a magnet link", `${LINK}\n`],
    ["a magnet link and a comment", `  ${LINK.toUpperCase()} by mail, as ${B}\n`],
    ["a hash, and its magnet link as a comment", `${A} ; ${LINK}\n`],
    ["a magnet link, and its hash as a comment", `${LINK} ; ${A32}\n`],
  ])("is read: %s", (_name, words) => {
    const { list, bad } = read(words);
    expect([list.size, bad.count]).toEqual([1, 0]);
    expect(lists(words, A)).toBe(true);
  });

  test("with 64 digits is a hash of version 2, shortened to 20 bytes", () => {
    expect(lists(LONG, B)).toBe(true);
    expect(read(LONG).bad.count).toBe(0);
  });

  test("that is a hybrid magnet link holds a hash of each version", () => {
    const { list, bad } = read(`${HYBRID}\n`);
    expect([list.size, bad.count, lists(HYBRID, A), lists(HYBRID, B)]).toEqual([2, 0, true, true]);
  });

  test.each([
    ["39 digits", A.slice(1)],
    ["41 digits", `${A}0`],
    ["63 digits", LONG.slice(1)],
    ["65 digits", `${LONG}0`],
    ["a letter in the middle", `${A.slice(0, 20)}g${A.slice(21)}`],
    ["words", "hello"],
    ["a NUL", "\0"],
    ["two hashes and a blank", `${A} ${B}`],
    ["two hashes and a comma", `${A},${B}`],
    ["two hashes, a comma and a blank", `${A}, ${LONG}`],
    ["two hashes and a semicolon", `${A};${B}`],
    ["a hash of version 2 and another hash", `${LONG}\t${A} comment`],
    ["hashes whose lines end with CR", `${A}\r${B}\r`],
    ["a comment whose line ends with CR", `# list\r${A}\r`],
    ["31 letters of base32", A32.slice(1)],
    ["33 letters of base32", `${A32}A`],
    ["base32 with a 1", `1${A32.slice(1)}`],
    ["a hash and another in base32", `${LONG} ${A32}`],
    ["a hash and the magnet link of another", `${B}, ${LINK}`],
    ["a magnet link and another hash", `${LINK} ${B}`],
    ["a magnet link without a topic", "magnet:?dn=x"],
    ["a magnet link of another network", `magnet:?xt=urn:sha1:${A32}`],
    ["a magnet link with a topic that is cut", HYBRID.slice(0, -6)],
    ["a magnet link with a blank before its second topic", HYBRID.replace("&xt", "&dn=a b&xt")],
    ["a magnet link with CR inside", `${LINK}\r${LINK}`],
  ])("is bad: %s", (_name, line) => {
    const { list, bad } = read(`${B}\n${line}\n${line}`);
    expect([list.size, bad.count, bad.first]).toEqual([1, 2, [2, 3]]);
  });
});

test("all bad lines are counted, the first five reported", () => {
  expect(read("x\n".repeat(100)).bad).toEqual({ count: 100, first: [1, 2, 3, 4, 5] });
});

test("an empty file is an empty list", () => {
  expect(read("").list.size).toBe(0);
  expect(read("\n\n").list.size).toBe(0);
});

test("a hash that is listed twice is on the list once", () => {
  expect(read(`${A}\n${A.toUpperCase()}\n`).list.size).toBe(1);
});

test("lists of any length are read completely", () => {
  for (const count of [63, 64, 65, 2047, 2048, 2049, 5000]) {
    const lines = Array.from({ length: count }, (_, n) => hashOf(n).toHex());
    const { list } = read(lines.join("\n"));
    expect(list.size).toBe(count);
    expect(list.contains(halvesOf(hashOf(count - 1)), 0)).toBe(true);
    expect(list.contains(halvesOf(hashOf(count)), 0)).toBe(false);
  }
});

test("no file content makes the reader fail", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { list, bad } = atOnce(readHashFile(bytes, KEYS));
      expect(list.size + bad.count).toBeLessThanOrEqual(201);
    }),
  );
});

test("a million hashes are read into less than 32 MB", () => {
  const digits = "0123456789abcdef";
  const bytes = new Uint8Array(41_000_000);
  for (let line = 0, random = 1; line < 1_000_000; line++) {
    for (let i = 0; i < 40; i++) {
      random = Math.imul(random, 1664525) + 1013904223;
      bytes[line * 41 + i] = digits.charCodeAt(random >>> 28);
    }
    bytes[line * 41 + 40] = 10;
  }
  const { list } = atOnce(readHashFile(bytes, KEYS));
  expect(list.size).toBe(1_000_000);
  expect(list.memory.byteLength).toBeLessThan(32_000_000);
}, 20_000);

test("what the hashes of a file were read into is given back without a collection", () => {
  const transfer = spyOn(ArrayBuffer.prototype, "transfer");
  try {
    const bytes = text(Array.from({ length: 3000 }, (_, n) => hashOf(n).toHex()).join("\n"));
    expect(atOnce(readHashFile(bytes, KEYS)).list.size).toBe(3000);
    const freed = transfer.mock.contexts as ArrayBuffer[];
    expect(freed.map((buffer) => buffer.byteLength)).toEqual([0, 0, 0]);
  } finally {
    transfer.mockRestore();
  }
});

test("a larger list holds the same hashes and has room again", () => {
  const { list } = read("");
  let n = 0;
  while (list.add(halvesOf(hashOf(n)), 0) === "added") n += 1;
  list.remove(halvesOf(hashOf(0)), 0);
  const larger = atOnce(enlargeHashList(list, KEYS));
  expect(larger.size).toBe(n - 1);
  expect(larger.contains(halvesOf(hashOf(0)), 0)).toBe(false);
  for (let i = 1; i < n; i++) expect(larger.contains(halvesOf(hashOf(i)), 0)).toBe(true);
  expect(larger.add(halvesOf(hashOf(n)), 0)).toBe("added");
});

describe("changing a file", () => {
  const hash = Uint8Array.fromHex(A);

  test("appends a line, also after a last line without a line end", () => {
    expect(shown(hashLine(hash, true))).toBe(`${A}\n`);
    expect(shown(hashLine(hash, false))).toBe(`\n${A}\n`);
  });

  test("removes all lines of the hash and keeps the others as they are", () => {
    const without = (words: string) => shown(atOnce(withoutHash(text(words), hash)));
    expect(without(`# x\r\n${A} why\n${B}\nbad\n${A.toUpperCase()}\r\n\n`)).toBe(
      `# x\r\n${B}\nbad\n\n`,
    );
    expect(without(A)).toBe("");
    expect(without(`${B}\n${A}`)).toBe(`${B}\n`);
    expect(without(`${A}${"0".repeat(24)}\n${B}`)).toBe(B);
    expect(without(`\ufeff${A}\n${B}`)).toBe(`\ufeff${B}`);
    expect(without(`${B}\n`)).toBeUndefined();
    expect(without("")).toBeUndefined();
  });

  test("removes a hash from the line of a hybrid magnet link, and keeps the other one", () => {
    const without = shown(atOnce(withoutHash(text(`${HYBRID} why\r\n# end\n`), hash)));
    expect(without).toBe(`${B}\n# end\n`);
    expect(shown(atOnce(withoutHash(text(without!), Uint8Array.fromHex(B))))).toBe("# end\n");
  });

  test("removes a hash in any form", () => {
    const all = [A32, LINK, `urn:btih:${A32}`, `${A} ; ${LINK}`].join("\n");
    expect(shown(atOnce(withoutHash(text(all), hash)))).toBe("");
  });

  test("adding and removing a hash restores the file", () => {
    const many = Array.from({ length: 5000 }, (_, n) => `${hashOf(n).toHex()} ${n}\n`).join("");
    const longer = text(many + shown(hashLine(hash, true)));
    expect(shown(atOnce(withoutHash(longer, hash)))).toBe(many);
  });
});
