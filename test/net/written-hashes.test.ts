/** Info hashes as people write them: which texts are one, and which bytes they are. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { readInfoHashes } from "../../src/net/written-hashes.ts";

const V1 = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const V1_BASE32 = "P2MQGUL526JBGDRKPINOTJRM6LPOHS4A";
const V2 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const V2_CUT = V2.slice(0, 40);

const read = (text: string) => readInfoHashes(text).map((hash) => hash.toHex());

test.each([
  ["40 digits", V1, [V1]],
  ["40 digits in upper case", V1.toUpperCase(), [V1]],
  ["64 digits, cut to 20 bytes [BEP 52]", V2, [V2_CUT]],
  ["base32", V1_BASE32, [V1]],
  ["base32 in lower case", V1_BASE32.toLowerCase(), [V1]],
  ["urn:btih with digits", `urn:btih:${V1}`, [V1]],
  ["urn:btih with base32", `urn:btih:${V1_BASE32}`, [V1]],
  ["urn:btmh, a multihash of SHA-256, cut to 20 bytes", `urn:btmh:1220${V2}`, [V2_CUT]],
  ["a magnet link", `magnet:?xt=urn:btih:${V1}`, [V1]],
  ["a magnet link with a name and trackers", `magnet:?dn=a&tr=b&xt=urn:btih:${V1}&tr=c`, [V1]],
  ["a magnet link with base32", `magnet:?xt=urn:btih:${V1_BASE32}&dn=a`, [V1]],
  ["a magnet link of version 2", `magnet:?xt=urn:btmh:1220${V2}&dn=a`, [V2_CUT]],
  ["a hybrid", `magnet:?xt=urn:btih:${V1}&xt=urn:btmh:1220${V2}`, [V1, V2_CUT]],
  ["numbered topics", `magnet:?xt.1=urn:btih:${V1}&xt.2=urn:btmh:1220${V2}`, [V1, V2_CUT]],
  ["topics of other networks beside ours", `magnet:?xt=urn:ed2k:1&xt=urn:btih:${V1}`, [V1]],
  ["one hash twice", `magnet:?xt=urn:btih:${V1}&xt=urn:btih:${V1_BASE32}`, [V1]],
  ["escaped colons", `magnet:?xt=urn%3Abtih%3A${V1}`, [V1]],
  ["upper case everywhere", `MAGNET:?XT=URN:BTIH:${V1.toUpperCase()}`, [V1]],
  ["a link from the source of a web page", `magnet:?dn=a&amp;xt=urn:btih:${V1}`, [V1]],
])("%s is read", (_name, text, hashes) => {
  expect(read(text)).toEqual(hashes);
});

test.each([
  ["nothing", ""],
  ["39 digits", V1.slice(1)],
  ["41 digits", `${V1}0`],
  ["a blank behind it", `${V1} `],
  ["other letters", "g".repeat(40)],
  ["base32 of 31 letters", V1_BASE32.slice(1)],
  ["base32 with padding", `${V1_BASE32}=`],
  ["base32 with a digit that it does not have", `${V1_BASE32.slice(1)}8`],
  ["urn:btih with 64 digits", `urn:btih:${V2}`],
  ["urn:btmh without the tag of SHA-256", `urn:btmh:${V2}`],
  ["urn:btmh of another hash function", `urn:btmh:1114${V1}`],
  ["another URN", `urn:sha1:${V1_BASE32}`],
  ["a magnet link without a topic", "magnet:?dn=a"],
  ["a magnet link of another network", `magnet:?xt=urn:sha1:${V1_BASE32}`],
  ["a topic that is cut, beside a good one", `magnet:?xt=urn:btih:${V1}&xt=urn:btmh:1220${V1}`],
  ["the address of a web page", `https://example.org/?xt=urn:btih:${V1}`],
])("%s is not an info hash", (_name, text) => {
  expect(read(text)).toEqual([]);
});

test("base32 and digits of any hash are the same bytes", () => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
      let number = BigInt(`0x${bytes.toHex()}`);
      let text = "";
      for (let i = 0; i < 32; i++, number >>= 5n) text = letters[Number(number & 31n)] + text;
      expect(read(text)).toEqual([bytes.toHex()]);
    }),
  );
});

test("no text makes the reader fail", () => {
  fc.assert(fc.property(fc.string(), (text) => void readInfoHashes(text)));
  fc.assert(fc.property(fc.string(), (text) => void readInfoHashes(`magnet:?xt=${text}`)));
});
