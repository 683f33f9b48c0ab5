import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
} from "../../src/constants.ts";
import { AnnounceQuery, isText, ScrapeQuery, valueText } from "../../src/http/query.ts";
import {
  VERDICT_INFO_HASH_ESCAPE,
  VERDICT_INFO_HASH_HIDDEN,
  VERDICT_INFO_HASH_MISSING,
  VERDICT_INFO_HASH_REPEATED,
  VERDICT_INFO_HASH_LONG,
  VERDICT_INFO_HASH_SIZE,
  VERDICT_OK,
  VERDICT_PEER_ID,
  VERDICT_PORT,
  VERDICT_PORT_MISSING,
} from "../../src/gates/verdicts.ts";
import { HASH, HASH_HEX, PEER_ID, QUERY } from "./fixture.ts";

const query = new AnnounceQuery(new Uint8Array(20));

/** The record after a valid query. */
function accepted(text: string): AnnounceQuery {
  expect([text, query.read(text, 0)]).toEqual([text, VERDICT_OK]);
  return query;
}

/** The info hash of an announce that writes it as `value`. */
function hashOf(value: string): string {
  return accepted(`info_hash=${value}&port=1`).infoHash.toHex();
}

test("the announce of a real client is read whole", () => {
  const url =
    "http://t/announce?info_hash=%7E%99%03Q%7D%D7%92%13%0E%2Az%1A%E9%A6%2C%F2%DE%E3%CB%80" +
    "&peer_id=M5-0-9--04ced8af43f0&port=23004&key=f1a6912a&uploaded=10071891&downloaded=0" +
    "&left=0&compact=1";
  expect(query.read(url, url.indexOf("?") + 1)).toBe(VERDICT_OK);
  expect(query.infoHash.toHex()).toBe("7e9903517dd792130e2a7a1ae9a62cf2dee3cb80");
  expect(query).toMatchObject({
    port: 23004,
    seeder: true,
    event: EVENT_NONE,
    wanted: -1,
    compact: true,
  });
});

test("an info hash may be escaped in either case of hex, or raw where allowed", () => {
  expect(hashOf("%aa%BB%cC%Dd%2b/:@;,!*()'~-._=")).toBe("aabbccdd2b2f3a403b2c212a2829277e2d2e5f3d");
});

test("a raw plus in an info hash or peer id is a space, an escaped one is a plus", () => {
  expect(hashOf("a+b%2Bc%20d+++++++++++++")).toBe("6120622b632064" + "20".repeat(13));
  accepted(`${QUERY}&peer_id=++++++++++++++++++++`);
});

test("any 20 bytes, percent-encoded any way, read back", () => {
  const byte = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.constantFrom("upper", "lower", "raw"));
  const plain = /[A-Za-z0-9\-._~!*()/:@;,=?]/;
  fc.assert(
    fc.property(fc.array(byte, { minLength: 20, maxLength: 20 }), (bytes) => {
      const encoded = bytes.map(([value, way]) => {
        const hex = value.toString(16).padStart(2, "0");
        if (way === "raw" && value === 32) return "+";
        if (way === "raw" && plain.test(String.fromCharCode(value))) {
          return String.fromCharCode(value);
        }
        return `%${way === "upper" ? hex.toUpperCase() : hex}`;
      });
      expect(hashOf(encoded.join(""))).toBe(Uint8Array.from(bytes, ([value]) => value).toHex());
    }),
  );
});

test("every escape is read as its byte, in either case of each digit", () => {
  for (let byte = 0; byte < 256; byte++) {
    const [high, low] = byte.toString(16).padStart(2, "0");
    for (const first of [high, high.toUpperCase()]) {
      for (const second of [low, low.toUpperCase()]) {
        const escape = `%${first}${second}`;
        expect([escape, valueText(escape, 0, 3)]).toEqual([escape, String.fromCharCode(byte)]);
        expect(hashOf(escape.repeat(20))).toBe((high + low).repeat(20));
      }
    }
  }
});

test("only a percent sign with two hexadecimal digits is an escape", () => {
  // Up to 0x441: a character whose lower 8 bits are a digit is not a digit.
  for (let code = 0; code <= 0x441; code++) {
    const char = String.fromCharCode(code);
    const isDigit = /[0-9A-Fa-f]/.test(char);
    for (const escape of [`%${char}0`, `%0${char}`]) {
      expect([code, valueText(escape, 0, 3) !== ""]).toEqual([code, isDigit]);
      const verdict = query.read(`info_hash=${escape.repeat(20)}&port=1`, 0);
      if (!isDigit && char !== "&" && char !== "#") expect(verdict).toBe(VERDICT_INFO_HASH_ESCAPE);
    }
  }
});

