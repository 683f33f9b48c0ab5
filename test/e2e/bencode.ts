/**
 * A strict reader of bencode, so that the tests believe no byte the tracker did not mean.
 *
 * It refuses what a careful client refuses: keys out of order or repeated, leading zeros,
 * negative zero, bytes after the value. Byte strings come back as latin1 text, one character a
 * byte, because keys and raw peers are then equally easy to compare.
 *
 * https://www.bittorrent.org/beps/bep_0003.html
 */

/** A decoded value. */
export type Bencoded = number | string | Bencoded[] | { [key: string]: Bencoded };

/** A decoded dictionary. */
export type Dictionary = { [key: string]: Bencoded };

/** Decodes one whole value; throws on the first byte that breaks a rule, and says where. */
export function decodeStrictly(bytes: Uint8Array): Bencoded {
  const reader = new Reader(Buffer.from(bytes).toString("latin1"));
  const value = reader.value();
  if (!reader.atEnd) throw new Error(`bytes after the value at ${reader.at}`);
  return value;
}

/** Decodes a dictionary; throws on any other value too. */
export function decodeDictionary(bytes: Uint8Array): Dictionary {
  const value = decodeStrictly(bytes);
  if (typeof value !== "object" || Array.isArray(value)) throw new Error("not a dictionary");
  return value;
}

const DEPTH_MAX = 20;

class Reader {
  readonly #text: string;
  #depth = 0;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.at === this.#text.length;
  }

  value(): Bencoded {
    if (++this.#depth > DEPTH_MAX) throw new Error("nested too deep");
    const first = this.#text[this.at];
    let value: Bencoded;
    if (first === "i") value = this.#integer();
    else if (first === "l") value = this.#list();
    else if (first === "d") value = this.#dictionary();
    else value = this.#string();
    this.#depth--;
    return value;
  }

  #integer(): number {
    const digits = this.#match(/i(0|-?[1-9][0-9]*)e/y, "an integer");
    const value = Number(digits);
    if (!Number.isSafeInteger(value)) throw new Error(`integer too large at ${this.at}`);
    return value;
  }

  #string(): string {
    const size = Number(this.#match(/(0|[1-9][0-9]*):/y, "a string"));
    const text = this.#text.slice(this.at, this.at + size);
    if (text.length !== size) throw new Error(`string cut short at ${this.at}`);
    this.at += size;
    return text;
  }

  #list(): Bencoded[] {
    const items: Bencoded[] = [];
    this.at++;
    while (!this.#end()) items.push(this.value());
    return items;
  }

  #dictionary(): Dictionary {
    const entries: Dictionary = {};
    let last: string | undefined;
    this.at++;
    while (!this.#end()) {
      const key = this.#string();
      if (last !== undefined && key <= last) throw new Error(`key out of order at ${this.at}`);
      last = key;
      entries[key] = this.value();
    }
    return entries;
  }

  #end(): boolean {
    if (this.#text[this.at] !== "e") return false;
    this.at++;
    return true;
  }

  /** The first group of a sticky pattern here; throws when it does not fit. */
  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text);
    if (found === null) throw new Error(`no ${what} at ${this.at}`);
    this.at = pattern.lastIndex;
    return found[1]!;
  }
}
