/**
 * The file of a list of info hashes, parsed from its bytes without making strings of its lines.
 *
 *   7e9903517dd792130e2a7a1ae9a62cf2dee3cb80                            one hash per line, any case
 *   7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80 ; asked for by mail        the rest is a comment
 *   <64 digits>                                                         of version 2: 20 bytes,
 *                                                                       as BEP 52 announces it
 *   magnet:?xt=urn:btih:… asked for by mail                             a hybrid one lists both
 *   # a comment                                                         a line may be a comment
 *
 * net/written-hashes.ts has all forms of a hash. Blank lines, blanks before a hash, CR LF, and a
 * last line without a line end are allowed. Any other line is bad: it is skipped and counted, and
 * the numbers of the first ones are kept. So is a line that may hold more hashes than are read,
 * since the others would be lost without a word: one with another hash right behind its own, or
 * with a CR inside, with which some programs end lines.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import { garbage } from "../host/garbage.ts";
import { readInfoHashes } from "../net/written-hashes.ts";
import { HashList, hashListMemory } from "./hash-list.ts";
import type { Sliced } from "../host/turns.ts";

const TAB = 9;
const LINE_END = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const NUMBER_SIGN = 35;
const COMMA = 44;
const SEMICOLON = 59;
const LETTER_M = 109;
const LETTER_U = 117;
const BASE32_SIZE = 32;

/** No magnet link is longer; the rest of a longer line is not decoded. */
const LINK_SIZE_MAX = 32 * 1024;
/** Garbage that the texts of a line leave, beside the decoded line. */
const LINE_GARBAGE_BYTES = 1024;
/** A link ends at a blank, other forms of a hash at a separator too. */
const FIRST_WORD = /^(?:magnet:\S*|[^\s,;]+)/i;
const SEPARATORS = /^[\s,;]+/;
/** A link with a blank in a name that should be escaped, and a topic behind it. */
const TOPIC_BEHIND = /&(?:amp;)?xt(?:\.\d+)?=/i;

const DIGITS = 2 * INFO_HASH_SIZE;
/** Digits of the whole SHA-256 of version 2. [BEP 52] */
const DIGITS_LONG = 64;

const LINES_PER_STEP = 1024;
/**
 * Hashes in one buffer while a file is read: a buffer of 20 MB would take milliseconds to clear.
 */
const GROUP_HASHES = 1024;
const SLOTS_PER_STEP = 1024;

/** Bad lines whose number is reported; there may be a million of them. */
const BAD_LINES_REPORTED = 5;

/** The value of a hexadecimal digit by its character; NO_DIGIT for any other. */
export const NO_DIGIT = 255;
export const DIGIT_VALUES = new Uint8Array(256).fill(NO_DIGIT);
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  DIGIT_VALUES[digit.charCodeAt(0)] = value;
  DIGIT_VALUES[digit.toUpperCase().charCodeAt(0)] = value;
}

/** Lines that could not be parsed: their count, and the numbers of the first ones, from 1. */
export interface BadLines {
  count: number;
  first: number[];
}

export const noBadLines = (): BadLines => ({ count: 0, first: [] });

/** Makes a list from the pieces of a file; each piece ends with the end of a line. */
export interface LinesReader<List> {
  /** Reads a piece; the caller may reuse its bytes afterwards. */
  take(bytes: Uint8Array): Sliced<void>;
  /** Returns the list and the bad lines, after the last piece. */
  finish(): Sliced<{ list: List; bad: BadLines }>;
}

/** Notes line number `line` as bad. */
export function noteBadLine(bad: BadLines, line: number): void {
  bad.count += 1;
  if (bad.first.length < BAD_LINES_REPORTED) bad.first.push(line);
}

/** The numbers of the first bad lines, for a message: `3 17 18 …`. */
export function showBadLines({ count, first }: BadLines): string {
  return first.join(" ") + (count > first.length ? " …" : "");
}

/** The list in the bytes of a file, and its bad lines. A hash that is listed twice counts once. */
export function* readHashFile(
  bytes: Uint8Array,
  keys: Int32Array,
): Sliced<{ list: HashList; bad: BadLines }> {
  const reader = readHashes(keys);
  yield* reader.take(bytes);
  return yield* reader.finish();
}

/** Like `readHashFile`, but from the pieces of a file. */
export function readHashes(keys: Int32Array): LinesReader<HashList> {
  const reader = new HashFileReader();
  return {
    *take(bytes) {
      reader.setPiece(bytes);
      while (reader.readLines(LINES_PER_STEP)) yield;
    },
    finish: () => listOf(reader, keys),
  };
}

