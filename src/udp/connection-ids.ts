/**
 * Connection ids: proof that a client receives packets at its source address. [BEP 15]
 *
 * An id is a keyed MAC over the address and a time slot, so the tracker stores no ids. All sockets
 * and threads have the same key, so each of them accepts the ids of the others.
 *
 *   SHA-256( key: 32 | address: 16, IPv4 as v4-mapped | slot: 4 )
 *
 *   id   [ the first 61 bits of the hash | slot mod 8 ]
 *
 * The last three bits tell the verifier which slot to use; the MAC covers the slot. A lifetime is
 * six slots: an id is valid for one lifetime and up to one slot more. An off-path attacker has to
 * guess 61 bits. The id is bound to the whole address but not to the port, because clients change
 * ports and use one id on several.
 *
 * Time is an argument, in seconds. With the wall clock, ids stay valid after a restart with the
 * same key. Allocates nothing after construction.
 */
import type { Family } from "../constants.ts";
import { deriveKey } from "../host/derived-key.ts";
import { readU32, writeU32 } from "../net/words.ts";

const KEY_SIZE = 32;
const ADDRESS_AT = KEY_SIZE;
const SLOT_AT = ADDRESS_AT + 16;
/** 52 bytes. One block of SHA-256 holds up to 55 bytes of input. */
const INPUT_SIZE = SLOT_AT + 4;

/** Lifetime of an id. BEP 15 requires 2 minutes; µTorrent uses an id for more than 5. */
export const CONNECTION_TTL_SECONDS = 600;

const SLOTS_PER_LIFETIME = 6;
const SLOT_BITS = 7;

export class ConnectionIds {
  /** Set by `compute`: the id as two unsigned 32-bit numbers. */
  #high = 0;
  #low = 0;
  /** Input of the hash, by family: the key and the prefix of IPv4 addresses are written once. */
  readonly #inputIpv4 = new Uint8Array(new ArrayBuffer(INPUT_SIZE));
  readonly #inputIpv6 = new Uint8Array(new ArrayBuffer(INPUT_SIZE));
  readonly #digest = new Uint8Array(new ArrayBuffer(32));
  readonly #slotSeconds: number;
  /** The last result of `#slotAt`: all requests of a batch have the same time. */
  #lastSeconds = -1;
  #lastSlot = 0;

  /** `key` is 32 secret bytes, the same for all threads; ids live at least `lifetimeSeconds`. */
  constructor(key: Uint8Array, lifetimeSeconds: number) {
    this.#inputIpv4.set(key.subarray(0, KEY_SIZE));
    this.#inputIpv4.set([0xff, 0xff], ADDRESS_AT + 10);
    this.#inputIpv6.set(key.subarray(0, KEY_SIZE));
    this.#slotSeconds = lifetimeSeconds / SLOTS_PER_LIFETIME;
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

  /** True if the 8 bytes at `bytes[idAt]` are a valid id of this address. */
  accepts(
    address: Uint8Array,
    at: number,
    family: Family,
    seconds: number,
    bytes: Uint8Array,
    idAt: number,
  ): boolean {
    const now = this.#slotAt(seconds);
    const low = readU32(bytes, idAt + 4);
    const age = (now - low) & SLOT_BITS;
    if (age > SLOTS_PER_LIFETIME) return false;
    this.#compute(address, at, family, now - age);
    return ((this.#high ^ readU32(bytes, idAt)) | (this.#low ^ low)) === 0;
  }

  #slotAt(seconds: number): number {
    if (seconds !== this.#lastSeconds) {
      this.#lastSeconds = seconds;
      this.#lastSlot = Math.floor(seconds / this.#slotSeconds);
    }
    return this.#lastSlot;
  }

  #compute(address: Uint8Array, at: number, family: Family, slot: number): void {
    const input = family === 4 ? this.#inputIpv4 : this.#inputIpv6;
    const addressAt = family === 4 ? ADDRESS_AT + 12 : ADDRESS_AT;
    const size = family === 4 ? 4 : 16;
    for (let i = 0; i < size; i++) input[addressAt + i] = address[at + i];
    writeU32(input, SLOT_AT, slot);
    Bun.SHA256.hash(input, this.#digest);
    this.#high = readU32(this.#digest, 0);
    this.#low = ((readU32(this.#digest, 4) & ~SLOT_BITS) | (slot & SLOT_BITS)) >>> 0;
    // Some clients take the id 0 for a missing id.
    if (this.#high === 0 && this.#low === 0) this.#high = 1;
  }
}

/** The key of ids, 32 bytes: derived from the secret, or random without a secret. */
export function connectionKey(secret: string | undefined): Uint8Array {
  if (secret === undefined) return crypto.getRandomValues(new Uint8Array(KEY_SIZE));
  return deriveKey(secret, "buntracker connection ids");
}
