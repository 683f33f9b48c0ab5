/**
 * Connection ids: proof that a client receives packets at its source address. [BEP 15]
 *
 * An id is a keyed MAC over the address and a time slot, so the tracker stores no ids. All sockets
 * and threads have the same key, so each of them accepts the ids of the others.
 *
 *   Chaskey-12( address: 4 or 16 | slot: 4 ), see chaskey.ts
 *
 *   IPv4   [ the first 60 bits of the MAC                          | slot mod 16 ]
 *   IPv6   [ the first 44 bits of the MAC | 16 bits of the network | slot mod 16 ]
 *                                           └ of the /64, the slot and the 44 bits before
 *
 * The last four bits tell the verifier which slot to use; the MAC covers the slot. A lifetime is
 * twelve slots: an id is valid for one lifetime and up to one slot more, and already in the slot
 * before its own, since machines may share a key and not the exact time. It is bound to the whole
 * address but not to the port, because clients change ports and use one id on several. It proves
 * less when it is old, because µTorrent uses ids that are an hour old, and from another address of
 * its /64, because libtorrent uses one id from all addresses of a machine. What that opens was
 * tried: see SECURITY.md.
 *
 * The network bits only sort out ids that were never issued to an address of a /64, so a mix with
 * secret words is enough for them.
 *
 * Time is an argument, in seconds. With the wall clock, ids stay valid after a restart with the
 * same key. Allocates nothing after construction.
 */
import type { Family } from "../constants.ts";
import { deriveKey } from "../host/derived-key.ts";
import { readU32, writeU32 } from "../net/words.ts";
import { Chaskey } from "./chaskey.ts";

/** What an id proves about the address of a request. Nothing: it gets no answer. */
export const PROOF_NONE = 0;
/** An address of the same /64 got the id: an announce changes nothing and gets no peers. */
export const PROOF_NETWORK = 1;
/** The address got the id within the last hour: somebody else may have it now. */
export const PROOF_OLD = 2;
/** The address got the id lately. Only then may a reply be longer than its request. */
export const PROOF_FRESH = 3;

const KEY_SIZE = 32;
/** The byte that ends a message of the MAC. */
const PADDING = 1;

/** Lifetime of an id. BEP 15 requires 2 minutes; µTorrent was seen with ids of 59 minutes. */
export const CONNECTION_TTL_SECONDS = 3600;

const SLOTS_PER_LIFETIME = 12;
/** Slots after which an id is old: 10 to 15 minutes. µTorrent uses most ids for five. */
const SLOTS_FRESH = 2;
/** Slots by which an id may be ahead: another machine with this key may have a fast clock. */
const SLOTS_AHEAD = 1;
const SLOT_BITS = 15;
const NETWORK_SHIFT = 4;
const NETWORK_BITS = 0xffff0;

export class ConnectionIds {
  /** Set by `compute`: the id as two unsigned 32-bit numbers. */
  #high = 0;
  #low = 0;
  readonly #mac: Chaskey;
  /** The messages of the MAC, by family: address, slot and padding. */
  readonly #messageIpv4 = Int32Array.of(0, 0, PADDING, 0);
  readonly #messageIpv6 = Int32Array.of(0, 0, 0, 0, 0, PADDING, 0, 0);
  readonly #slotSeconds: number;
  /** Secret words of the network bits. They come from the key, but do not tell it. */
  readonly #network: Int32Array;
  /** The last result of `#slotAt`: all requests of a batch have the same time. */
  #lastSeconds = -1;
  #lastSlot = 0;

  /** `key` is 32 secret bytes, the same for all threads; ids live at least `lifetimeSeconds`. */
  constructor(key: Uint8Array, lifetimeSeconds: number) {
    this.#slotSeconds = lifetimeSeconds / SLOTS_PER_LIFETIME;
    const secrets = new Uint8Array(32);
    Bun.SHA256.hash(key.subarray(0, KEY_SIZE), secrets);
    const words = new Int32Array(secrets.buffer);
    this.#mac = new Chaskey(words.subarray(0, 4));
    this.#network = words.slice(4, 7);
  }