function* listOf(
  reader: HashFileReader,
  keys: Int32Array,
): Sliced<{ list: HashList; bad: BadLines }> {
  const list = new HashList(hashListMemory(reader.count), keys);
  for (const [number, hashes] of reader.groups.entries()) {
    const halves = new Uint16Array(hashes.buffer);
    const count = Math.min(GROUP_HASHES, reader.count - number * GROUP_HASHES);
    for (let i = 0; i < count; i++) list.place(halves, (i * INFO_HASH_SIZE) / 2);
    // Gives the memory back at once: 20 MB of a million hashes would wait for a collection.
    hashes.buffer.transfer(0);
    yield;
  }
  return { list, bad: reader.bad };
}

/** A copy of the list with more room. The list must not change during the copy. */
export function* enlargeHashList(list: HashList, keys: Int32Array): Sliced<HashList> {
  const larger = new HashList(hashListMemory(Math.ceil(list.size * 1.25) + 64), keys);
  for (let from = 0; from < list.slots; from += SLOTS_PER_STEP) {
    list.copyInto(larger, from, from + SLOTS_PER_STEP);
    yield;
  }
  return larger;
}

/** The bytes that append a hash to a file whose last line may lack its line end. */
export function hashLine(hash: Uint8Array, lastLineEnds: boolean): Uint8Array {
  return new TextEncoder().encode(`${lastLineEnds ? "" : "\n"}${hash.toHex()}\n`);
}

/**
 * A piece of a file without this hash; undefined if no line has it. Of a line with two hashes the
 * other one stays.
 */
export function* withoutHash(bytes: Uint8Array, hash: Uint8Array): Sliced<Uint8Array | undefined> {
  const reader = new HashFileReader();
  reader.setPiece(bytes);
  const kept: Uint8Array[] = [];
  let from = 0;
  for (let more = true; more;) {
    // The hashes are not wanted: those of each step go to the same place.
    reader.count = 0;
    more = reader.readLines(LINES_PER_STEP, hash);
    while (reader.matches.length > 0) {
      const { begin, end, others } = reader.matches.shift()!;
      kept.push(bytes.subarray(from, begin), ...others.map((other) => hashLine(other, true)));
      from = end;
    }
    yield;
  }
  if (kept.length === 0) return undefined;
  kept.push(bytes.subarray(from));
  return Buffer.concat(kept);
}

/** A line that holds the wanted hash: where it begins and ends, and which others it holds. */
interface Match {
  begin: number;
  end: number;
  others: Uint8Array[];
}

/** Reads a file from its first line to its last, in steps of some lines. */
class HashFileReader {
  /** The hashes read, GROUP_HASHES in each group, `count` in total. */
  readonly groups: Uint8Array<ArrayBuffer>[] = [];
  count = 0;
  readonly bad = noBadLines();
  readonly #decoder = new TextDecoder("latin1");
  /** The lines that hold the wanted hash. */
  readonly matches: Match[] = [];
  #bytes = new Uint8Array(0);
  #at = 0;
  #line = 0;
  /** The first CR from where it was last searched; the end of the piece if it has no more. */
  #return = -1;

  /** Sets the next piece, after the one before has been read. */
  setPiece(bytes: Uint8Array): void {
    this.#bytes = bytes as Uint8Array<ArrayBuffer>;
    // Some editors begin a file with a byte order mark.
    const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    this.#at = this.#line === 0 && marked ? 3 : 0;
    this.#return = -1;
  }

