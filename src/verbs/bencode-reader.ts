/**
 * Reading bencode that some tracker sent: strict, bounded, and never an exception. [BEP 3]
 *
 * Byte strings come as latin1 text, one character for each byte; integers as numbers; lists as
 * arrays; dictionaries as Maps.
 */

export type Bencoded = number | string | Bencoded[] | Map<string, Bencoded>;

const DEPTH_MAX = 16;
const INTEGER = /i(0|-?[1-9]\d{0,15})e/y;
const SIZE = /(0|[1-9]\d{0,8}):/y;

/** The value these bytes are; undefined if they are not one, or more than one. */
export function readBencode(bytes: Uint8Array): Bencoded | undefined {
  const reader = { text: Buffer.from(bytes).toString("latin1"), at: 0 };
  const value = readValue(reader, 0);
  return reader.at === reader.text.length ? value : undefined;
}

interface Reader {
  readonly text: string;
  at: number;
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

/** Keys out of order are read: some trackers send them so, and clients do not mind. */
function readDictionary(reader: Reader, depth: number): Map<string, Bencoded> | undefined {
  const dictionary = new Map<string, Bencoded>();
  reader.at += 1;
  while (reader.text[reader.at] !== "e") {
    const key = readString(reader);
    const value = key === undefined ? undefined : readValue(reader, depth + 1);
    if (key === undefined || value === undefined) return undefined;
    dictionary.set(key, value);
  }
  reader.at += 1;
  return dictionary;
}

/** The group of a pattern that matches here; goes on behind it. */
function take(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.at;
  const match = pattern.exec(reader.text);
  if (match === null) return undefined;
  reader.at = pattern.lastIndex;
  return match[1];
}