  /** Writes the id of an address, 8 bytes, to `out[outAt]`. Never all zeros. */
  write(
    address: Uint8Array,
    at: number,
    family: Family,
    seconds: number,
    out: Uint8Array,
    outAt: number,
  ): void {
    this.#compute(address, at, family, this.#slotAt(seconds));
    writeU32(out, outAt, this.#high);
    writeU32(out, outAt + 4, this.#low);
  }

  /** What the 8 bytes at `bytes[idAt]` prove for a request from this address: a PROOF_ number. */
  proofOf(
    address: Uint8Array,
    at: number,
    family: Family,
    seconds: number,
    bytes: Uint8Array,
    idAt: number,
  ): number {
    const newest = this.#slotAt(seconds) + SLOTS_AHEAD;
    const low = readU32(bytes, idAt + 4);
    const age = (newest - low) & SLOT_BITS;
    if (age > SLOTS_PER_LIFETIME + SLOTS_AHEAD) return PROOF_NONE;
    this.#compute(address, at, family, newest - age);
    const fresh = age <= SLOTS_FRESH + SLOTS_AHEAD;
    const high = readU32(bytes, idAt);
    if (((this.#high ^ high) | (this.#low ^ low)) === 0) return fresh ? PROOF_FRESH : PROOF_OLD;
    if (family === 4 || !fresh) return PROOF_NONE;
    const network = this.#networkBits(address, at, newest - age, high, low);
    return ((low ^ network) & NETWORK_BITS) === 0 ? PROOF_NETWORK : PROOF_NONE;
  }

  #slotAt(seconds: number): number {
    if (seconds !== this.#lastSeconds) {
      this.#lastSeconds = seconds;
      this.#lastSlot = Math.floor(seconds / this.#slotSeconds);
    }
    return this.#lastSlot;
  }

  #compute(address: Uint8Array, at: number, family: Family, slot: number): void {
    const message = family === 4 ? this.#messageIpv4 : this.#messageIpv6;
    const words = family === 4 ? 1 : 4;
    for (let i = 0; i < words; i++) message[i] = readU32(address, at + 4 * i);
    message[words] = slot;
    this.#mac.compute(message);
    this.#high = this.#mac.first >>> 0;
    let low = (this.#mac.second & ~SLOT_BITS) | (slot & SLOT_BITS);
    if (family === 6) {
      low = (low & ~NETWORK_BITS) | this.#networkBits(address, at, slot, this.#high, low);
    }
    this.#low = low >>> 0;
    // Some clients take the id 0 for a missing id.
    if (this.#high === 0 && this.#low === 0) this.#high = 1;
  }

  /** The network bits of an id that begins with `high` and the upper half of `low`, in place. */
  #networkBits(address: Uint8Array, at: number, slot: number, high: number, low: number): number {
    const words = this.#network;
    let mix = Math.imul(readU32(address, at) ^ words[0], 0x85ebca6b);
    mix = Math.imul(mix ^ (mix >>> 15) ^ readU32(address, at + 4) ^ words[1], 0xc2b2ae35);
    mix = Math.imul(mix ^ (mix >>> 13) ^ high ^ words[2], 0x27d4eb2f);
    mix = Math.imul(mix ^ (mix >>> 15) ^ (low >>> 20) ^ (slot << 12), 0x85ebca6b);
    return ((mix ^ (mix >>> 16)) << NETWORK_SHIFT) & NETWORK_BITS;
  }
}

/** The key of ids, 32 bytes: derived from the secret, or random without a secret. */
export function connectionKey(secret: string | undefined): Uint8Array {
  if (secret === undefined) return crypto.getRandomValues(new Uint8Array(KEY_SIZE));
  return deriveKey(secret, "buntracker connection ids");
}
