/**
 * The texts of a message that are passed on as they came: the SDP of offers and answers.
 *
 *   …"offer":{"type":"offer","sdp":"v=0\r\n…"}…  ─►  …"sdp":417530216 }…  ─► JSON.parse
 *                                   └── checked, not read ──► frame of the receiver
 *
 * They are nearly all of what comes. To make text of them, and bytes again, made most of the
 * garbage, and a cycle with 5 offers of 2 KB took 152 µs; without it takes 128. A frame that passes
 * one on is as valid as the message: a string of JSON is any UTF-8 without quotes and control
 * characters, and some escapes, wherever it stands.
 *
 * JSON.parse still reads all else, so it decides what a message is. Where it gets as far as to the
 * bytes `"sdp":"`, the last of these quotes begins a string, also if the first one belongs to a
 * longer name. So a number may stand for that string, and only such a text is left out that is
 * valid. A client that guesses the number gets the text that it sent itself.
 */

/** Longer ones are left to JSON.parse. */
const RAW_BYTES_MAX = 16 * 1024;

const BEGIN = Buffer.from('"sdp":"');

/** Numbers of nine digits are read fastest. */
const FIRST_NUMBER = 100_000_000 + (crypto.getRandomValues(new Uint32Array(1))[0] % 800_000_000);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPE_SIZE = 2;
/** Of the escape with four digits. */
const ESCAPE_SIZE_U = 6;

/** 1 for each byte that stands for itself. */
const PLAIN = new Uint8Array(256).fill(1, 0x20);
PLAIN[QUOTE] = PLAIN[BACKSLASH] = 0;
/** The size of an escape, by the byte that follows the backslash. */
const ESCAPE = new Uint8Array(256);
for (const byte of Buffer.from('"\\/bfnrt')) ESCAPE[byte] = ESCAPE_SIZE;
ESCAPE[0x75] = ESCAPE_SIZE_U;
/** 1 for each hexadecimal digit. */
const DIGIT = new Uint8Array(256);
for (const byte of Buffer.from("0123456789abcdefABCDEF")) DIGIT[byte] = 1;

/** Those of the message that was read last: bytes of its payload, valid until the next one. */
export class RawTexts {
  readonly #texts: Uint8Array[] = [];

  /** The JSON of the payload, which is UTF-8, with numbers for the texts that were left out. */
  leaveOut(payload: Buffer): string {
    const texts = this.#texts;
    texts.length = 0;
    let json = "";
    let from = 0;
    for (;;) {
      const at = payload.indexOf(BEGIN, from);
      if (at < 0) break;
      const begin = at + BEGIN.length;
      const end = endOf(payload, begin);
      if (end < 0) break;
      // With a blank, since digits may follow the string, which is no JSON.
      json += `${payload.toString("utf8", from, begin - 1)}${FIRST_NUMBER + texts.length} `;
      texts.push(payload.subarray(begin, end));
      from = end + 1;
    }
    return json + payload.toString("utf8", from);
  }

  /**
   * The text that a value of this JSON stands for, as it is in JSON; undefined if the value is too
   * long, or no text.
   */
  of(value: unknown): Uint8Array | undefined {
    if (typeof value === "number") return this.#texts[value - FIRST_NUMBER];
    if (typeof value !== "string" || value.length > RAW_BYTES_MAX) return undefined;
    return Buffer.from(JSON.stringify(value)).subarray(1, -1);
  }
}

/** Where the string ends that begins at `at`; -1 if it is not valid, or too long. */
function endOf(bytes: Buffer, at: number): number {
  const to = Math.min(bytes.length, at + RAW_BYTES_MAX + 1);
  for (let i = at; ;) {
    while (i < to && PLAIN[bytes[i]] === 1) i += 1;
    if (i >= to) return -1;
    if (bytes[i] === QUOTE) return i;
    if (bytes[i] !== BACKSLASH || i + 1 >= to) return -1;
    const size = ESCAPE[bytes[i + 1]];
    if (size === 0 || (size === ESCAPE_SIZE_U && !hasDigits(bytes, i + 2, to))) return -1;
    i += size;
  }
}

function hasDigits(bytes: Buffer, at: number, to: number): boolean {
  if (at + 4 > to) return false;
  for (let i = at; i < at + 4; i++) if (DIGIT[bytes[i]] === 0) return false;
  return true;
}
