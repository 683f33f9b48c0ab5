/**
 * A strict bencode decoder for tests: what the pickiest client would accept, and nothing else.
 *
 * Byte strings come as latin1 text (one character is one byte), integers as numbers, lists as
 * arrays, dictionaries as Maps. Throws on anything BEP 3 forbids: keys out of order or
 * repeated, leading zeros, minus zero, missing ends and bytes behind the value.
 */

export type Bencoded = number | string | Bencoded[] | BencodedDictionary;
export type BencodedDictionary = Map<string, Bencoded>;

/** The one value `bytes` holds. */
export function bdecode(bytes: Uint8Array): Bencoded {
  const reader = { text: Buffer.from(bytes).toString("latin1"), at: 0 };
  const value = readValue(reader);
  if (reader.at !== reader.text.length) throw new Error(`bytes behind the value at ${reader.at}`);
  return value;
}

/** The same of a reply, which must be a dictionary. */
export function bdecodeDictionary(bytes: Uint8Array): BencodedDictionary {
  const value = bdecode(bytes);
  if (!(value instanceof Map)) throw new Error("not a dictionary");
  return value;
}

type Reader = { readonly text: string; at: number };

function readValue(reader: Reader): Bencoded {
  const kind = reader.text[reader.at];
  if (kind === "i") return readInteger(reader);
  if (kind === "l") return readList(reader);
  if (kind === "d") return readDictionary(reader);
  return readString(reader);
}

function readInteger(reader: Reader): number {
  const digits = take(reader, /i(0|-?[1-9]\d*)e/y);
  const value = Number(digits);
  if (!Number.isSafeInteger(value)) throw new Error(`not an exact integer: ${digits}`);
  return value;
}

function readString(reader: Reader): string {
  const size = Number(take(reader, /(0|[1-9]\d*):/y));
  const text = reader.text.slice(reader.at, reader.at + size);
  if (text.length !== size) throw new Error(`string of ${size} bytes is cut short`);
  reader.at += size;
  return text;
}

function readList(reader: Reader): Bencoded[] {
  const list: Bencoded[] = [];
  for (reader.at++; reader.text[reader.at] !== "e";) list.push(readValue(reader));
  reader.at++;
  return list;
}

function readDictionary(reader: Reader): BencodedDictionary {
  const dictionary: BencodedDictionary = new Map();
  let last: string | undefined;
  for (reader.at++; reader.text[reader.at] !== "e";) {
    const key = readString(reader);
    if (last !== undefined && key <= last) throw new Error(`key "${key}" after "${last}"`);
    last = key;
    dictionary.set(key, readValue(reader));
  }
  reader.at++;
  return dictionary;
}

function take(reader: Reader, pattern: RegExp): string {
  pattern.lastIndex = reader.at;
  const match = pattern.exec(reader.text);
  if (match === null) throw new Error(`no bencode at ${reader.at}`);
  reader.at += match[0].length;
  return match[1];
}
