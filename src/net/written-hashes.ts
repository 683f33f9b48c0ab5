/**
 * Info hashes as people write them.
 *
 *   7e9903517dd792130e2a7a1ae9a62cf2dee3cb80      40 digits: version 1
 *   <64 digits>                                   version 2: the first 20 bytes, as it is announced
 *   P2MQGUL526JBGDRKPINOTJRM6LPOHS4A              base32, 32 letters and digits: version 1
 *   urn:btih:<40 digits, or base32>               version 1
 *   urn:btmh:1220<64 digits>                      version 2, as a multihash of SHA-256
 *   magnet:?xt=urn:btih:…&dn=…&xt=urn:btmh:…      one of each at most: a hybrid has two swarms
 *
 * Letters may be of either case. A magnet link is read as a whole or not at all: one with a part
 * that is not understood would leave a swarm out without a word.
 * [BEP 9 "magnet URI format"; BEP 52 "magnet links", "20-byte truncated infohash"; RFC 4648 6]
 */
import { INFO_HASH_SIZE } from "../constants.ts";

const HEX = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i;
const BASE32 = /^[a-z2-7]{32}$/i;
const URN = /^urn:(btih|btmh):(.*)$/is;
/** 0x12: SHA-256; 0x20: of 32 bytes. */
const MULTIHASH = /^1220[0-9a-f]{64}$/i;
const MAGNET = /^magnet:\?(.*)$/is;
/** Names of the topic; a link that was copied from the source of a web page has `&amp;`. */
const TOPIC = /^(?:amp;)?xt(?:\.\d+)?$/i;
/** Topics of other networks than BitTorrent, which a link may have beside ours. */
const OTHER_TOPIC = /^urn:(?!btih:|btmh:)/i;

const BASE32_DIGITS = "abcdefghijklmnopqrstuvwxyz234567";
const BASE32_BITS = 5;

/** How to write an info hash, as a hint. */
export const HASH_FORMS = "40 or 64 hexadecimal digits, 32 of base32, or a magnet link in quotes";

/** The info hashes, 20 bytes each, in a text that is nothing else; none if it is not understood. */
export function readInfoHashes(text: string): Uint8Array[] {
  if (HEX.test(text)) return [fromHex(text)];
  if (BASE32.test(text)) return [fromBase32(text)];
  const query = MAGNET.exec(text)?.[1];
  if (query !== undefined) return readMagnet(query);
  return oneOrNone(readUrn(text));
}

/** The hashes of all topics, each once; none if one of them is not understood. */
function readMagnet(query: string): Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!TOPIC.test(name) || OTHER_TOPIC.test(value)) continue;
    const hash = readUrn(value);
    if (hash === undefined) return [];
    found.set(hash.toHex(), hash);
  }
  return [...found.values()];
}

function readUrn(text: string): Uint8Array | undefined {
  const [, kind = "", digits = ""] = URN.exec(text) ?? [];
  if (kind.toLowerCase() === "btmh") {
    return MULTIHASH.test(digits) ? fromHex(digits.slice(4)) : undefined;
  }
  if (HEX.test(digits) && digits.length === 2 * INFO_HASH_SIZE) return fromHex(digits);
  return BASE32.test(digits) ? fromBase32(digits) : undefined;
}

function oneOrNone(hash: Uint8Array | undefined): Uint8Array[] {
  return hash === undefined ? [] : [hash];
}

/** The first 20 bytes: those of version 2 are announced cut. */
function fromHex(digits: string): Uint8Array {
  return Uint8Array.fromHex(digits.slice(0, 2 * INFO_HASH_SIZE));
}

function fromBase32(text: string): Uint8Array {
  const bytes = new Uint8Array(INFO_HASH_SIZE);
  let bits = 0;
  let kept = 0;
  let at = 0;
  for (const letter of text.toLowerCase()) {
    bits = (bits << BASE32_BITS) | BASE32_DIGITS.indexOf(letter);
    kept += BASE32_BITS;
    if (kept < 8) continue;
    kept -= 8;
    bytes[at++] = bits >>> kept;
    bits &= (1 << kept) - 1;
  }
  return bytes;
}