  /** Reads up to `lines` lines, adds those of `wanted` to `matches`. Returns false at the end. */
  readLines(lines: number, wanted?: Uint8Array): boolean {
    const bytes = this.#bytes;
    for (let i = 0; i < lines && this.#at < bytes.length; i++) {
      const found = bytes.indexOf(LINE_END, this.#at);
      const end = found < 0 ? bytes.length : found;
      this.#line += 1;
      const hashes = this.#readLine(this.#at, end);
      const next = Math.min(end + 1, bytes.length);
      if (hashes > 0 && wanted !== undefined) this.#match(wanted, hashes, this.#at, next);
      this.#at = next;
    }
    return this.#at < bytes.length;
  }

  /** The number of hashes in the line, which are then the last ones in `groups`. */
  #readLine(from: number, end: number): number {
    const bytes = this.#bytes;
    let at = from;
    while (at < end && isBlank(bytes[at])) at++;
    if (at === end) return 0;
    const broken = this.#hasReturnInside(at, end);
    if (bytes[at] === NUMBER_SIGN && !broken) return 0;
    const before = this.count;
    if (!broken) this.#readHashes(at, end);
    if (this.count === before) noteBadLine(this.bad, this.#line);
    return this.count - before;
  }

  /** Appends the hashes at `at` to the others; none if the text holds no hash, or perhaps more. */
  #readHashes(at: number, end: number): void {
    const behind = this.#readDigits(at, end);
    if (behind === 0) return this.#readWords(at, end);
    let next = behind;
    while (next < end && isSeparator(this.#bytes[next])) next++;
    if (isLengthOfHash(this.#countDigits(next, end))) return;
    this.count += 1;
    // Most comments are told from a hash by their first letters: decoding takes time.
    if (!this.#mayBeHash(next, end)) return;
    const other = readInfoHashes(firstWordOf(this.#textOf(next, end)));
    // A comment may be the link of the same swarm.
    if (other.some((hash) => !this.#isAt(this.count - 1, hash))) this.count -= 1;
  }

  /** Reads the bytes of a hash after the others; returns the end of its digits, or 0. */
  #readDigits(at: number, end: number): number {
    const bytes = this.#bytes;
    if (at + DIGITS > end) return 0;
    const hashes = this.#groupOf(this.count);
    const first = (this.count % GROUP_HASHES) * INFO_HASH_SIZE;
    for (let i = 0; i < INFO_HASH_SIZE; i++) {
      const high = DIGIT_VALUES[bytes[at + 2 * i]];
      const low = DIGIT_VALUES[bytes[at + 2 * i + 1]];
      if ((high | low) === NO_DIGIT) return 0;
      hashes[first + i] = (high << 4) | low;
    }
    const behind = at + this.#countDigits(at, end);
    return isLengthOfHash(behind - at) ? behind : 0;
  }

  /** Appends the hashes of a text that does not begin with digits of a hash. */
  #readWords(at: number, end: number): void {
    const text = this.#textOf(at, end);
    const word = firstWordOf(text);
    const hashes = readInfoHashes(word);
    const rest = text.slice(word.length);
    if (TOPIC_BEHIND.test(rest)) return;
    const shown = hashes.map((hash) => hash.toHex());
    const next = readInfoHashes(firstWordOf(rest.replace(SEPARATORS, "")));
    if (next.some((hash) => !shown.includes(hash.toHex()))) return;
    for (const hash of hashes) {
      const first = (this.count % GROUP_HASHES) * INFO_HASH_SIZE;
      this.#groupOf(this.count).set(hash, first);
      this.count += 1;
    }
  }

  #textOf(at: number, end: number): string {
    const size = Math.min(end - at, LINK_SIZE_MAX);
    garbage.note(2 * size + LINE_GARBAGE_BYTES);
    return this.#decoder.decode(this.#bytes.subarray(at, at + size));
  }

  /** Whether a word that is no run of digits may be a hash in another form. */
  #mayBeHash(at: number, end: number): boolean {
    const bytes = this.#bytes;
    const lower = bytes[at] | 0x20;
    if (at < end && (lower === LETTER_M || lower === LETTER_U)) return true;
    let next = at;
    while (next < end && !isSeparator(bytes[next])) next++;
    return next - at === BASE32_SIZE;
  }

  #countDigits(at: number, end: number): number {
    let next = at;
    while (next < end && DIGIT_VALUES[this.#bytes[next]] !== NO_DIGIT) next++;
    return next - at;
  }

  /** True if anything but blanks follows a CR in the line. Searches each byte of a piece once. */
  #hasReturnInside(at: number, end: number): boolean {
    const bytes = this.#bytes;
    if (this.#return < at) {
      const found = bytes.indexOf(CARRIAGE_RETURN, at);
      this.#return = found < 0 ? bytes.length : found;
    }
    let next = this.#return;
    while (next < end && isBlank(bytes[next])) next++;
    return next < end;
  }

  #groupOf(hash: number): Uint8Array {
    const number = Math.floor(hash / GROUP_HASHES);
    const group = this.groups[number];
    if (group !== undefined) return group;
    garbage.note(GROUP_HASHES * INFO_HASH_SIZE);
    return (this.groups[number] = new Uint8Array(new ArrayBuffer(GROUP_HASHES * INFO_HASH_SIZE)));
  }

  /** Notes the line if one of its last `count` hashes is the wanted one. */
  #match(wanted: Uint8Array, count: number, begin: number, end: number): void {
    const places = Array.from({ length: count }, (_, i) => this.count - 1 - i);
    const others = places.filter((place) => !this.#isAt(place, wanted));
    if (others.length === count) return;
    this.matches.push({ begin, end, others: others.map((place) => this.#hashAt(place).slice()) });
  }

  #isAt(place: number, hash: Uint8Array): boolean {
    const found = this.#hashAt(place);
    for (let i = 0; i < INFO_HASH_SIZE; i++) if (found[i] !== hash[i]) return false;
    return true;
  }

  #hashAt(place: number): Uint8Array {
    const from = (place % GROUP_HASHES) * INFO_HASH_SIZE;
    return this.#groupOf(place).subarray(from, from + INFO_HASH_SIZE);
  }
}

function firstWordOf(text: string): string {
  return FIRST_WORD.exec(text)?.[0] ?? "";
}

function isLengthOfHash(digits: number): boolean {
  return digits === DIGITS || digits === DIGITS_LONG;
}

/** Whether the byte may stand between two hashes on one line. */
function isSeparator(byte: number): boolean {
  return isBlank(byte) || byte === COMMA || byte === SEMICOLON;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN;
}
