import { expect, test } from "bun:test";
import { RawTexts } from "../../src/ws/raw-texts.ts";
import { Random } from "../fuzz/random.ts";

/** The value of the JSON that is left, with the texts put back; "wrong" if it is no JSON. */
function readBack(json: string): unknown {
  const texts = new RawTexts();
  const left = texts.leaveOut(Buffer.from(json));
  if (read(left) === "wrong") return "wrong";
  return JSON.parse(left, (_name, value: unknown) => {
    const text = typeof value === "number" ? texts.of(value) : undefined;
    return text === undefined ? value : read(`"${Buffer.from(text).toString()}"`);
  });
}

/** What JSON.parse says of the whole. */
function read(json: string): unknown {
  try {
    return JSON.parse(json, (_name, value: unknown) => value);
  } catch {
    return "wrong";
  }
}

/** The text of the only SDP. */
function sdpOf(json: string): string | undefined {
  const texts = new RawTexts();
  const { sdp } = JSON.parse(texts.leaveOut(Buffer.from(json))) as { sdp: unknown };
  const text = texts.of(sdp);
  return text && Buffer.from(text).toString();
}

test("a text is as it came, with its escapes and all characters", () => {
  expect(sdpOf('{"sdp":"v=0\\r\\n\\u00e9\\/é😀\\ud800\\" }"}')).toBe(
    'v=0\\r\\n\\u00e9\\/é😀\\ud800\\" }',
  );
  expect(sdpOf('{"sdp":""}')).toBe("");
});

test("a text that is written otherwise is one, too", () => {
  expect(sdpOf('{"sdp" : "a\\r\\u0041é"}')).toBe("a\\rAé");
  expect(sdpOf('{"s\\u0064p":"\\""}')).toBe('\\"');
});

test("a text has at most 16 KiB, in bytes or in characters", () => {
  const size = 16 * 1024;
  expect(sdpOf(`{"sdp":"${"x".repeat(size)}"}`)?.length).toBe(size);
  expect(sdpOf(`{"sdp":"${"x".repeat(size + 1)}"}`)).toBe(undefined);
  expect(sdpOf(`{"sdp":"${"é".repeat(size)}"}`)?.length).toBe(size);
  expect(sdpOf(`{"sdp":"${"é".repeat(size + 1)}"}`)).toBe(undefined);
});

test("a value that is no text is none, whatever its number", () => {
  for (const value of ["1", "-1", "1e999", "0.5", "null", "{}", "[]", "true", "4e8"]) {
    expect(sdpOf(`{"sdp":${value}}`)).toBe(undefined);
  }
});

const WHOLE = JSON.stringify({
  sdp: "v=0\r\na=b",
  offers: [
    { offer: { type: "offer", sdp: "\u0000é\u2028😀\ud800\\" }, offer_id: 'x"sdp":"' },
    { offer: { sdp: "", 'x"sdp': "y", "\\": '"sdp":"' } },
    { sdp: 12, answer: { sdp: "\\u0041" } },
  ],
});

test("what is left is JSON only if the whole is, and means the same", () => {
  expect(readBack(WHOLE)).toEqual(JSON.parse(WHOLE));
  const ends = ['"', '"5', '".5', '"e5', '",', "", "\\", '\\"', "\\u12", "\\u12g4", "\\x", "\n"];
  for (const end of ends) {
    for (const rest of ["}", "]", "", '"}', '0"}']) {
      const json = `{"sdp":"v=0${end}${rest}`;
      expect([json, readBack(json)]).toEqual([json, read(json)]);
    }
  }
});

test("each character stands for itself, or is an escape, as in any JSON", () => {
  for (let code = 0; code < 0x100; code++) {
    for (const before of ["", "\\", "\\u00", "\\u000"]) {
      const json = `{"sdp":"${before}${String.fromCharCode(code)}0"}`;
      if (Bun.deepEquals(readBack(json), read(json))) continue;
      throw new Error(`${JSON.stringify(json)} is read otherwise`);
    }
  }
});

const PIECES = ['"sdp":"', '"', "\\", "\\u00", "12", "}", "{", "[", ",", ":", " ", "\n", "é", "e"];

test("so it is of thirty thousand texts that are nearly JSON", () => {
  const random = new Random(20261127);
  let right = 0;
  for (let i = 0; i < 30_000; i++) {
    let json = WHOLE;
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const at = random.below(json.length);
      json =
        json.slice(0, at) + PIECES[random.below(PIECES.length)] + json.slice(at + random.below(3));
    }
    // As UTF-8, in which half of a character has no bytes.
    json = Buffer.from(json).toString();
    const expected = read(json);
    if (expected !== "wrong") right += 1;
    if (!Bun.deepEquals(readBack(json), expected))
      expect([json, readBack(json)]).toEqual([json, expected]);
  }
  expect(right).toBeGreaterThan(500);
});
