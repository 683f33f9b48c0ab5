/**
 * Nonces of the tracker: numbers it has given out, each good for one request and a short while.
 *
 *   seconds since the start 4 │ random 16 │ MAC of these, with a key of this process 32      in hex
 *
 * Nothing is stored for a nonce that is given out, since anybody may ask for them: those that are
 * spent are remembered until they would be too old, and only who knows the token can spend one.
 */
import { createHmac, randomBytes } from "node:crypto";

import { isSameMac } from "./proof.ts";

/** A verb needs milliseconds between its two requests. */
export const NONCE_SECONDS = 30;

const TIME_BYTES = 4;
const RANDOM_BYTES = 16;
const OPEN_DIGITS = 2 * (TIME_BYTES + RANDOM_BYTES);
/** Hexadecimal digits of a nonce. */
export const TRACKER_NONCE_DIGITS = OPEN_DIGITS + 64;

export class Nonces {
  readonly #key = randomBytes(32);
  readonly #now: () => number;
  /** When each that was spent is too old anyway; the oldest first. */
  readonly #spent = new Map<string, number>();

  /** `now` tells seconds since the start. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A new one. */
  give(): string {
    const open = Buffer.alloc(TIME_BYTES + RANDOM_BYTES);
    open.writeUInt32BE(Math.floor(this.#now()));
    randomBytes(RANDOM_BYTES).copy(open, TIME_BYTES);
    const digits = open.toString("hex");
    return digits + this.#mac(digits);
  }

  /** True once for each nonce that was given out and is not too old. */
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
    return createHmac("sha256", this.#key).update(digits).digest("hex");
  }
}
