import { expect, test } from "bun:test";
import fc from "fast-check";
import { RequestPrefetch } from "../../src/http/request-prefetch.ts";
import { GATHERED_MAX } from "../../src/http/gathered.ts";
import { HASH, HASH_HEX, QUERY } from "./fixture.ts";

/** The info hashes that are fetched for these texts, in hex. */
function fetched(...texts: string[]): string[] {
  let hashes: string[] = [];
  const prefetch = new RequestPrefetch({
    fetch(halves, ats, count) {
      const bytes = new Uint8Array(halves.buffer);
      const hexAt = (i: number) => bytes.slice(ats[i] * 2, ats[i] * 2 + 20).toHex();
      hashes = Array.from({ length: count }, (_, i) => hexAt(i));
    },
  });
  prefetch.fetch(texts, texts.length);
  return hashes;
}

/** The info hash that ends in this byte, as it is escaped. */
function numbered(last: number): string {
  return "%00".repeat(19) + "%" + last.toString(16).padStart(2, "0");
}

test("the info hashes of all announces are fetched at once, in their order", () => {
  const texts = Array.from(
    { length: GATHERED_MAX },
    (_, i) => `GET /announce?info_hash=${numbered(i)}&port=1 HTTP/1.1\r\n`,
  );
  const expected = texts.map((_, i) => "00".repeat(19) + i.toString(16).padStart(2, "0"));
  expect(fetched(...texts)).toEqual(expected);
});

test.each([
  ["at the beginning of the query", `GET /announce?${QUERY} HTTP/1.1\r\n`],
  ["behind other keys", `GET /x/announce.php?port=1&info_hash=${HASH}&left=1 HTTP/1.1\r\n`],
  ["at its end", `GET /announce?port=1&info_hash=${HASH} HTTP/1.1\r\n`],
  ["of a scrape of several", `GET /scrape?info_hash=${HASH}&info_hash=${numbered(1)} HTTP/1.1\r\n`],
  ["with all of it escaped", `GET /announce?info_hash=${escaped(HASH_HEX)}&port=1 HTTP/1.1\r\n`],
])("an info hash is found %s", (_where, text) => {
  expect(fetched("GET / HTTP/1.1\r\n", text)).toEqual([HASH_HEX]);
});

test.each([
  ["no info hash", "GET /stats HTTP/1.1\r\n"],
  ["a short one", "GET /announce?info_hash=abc&port=1 HTTP/1.1\r\n"],
  ["a broken one", `GET /announce?info_hash=%zz${HASH}&port=1 HTTP/1.1\r\n`],
  ["the beginning of one", `GET /announce?info_hash=${HASH.slice(0, 30)}`],
  ["nothing", ""],
])("%s is passed over, and those behind it are not", (_name, text) => {
  expect(fetched(text, `GET /announce?${QUERY}`)).toEqual([HASH_HEX]);
});

test("any texts are looked at without an exception", () => {
  const piece = fc.oneof(
    fc.constantFrom("info_hash=", HASH, "%", "&", "GET /announce?"),
    fc.string({ unit: "binary" }),
  );
  const text = fc.array(piece).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.array(text, { maxLength: GATHERED_MAX }), (texts) => {
      expect(fetched(...texts).length).toBeWithin(0, texts.length + 1);
    }),
  );
});

function escaped(hex: string): string {
  return hex.replace(/../g, "%$&");
}
