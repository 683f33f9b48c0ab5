/**
 * Nonces of the tracker: random values that it issues, each valid once and for a short time.
 *
 *   seconds since the start 4 │ random 16 │ MAC of these, with a key of this process 32      in hex
 *
 * An issued nonce is not stored, since anybody may ask for nonces. A spent nonce is stored until it
 * expires; only a client that knows the token can spend one.
 */
import { isSameMac } from "./proof.ts";

/** A verb needs milliseconds between its two requests. */
export const NONCE_SECONDS = 30;

const TIME_BYTES = 4;
const RANDOM_BYTES = 16;
const OPEN_DIGITS = 2 * (TIME_BYTES + RANDOM_BYTES);
/** Hexadecimal digits of a nonce. */
export const TRACKER_NONCE_DIGITS = OPEN_DIGITS + 64;

export class Nonces {
  readonly #key = crypto.getRandomValues(new Uint8Array(32));
  readonly #now: () => number;
  /** When each spent nonce expires, the oldest first. */
  readonly #spent = new Map<string, number>();

  /** `now` tells seconds since the start. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Issues a nonce. */
  issue(): string {
    const open = Buffer.alloc(TIME_BYTES + RANDOM_BYTES);
    open.writeUInt32BE(Math.floor(this.#now()));
    crypto.getRandomValues(open.subarray(TIME_BYTES));
    const digits = open.toString("hex");
    return digits + this.#mac(digits);
  }

  /** True once for each nonce that was issued and has not expired. */
  spend(nonce: string): boolean {
    const seconds = this.#now();
    const digits = nonce.slice(0, OPEN_DIGITS);
    if (!isSameMac(nonce.slice(OPEN_DIGITS), this.#mac(digits))) return false;
    const until = parseInt(digits.slice(0, 2 * TIME_BYTES), 16) + NONCE_SECONDS;
    if (seconds >= until || this.#spent.has(nonce)) return false;
    for (const [old, end] of this.#spent) {
      if (end > seconds) break;
      this.#spent.delete(old);
    }
    this.#spent.set(nonce, until);
    return true;
  }

  #mac(digits: string): string {
    return new Bun.CryptoHasher("sha256", this.#key).update(digits).digest("hex");
  }
}
