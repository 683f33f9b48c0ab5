import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  BODY_BYTES_MAX,
  BODY_DONE,
  BODY_GOES_ON,
  BODY_MALFORMED,
  BODY_TOO_LARGE,
  BodySkipper,
} from "../../src/http/body.ts";

/** The verdict on a chunked body, and the bytes behind it. */
function skipChunks(text: string): [verdict: number, rest: string] {
  const body = new BodySkipper(-1);
  const verdict = body.skip(Buffer.from(text, "latin1"), 0);
  return [verdict, verdict === BODY_DONE ? text.slice(body.next) : ""];
}

test("a body with a length ends after that number of bytes, in any pieces", () => {
  const body = new BodySkipper(5);
  expect(body.skip(Buffer.from("GETab"), 3)).toBe(BODY_GOES_ON);
  expect(body.skip(Buffer.from("c"), 0)).toBe(BODY_GOES_ON);
  expect(body.skip(Buffer.from("deGET"), 0)).toBe(BODY_DONE);
  expect(body.next).toBe(2);
});

test.each([
  ["0\r\n\r\n", ""],
  ["3\r\nabc\r\n0\r\n\r\nGET", "GET"],
  ["3\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n", ""],
  ["3;name=value\r\nabc\r\n0\r\n\r\n", ""],
  ["0000000000000003\r\nabc\r\n0\r\n\r\n", ""],
  ["3 \t;name\r\nabc\r\n0\r\n\r\n", ""],
  ["3 ;name\r\n\r\n\r\r\n0\r\n\r\n", ""],
  ["0\r\nTrailer: x\r\nOther: y\r\n\r\nGET", "GET"],
])("the chunks %j end where they end", (text, rest) => {
  expect(skipChunks(text)).toEqual([BODY_DONE, rest]);
});

test.each([
  "\r\n",
  "x\r\n",
  "-1\r\n",
  "0x1\r\na",
  "3\nabc",
  "3\r\nabcd\r\n",
  "3\r\nabc\n",
  "3\r\nabc\r\r",
  "3\rx",
  "0\r\n\rx",
  "0\r\n\n",
  "0\r\na\0",
  "1;\x7f\r\n",
  "5 6\r\n",
  "5\t6;name\r\n",
  "5 \r\n",
  "00000000000000005\r\n",
  `${"0".repeat(60_000)}\r\n`,
])("the chunks %j are malformed", (text) => {
  expect(skipChunks(text)[0]).toBe(BODY_MALFORMED);
});

test("endless chunks become too large, and so is a chunk whose size exceeds the limit", () => {
  expect(skipChunks("1\r\na\r\n".repeat(11_000))[0]).toBe(BODY_TOO_LARGE);
  expect(skipChunks(`1;${"x".repeat(BODY_BYTES_MAX)}`)[0]).toBe(BODY_TOO_LARGE);
  expect(skipChunks(`0\r\n${"A: b\r\n".repeat(11_000)}`)[0]).toBe(BODY_TOO_LARGE);
  expect(skipChunks("10001\r\n")[0]).toBe(BODY_TOO_LARGE);
  expect(skipChunks("F".repeat(5000))[0]).toBe(BODY_TOO_LARGE);
});

test("a body in pieces gets the same verdict as in one piece", () => {
  const piece = fc.constantFrom(
    "0",
    "3",
    "a",
    "\r\n",
    "\r",
    "\n",
    ";",
    "0\r\n\r\n",
    "3\r\nabc\r\n",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const bytes = Buffer.from(pieces.join(""));
      const whole = new BodySkipper(-1);
      const verdict = whole.skip(bytes, 0);
      const cut = new BodySkipper(-1);
      let at = 0;
      let last = BODY_GOES_ON;
      while (at < bytes.length && last === BODY_GOES_ON) {
        last = cut.skip(bytes.subarray(at, at + 1), 0);
        at += 1;
      }
      expect(last).toBe(verdict);
      if (verdict === BODY_DONE) expect(at).toBe(whole.next);
    }),
  );
});