test("an escape that is cut off by the end of its value is malformed", () => {
  const hash = "%41".repeat(19);
  for (const cut of ["%", "%4"]) {
    expect(query.read(`port=1&info_hash=${hash}${cut}&41`, 0)).toBe(VERDICT_INFO_HASH_ESCAPE);
    expect(query.read(`port=1&info_hash=${hash}${cut}`, 0)).toBe(VERDICT_INFO_HASH_ESCAPE);
    expect(valueText("a%41", 0, 1 + cut.length)).toBe("");
  }
});

test("no text causes an exception, and accepted values are in range", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      QUERY,
      "&",
      "=",
      "info_hash=",
      HASH,
      "port=",
      "left=",
      "numwant=",
      "%",
      "#",
      "+",
    ),
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom(..."%0123456789abcdef&=") }),
  );
  const scrape = new ScrapeQuery(3);
  fc.assert(
    fc.property(fc.array(piece), fc.integer({ min: 0, max: 9 }), (pieces, from) => {
      const text = pieces.join("");
      if (query.read(text, from) === VERDICT_OK) {
        expect(query.port).toBeWithin(0, 65536);
        expect(query.wanted).toBeGreaterThanOrEqual(-1);
      }
      scrape.read(text, from);
      expect(scrape.count).toBeWithin(0, 4);
    }),
  );
});

const OTHERS = `peer_id=${PEER_ID}&port=23004&left=1`;

