/**
 * The file of denied networks: CIDR lines and the ranges of PeerGuardian's lists, v4 and v6.
 *
 *   192.0.2.0/24                                   a network; the rest of the line is a comment
 *   2001:db8::1                                    one address
 *   Some name, Inc:198.51.100.0-198.51.100.255     name:first-last; numbers may have leading zeros
 *   Some name:2001:db8::-2001:db8::ffff            the same for IPv6; the name is optional
 *   # a comment
 *
 * A name before an IPv6 range is ambiguous, because addresses contain colons too: of all possible
 * readings, the narrowest range is used. Blank lines and CR LF are allowed; any other line is bad:
 * it is skipped and counted. So is one with another network right behind its own, or with a CR
 * inside, since the others would be lost (see hash-file.ts). A v4-mapped address is an IPv4
 * address.
 */
import type { Family } from "../constants.ts";
import { garbage } from "../host/garbage.ts";
import { readAddress, readNetwork } from "../net/addresses.ts";
import { type BadLines, type LinesReader, noBadLines, noteBadLine } from "./hash-file.ts";
import { buildNetworkList, type NetworkList, Ranges } from "./network-list.ts";
import type { Sliced } from "../host/turns.ts";

const LINE_END = 10;
const LINES_PER_STEP = 256;
/** Garbage that the texts of a line leave. */
const LINE_GARBAGE_BYTES = 512;
/** No valid line is longer; the rest of a longer line is not decoded. */
const LINE_SIZE_MAX = 1024;

/**
 * Leading zeros of a decimal number: PeerGuardian's lists have them, `readAddress` refuses them.
 */
const LEADING_ZEROS = /(^|\.)0+(?=\d)/g;

const FIRST = new Uint8Array(16);
const LAST = new Uint8Array(16);
const CANDIDATE = new Uint8Array(16);

/** The list in the bytes of a file, and its bad lines. */
export function* readNetworkFile(bytes: Uint8Array): Sliced<{ list: NetworkList; bad: BadLines }> {
  const reader = readNetworks();
  yield* reader.take(bytes);
  return yield* reader.finish();
}

/** Like `readNetworkFile`, but from the pieces of a file. */
export function readNetworks(): LinesReader<NetworkList> {
  const ranges = new Ranges();
  const bad = noBadLines();
  const decoder = new TextDecoder("latin1");
  let line = 0;
  return {
    *take(bytes) {
      for (let at = 0; at < bytes.length;) {
        const found = bytes.indexOf(LINE_END, at);
        const end = found < 0 ? bytes.length : found;
        const text = decoder.decode(bytes.subarray(at, Math.min(end, at + LINE_SIZE_MAX))).trim();
        line += 1;
        garbage.note(LINE_GARBAGE_BYTES);
        // A byte order mark, read as Latin-1.
        const shown = line === 1 && text.startsWith("\xef\xbb\xbf") ? text.slice(3) : text;
        const broken = shown.includes("\r");
        const said = broken || (shown !== "" && !shown.startsWith("#"));
        if (said && (broken || !readLine(shown, ranges))) noteBadLine(bad, line);
        at = end + 1;
        if (line % LINES_PER_STEP === 0) yield;
      }
    },
    *finish() {
      return { list: yield* buildNetworkList(ranges), bad };
    },
  };
}

/** Adds the range of a line; false if it is neither a network nor a range. */
function readLine(text: string, ranges: Ranges): boolean {
  const [, first, rest] = /^(\S+)\s*(.*)$/s.exec(text)!;
  const family = (rest.startsWith("-") ? 0 : readNetwork(first, FIRST, LAST)) || readRange(text);
  if (family === 0 || isNetwork(rest.split(/\s/, 1)[0])) return false;
  ranges.add(family, FIRST, LAST);
  return true;
}

function isNetwork(text: string): boolean {
  return readNetwork(text, CANDIDATE, CANDIDATE) !== 0;
}

/** Reads `name:first-last` to FIRST and LAST. */
function readRange(text: string): Family | 0 {
  const dash = text.lastIndexOf("-");
  if (dash < 0) return 0;
  const family = readLoose(text.slice(dash + 1).trim(), LAST);
  if (family === 0) return 0;
  const before = text.slice(0, dash).trim();
  let read = false;
  for (let at = 0; at >= 0 && at < before.length;) {
    if (readLoose(before.slice(at).trim(), CANDIDATE) === family) {
      const size = family === 4 ? 4 : 16;
      if (order(CANDIDATE, LAST, size) <= 0 && (!read || order(CANDIDATE, FIRST, size) > 0)) {
        FIRST.set(CANDIDATE);
        read = true;
      }
    }
    const colon = before.indexOf(":", at);
    at = colon < 0 ? -1 : colon + 1;
  }
  return read ? family : 0;
}

function readLoose(text: string, out: Uint8Array): Family | 0 {
  const plain = text.includes(":") ? text : text.replace(LEADING_ZEROS, "$1");
  return readAddress(plain, out, 0);
}

function order(a: Uint8Array, b: Uint8Array, size: number): number {
  for (let i = 0; i < size; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}
