/**
 * The hosts and paths in the URLs of announces.
 *
 * Others may publish an open tracker under their own host name or path, and use this tracker
 * without asking; this report shows them. The most frequent hosts and beginnings of paths are
 * counted in fixed memory (see frequent.ts). Over UDP there is no host; clients may send the path,
 * by BEP 41.
 *
 *   http://tracker.example:6969/free/ride/announce?info_hash=…      host tracker.example:6969
 *          └────── host ──────┘└path┘                               path /free/
 *
 * Each thread owns one part of a shared buffer and is its only writer:
 *
 *   hosts   counts, then for each entry a length byte and a text of up to 63 bytes
 *   paths   likewise
 *
 * A keyed 64-bit hash identifies a name. Counting allocates nothing and never fails; a name that is
 * too long is cut.
 */
import type { RequestHead } from "../net/head.ts";
import { byCount, Frequent, frequentBytes } from "./frequent.ts";

const SET_BITS = 5;
const TEXT_BYTES = 64;
const COUNTS_BYTES = frequentBytes(SET_BITS);
/** A `Frequent` has eight entries in each set. */
const TABLE_BYTES = COUNTS_BYTES + (8 << SET_BITS) * TEXT_BYTES;
const THREAD_BYTES = 2 * TABLE_BYTES;

const SLASH = 47;
const UPPER_A = 65;
const UPPER_Z = 90;

/** Shared memory for the names of `threads` threads. */
export function hostsMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * THREAD_BYTES);
}

/** A name and its number of announces. */
export interface NameCount {
  name: string;
  count: number;
}

/** The names that one thread counts. */
export class Hosts {
  readonly #hosts: Names;
  readonly #paths: Names;

  /** `key` is a secret odd number, the same for all threads. */
  constructor(memory: SharedArrayBuffer, thread: number, key: number) {
    this.#hosts = new Names(memory, thread * THREAD_BYTES, key);
    this.#paths = new Names(memory, thread * THREAD_BYTES + TABLE_BYTES, key);
  }

  /** Notes the host and the path of a request, with or without a host. */
  noteHead({ text, hostFrom, hostTo, pathFrom, targetTo }: RequestHead): void {
    const hosts = this.#hosts;
    hosts.begin();
    for (let at = hostFrom; at < hostTo; at++) hosts.push(text.charCodeAt(at));
    if (hostTo > hostFrom) hosts.count();
    const paths = this.#paths;
    paths.begin();
    for (let at = pathFrom; at < targetTo && paths.pushOfPath(text.charCodeAt(at)); at++);
    paths.count();
  }

  /** Notes the first `length` bytes of a path and query from a UDP packet. */
  notePath(bytes: Uint8Array, length: number): void {
    const paths = this.#paths;
    paths.begin();
    for (let at = 0; at < length && paths.pushOfPath(bytes[at]); at++);
    paths.count();
  }
}

/** Reads the names of all threads. */
export class HostReport {
  readonly #memory: SharedArrayBuffer;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
  }

  /** The hosts with the most announces, most first. */
  hosts(most: number): NameCount[] {
    return this.#top(0, most);
  }

  /** The paths with the most announces, most first. */
  paths(most: number): NameCount[] {
    return this.#top(TABLE_BYTES, most);
  }

  #top(offset: number, most: number): NameCount[] {
    const sums = new Map<string, number>();
    for (let at = offset; at < this.#memory.byteLength; at += THREAD_BYTES) {
      for (const { name, count } of new Names(this.#memory, at, 1).all()) {
        sums.set(name, (sums.get(name) ?? 0) + count);
      }
    }
    const names = [...sums].map(([name, count]) => ({ name, count, high: 0, low: 0 }));
    return names
      .sort((a, b) => byCount(a, b) || (a.name < b.name ? -1 : 1))
      .slice(0, most)
      .map(({ name, count }) => ({ name, count }));
  }
}

/** Counted names. A name is passed character by character: `begin`, `push`, `count`. */
class Names {
  readonly #counts: Frequent;
  readonly #texts: Uint8Array;
  readonly #name = new Uint8Array(TEXT_BYTES);
  readonly #key: number;
  #high = 0;
  #low = 0;

  constructor(memory: SharedArrayBuffer, offset: number, key: number) {
    const words = new Uint32Array(memory, offset, COUNTS_BYTES / 4);
    this.#counts = new Frequent(words, SET_BITS, key, Math.random);
    const texts = offset + COUNTS_BYTES;
    this.#texts = new Uint8Array(memory, texts, TABLE_BYTES - COUNTS_BYTES);
    this.#key = key;
  }

  begin(): void {
    this.#name[0] = 0;
    this.#high = this.#key;
    this.#low = ~this.#key;
  }

  /** Adds a character, in lower case; an unprintable one becomes a question mark. */
  push(code: number): void {
    if (code >= UPPER_A && code <= UPPER_Z) code += 32;
    if (code <= 32 || code >= 127) code = 63;
    this.#high = Math.imul(this.#high ^ code, 0x01000193);
    this.#low = Math.imul(this.#low ^ code, 0x85ebca6b) ^ (this.#low >>> 15);
    const length = this.#name[0];
    if (length === TEXT_BYTES - 1) return;
    this.#name[length + 1] = code;
    this.#name[0] = length + 1;
  }

  /** Like `push`, for a path; false where its beginning ends: at the second slash or the query. */
  pushOfPath(code: number): boolean {
    const length = this.#name[0];
    if (code === 63 || code === 35) return false;
    // Repeated slashes at the front count as one.
    if (code === SLASH && length === 1) return true;
    this.push(code);
    return code !== SLASH || length === 0;
  }

  count(): void {
    if (!this.#counts.add(this.#high >>> 0, this.#low >>> 0, 1)) return;
    const at = this.#counts.entry * TEXT_BYTES;
    const length = this.#name[0];
    for (let i = 0; i <= length; i++) this.#texts[at + i] = this.#name[i];
  }

  all(): NameCount[] {
    const names: NameCount[] = [];
    for (let entry = 0; entry < this.#counts.entries; entry++) {
      const { count } = this.#counts.at(entry);
      if (count === 0) continue;
      const at = entry * TEXT_BYTES;
      const text = this.#texts.slice(at + 1, at + 1 + this.#texts[at]);
      names.push({ name: String.fromCharCode(...text), count });
    }
    return names;
  }
}

/** The hosts under which announces are answered; an empty list means every host. */
export class AllowedHosts {
  /** True if every host is allowed. */
  readonly all: boolean;
  readonly #names: ReadonlySet<string>;

  /** Host names in lower case, without a port. */
  constructor(names: readonly string[]) {
    this.all = names.length === 0;
    this.#names = new Set(names);
  }

  /** Whether a request names an allowed host, on any port. */
  allowHead({ text, hostFrom, hostTo }: RequestHead): boolean {
    if (this.all) return true;
    const host = text.slice(hostFrom, hostTo).toLowerCase();
    return this.#names.has(host.replace(/:\d*$/, "").replace(/\.$/, ""));
  }
}
