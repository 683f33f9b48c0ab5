/**
 * Parses bencode from an unknown tracker: strict, bounded, without exceptions. [BEP 3]
 *
 * Byte strings become latin1 text, one character for each byte; integers numbers; lists
 * arrays; dictionaries Maps.
 */

export type Bencoded = number | string | Bencoded[] | Map<string, Bencoded>;

const DEPTH_MAX = 16;
const INTEGER = /i(0|-?[1-9]\d{0,15})e/y;
const SIZE = /(0|[1-9]\d{0,8}):/y;

/** A value, and whether the keys of all its dictionaries are in order and different. */
export interface Read {
  value: Bencoded;
  sorted: boolean;
}

/** The value in these bytes; undefined if they are not exactly one value. */
export function readBencode(bytes: Uint8Array): Read | undefined {
  const reader = { text: Buffer.from(bytes).toString("latin1"), at: 0, sorted: true };
  const value = readValue(reader, 0);
  if (value === undefined || reader.at !== reader.text.length) return undefined;
  return { value, sorted: reader.sorted };
}

interface Reader {
  readonly text: string;
  at: number;
  sorted: boolean;
}

function readValue(reader: Reader, depth: number): Bencoded | undefined {
  if (depth > DEPTH_MAX) return undefined;
  const kind = reader.text[reader.at];
  if (kind === "i") {
    const digits = take(reader, INTEGER);
    return digits === undefined ? undefined : Number(digits);
  }
  if (kind === "l") return readList(reader, depth);
  if (kind === "d") return readDictionary(reader, depth);
  return readString(reader);
}

function readString(reader: Reader): string | undefined {
  const size = Number(take(reader, SIZE) ?? NaN);
  if (!(reader.at + size <= reader.text.length)) return undefined;
  reader.at += size;
  return reader.text.slice(reader.at - size, reader.at);
}

function readList(reader: Reader, depth: number): Bencoded[] | undefined {
  const list: Bencoded[] = [];
  reader.at += 1;
  while (reader.text[reader.at] !== "e") {
    const value = readValue(reader, depth + 1);
    if (value === undefined) return undefined;
    list.push(value);
  }
  reader.at += 1;
  return list;
}

/** Keys may be in any order: some trackers do not sort them, and many clients accept that. */
function readDictionary(reader: Reader, depth: number): Map<string, Bencoded> | undefined {
  const dictionary = new Map<string, Bencoded>();
  let last: string | undefined;
  reader.at += 1;
  while (reader.text[reader.at] !== "e") {
    const key = readString(reader);
    const value = key === undefined ? undefined : readValue(reader, depth + 1);
    if (key === undefined || value === undefined) return undefined;
    if (last !== undefined && key <= last) reader.sorted = false;
    last = key;
    dictionary.set(key, value);
  }
  reader.at += 1;
  return dictionary;
}

/** Matches a pattern at the current position, moves behind it and returns its group. */
function take(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.at;
  const match = pattern.exec(reader.text);
  if (match === null) return undefined;
  reader.at = pattern.lastIndex;
  return match[1];
}