test.each([
  ["no query", "", VERDICT_INFO_HASH_MISSING],
  ["no info hash", OTHERS, VERDICT_INFO_HASH_MISSING],
  [
    "an info hash under an upper-case key",
    `INFO_HASH=${HASH}&${OTHERS}`,
    VERDICT_INFO_HASH_MISSING,
  ],
  ["an empty info hash", `info_hash=&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["an info hash without a value", `info_hash&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["19 bytes", `info_hash=${"a".repeat(19)}&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["21 bytes", `info_hash=${"a".repeat(21)}&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["31 bytes", `info_hash=${"a".repeat(31)}&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["a whole SHA-256", `info_hash=${"%ff".repeat(32)}&${OTHERS}`, VERDICT_INFO_HASH_LONG],
  ["40 hexadecimal digits", `info_hash=${HASH_HEX}&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["a doubly escaped hash", `info_hash=${"%2541".repeat(20)}&${OTHERS}`, VERDICT_INFO_HASH_SIZE],
  ["an escape of one digit", `info_hash=${"a".repeat(19)}%4&${OTHERS}`, VERDICT_INFO_HASH_ESCAPE],
  ["a bare percent sign", `info_hash=${"a".repeat(19)}%&${OTHERS}`, VERDICT_INFO_HASH_ESCAPE],
  ["an escape of no hex", `info_hash=${"a".repeat(19)}%0g&${OTHERS}`, VERDICT_INFO_HASH_ESCAPE],
  [
    "a character no byte holds",
    `info_hash=${"a".repeat(19)}\u0141&${OTHERS}`,
    VERDICT_INFO_HASH_ESCAPE,
  ],
  ["an info hash twice", `${QUERY}&info_hash=${HASH}`, VERDICT_INFO_HASH_REPEATED],
  ["sha_ih in its stead", `sha_ih=${HASH}&${OTHERS}`, VERDICT_INFO_HASH_HIDDEN],
  ["a peer id of 19 bytes", `${QUERY}&peer_id=${"a".repeat(19)}`, VERDICT_PEER_ID],
  ["a peer id of 21 bytes", `${QUERY}&peer_id=${"a".repeat(21)}`, VERDICT_PEER_ID],
  ["a peer id with a broken escape", `${QUERY}&peer_id=${"a".repeat(19)}%zz`, VERDICT_PEER_ID],
  ["no port", `info_hash=${HASH}&peer_id=${PEER_ID}&left=1`, VERDICT_PORT_MISSING],
])("%s is refused", (_, text, verdict) => {
  expect(query.read(text, 0)).toBe(verdict);
});

test.each([
  "",
  "-1",
  "65536",
  "9".repeat(300),
  "6881abc",
  "%206881",
  "+6881",
  "%2B6881",
  "0x1ae1",
  "1.5",
])("port=%s is refused", (port) =>
  expect(query.read(`info_hash=${HASH}&port=${port}`, 0)).toBe(VERDICT_PORT),
);

test.each([
  ["0", 0],
  ["1", 1],
  ["65535", 65535],
  ["06881", 6881],
  ["%36881", 6881],
])("port=%s is port %d", (text, port) => {
  expect(accepted(`info_hash=${HASH}&port=${text}`).port).toBe(port);
});

test("a missing peer id is tolerated", () => {
  accepted(`info_hash=${HASH}&port=1`);
});

test.each(["0", "00", "%30", "0".repeat(300)])("left=%s is a seeder", (left) => {
  expect(accepted(`${QUERY}&left=${left}`).seeder).toBe(true);
});

test.each([
  "1",
  "4294967296",
  "8589934592",
  "9223372036854775807",
  "9223372036854775808",
  "18446744073709551615",
  "18446744073709551616",
  "1" + "0".repeat(300),
  "-1",
  "-0",
  "",
  "abc",
  "undefined",
  "0abc",
  "0.0",
  "%",
])("left=%s is a leecher", (left) => {
  expect(accepted(`${QUERY}&left=${left}`).seeder).toBe(false);
});

test("a missing left is a leecher, also after a seeder", () => {
  accepted(`${QUERY}&left=0`);
  expect(accepted(`info_hash=${HASH}&port=1`).seeder).toBe(false);
});

test.each([
  ["0", 0],
  ["50", 50],
  ["4294967295", 4294967295],
  ["-1", -1],
  ["", -1],
  ["abc", -1],
])("numwant=%s is %d", (text, wanted) => {
  expect(accepted(`${QUERY}&numwant=${text}`).wanted).toBe(wanted);
});

test("a numwant of 300 digits is a large number", () => {
  expect(accepted(`${QUERY}&numwant=${"9".repeat(300)}`).wanted).toBeGreaterThan(1e9);
});

test.each([
  ["started", EVENT_STARTED],
  ["stopped", EVENT_STOPPED],
  ["completed", EVENT_COMPLETED],
  ["paused", EVENT_PAUSED],
  ["%73topped", EVENT_STOPPED],
  ["", EVENT_NONE],
  ["empty", EVENT_NONE],
  ["none", EVENT_NONE],
  ["STARTED", EVENT_NONE],
  ["startedx", EVENT_NONE],
  ["start", EVENT_NONE],
  ["2", EVENT_NONE],
])("event=%s is event %d", (text, event) => {
  expect(accepted(`${QUERY}&event=${text}`).event).toBe(event);
});

test("only compact=0 asks for the list form", () => {
  expect(accepted(`${QUERY}&compact=0`).compact).toBe(false);
  for (const value of ["1", "", "true", "00", "2"]) {
    expect(accepted(`${QUERY}&compact=${value}`).compact).toBe(true);
  }
});

test("keys are percent-decoded before they are compared", () => {
  expect(accepted(`%69nfo%5fhash=${HASH}&p%6Frt=5`).port).toBe(5);
  expect(query.infoHash.toHex()).toBe(HASH_HEX);
});

test("unknown keys are skipped with any value", () => {
  const long = "k".repeat(1000);
  const noise = `&&=x&key=%zz&%=&trackerid=TID+/&${long}=1&num_want=3&info_hash2=x&%00=`;
  expect(accepted(`uid=1&${QUERY}${noise}`).port).toBe(23004);
});

test("a repeated key counts with its last value", () => {
  expect(accepted(`${QUERY}&port=1&port=2`).port).toBe(2);
});

test("a second question mark before the info hash is read as an ampersand", () => {
  const read = accepted(`uk=hAKC?info_hash=${HASH}&peer_id=${PEER_ID}&port=7&left=0`);
  expect(read.infoHash.toHex()).toBe(HASH_HEX);
  expect([read.port, read.seeder, read.hasPeerId]).toEqual([7, true, true]);
  const scrape = new ScrapeQuery(9);
  expect(scrape.read(`uk=hAKC?info_hash=${HASH}`, 0)).toBe(VERDICT_OK);
  expect(scrape.count).toBe(1);
  // It is a part of another value where there is an info hash.
  const raw = "?info_hash=abcdefghi";
  expect(hashOf(raw)).toBe(Buffer.from(raw).toString("hex"));
  expect(query.read(`uk=1?info_hash=${HASH}&info_hash=${HASH}&port=1`, 0)).toBe(VERDICT_OK);
  expect(query.read(`uk=1?info_hash=a&port=1`, 0)).toBe(VERDICT_INFO_HASH_SIZE);
  expect(query.read(`port=1#?info_hash=${HASH}`, 0)).toBe(VERDICT_INFO_HASH_MISSING);
  expect(scrape.read(`port=1#?info_hash=${HASH}`, 0)).toBe(VERDICT_INFO_HASH_MISSING);
});

test("an ampersand copied from a web page is an ampersand", () => {
  expect(accepted(`uid=1&amp;info_hash=${HASH}&amp;port=7`).port).toBe(7);
});

test("a fragment ends the query", () => {
  expect(accepted(`${QUERY}#&left=0&info_hash=${HASH}`).seeder).toBe(false);
});

test("a semicolon is part of a value", () => {
  expect(query.read(`info_hash=${HASH};port=1&port=2`, 0)).toBe(VERDICT_INFO_HASH_SIZE);
});

test("the ranges of claimed addresses are kept", () => {
  const text = `${QUERY}&ip=1.2.3.4&ipv4=5.6.7.8&ipv6=%3A%3A1`;
  accepted(text);
  expect(valueText(text, query.ipFrom, query.ipTo)).toBe("1.2.3.4");
  expect(valueText(text, query.ipv4From, query.ipv4To)).toBe("5.6.7.8");
  expect(valueText(text, query.ipv6From, query.ipv6To)).toBe("::1");
  accepted(QUERY);
  expect(valueText(QUERY, query.ipFrom, query.ipTo)).toBe("");
});

test("a value that is malformed or longer than any address is empty text", () => {
  expect(valueText("a%2", 0, 3)).toBe("");
  expect(valueText("a".repeat(64), 0, 64)).toHaveLength(64);
  expect(valueText("a".repeat(65), 0, 65)).toBe("");
});

test("text is compared decoded and in full", () => {
  expect(isText("xannounce", 1, 9, "announce")).toBe(true);
  expect(isText("%61nnounce", 0, 10, "announce")).toBe(true);
  expect(isText("announce", 0, 7, "announce")).toBe(false);
  expect(isText("announces", 0, 9, "announce")).toBe(false);
  expect(isText("announc%", 0, 8, "announce")).toBe(false);
  expect(isText("", 0, 0, "")).toBe(true);
});

/** The last bytes of the hashes of a scrape, or its verdict. */
function scraped(max: number, ...hashes: string[]): number[] | number {
  const scrape = new ScrapeQuery(max);
  const verdict = scrape.read(hashes.map((hash) => `info_hash=${hash}`).join("&"), 0);
  if (verdict !== VERDICT_OK) return verdict;
  return Array.from({ length: scrape.count }, (_, i) => scrape.hashes[i * 20 + 19]);
}

/** An info hash that ends in the byte `last`. */
function numbered(last: number): string {
  return "%00".repeat(19) + "%" + last.toString(16).padStart(2, "0");
}

test("a scrape names a set of hashes, in order and without repeats", () => {
  expect(scraped(9, ...[200, 3, 128, 3, 1, 200, 255].map(numbered))).toEqual([1, 3, 128, 200, 255]);
});

test("the hashes of a scrape equal a sorted set", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1 }), (ends) => {
      const expected = [...new Set(ends)].sort((a, b) => a - b);
      expect(scraped(50, ...ends.map(numbered))).toEqual(expected);
    }),
  );
});

test("hashes beyond the limit of a scrape are ignored", () => {
  expect(scraped(2, numbered(9), numbered(4), numbered(1), "broken%")).toEqual([4, 9]);
});

test("a scrape may have other keys beside its hash", () => {
  const scrape = new ScrapeQuery(74);
  expect(scrape.read(`azsf=S&amp;info_hash=${HASH}&port=1#x`, 0)).toBe(VERDICT_OK);
  expect(scrape.count).toBe(1);
});

test.each([
  ["without info hash", "x=1", VERDICT_INFO_HASH_MISSING],
  [
    "with one hash too short among valid ones",
    `info_hash=${HASH}&info_hash=a`,
    VERDICT_INFO_HASH_SIZE,
  ],
  ["with a whole SHA-256", `info_hash=${HASH}&info_hash=${"a".repeat(32)}`, VERDICT_INFO_HASH_LONG],
  ["with a broken escape", `info_hash=${"a".repeat(19)}%x0`, VERDICT_INFO_HASH_ESCAPE],
])("a scrape %s is refused", (_, text, verdict) => {
  expect(new ScrapeQuery(74).read(text, 0)).toBe(verdict);
});
