/**
 * The operator's token: who may change things while the tracker runs.
 *
 *   Authorization: Bearer <token>                       curl and the like [RFC 6750]
 *   Authorization: Buntracker <nonce> <nonce> <MAC>     the verbs, which never send the token
 *
 * A token that is shown is compared by its SHA-256 and in constant time, so that neither its length
 * nor how much of it is right can be measured; proof.ts says what the verbs show instead.
 *
 * Wrong tokens are slowed for all together, since whoever guesses takes a new connection for each:
 * after ten, one a second is looked at, and the others are refused whatever they show. What is
 * signed goes on meanwhile: a guess at that costs more than a connection.
 */
import { timingSafeEqual } from "node:crypto";

import { Nonces, TRACKER_NONCE_DIGITS } from "./nonces.ts";
import { isSameMac, MAC_DIGITS, Proof, PROOF_SCHEME, VERB_NONCE_DIGITS } from "./proof.ts";

const BEARER = /^bearer +(\S+) *$/i;
const SIGNED = new RegExp(
  `^${PROOF_SCHEME} ([0-9a-f]{${VERB_NONCE_DIGITS}}) ([0-9a-f]{${TRACKER_NONCE_DIGITS}}) ` +
    `([0-9a-f]{${MAC_DIGITS}})$`,
);
/** Wrong tokens that are looked at at once, and the seconds until one more is. */
const WRONG_TOKENS_MAX = 10;
const WRONG_TOKEN_SECONDS = 1;
const VERB_NONCE = new RegExp(`^[0-9a-f]{${VERB_NONCE_DIGITS}}$`);

/** What there is to say about what a request shows. */
export type Judgement = "good" | "wrong" | "missing" | "too many" | "no token is set";

/** A request, as far as it is signed. */
export interface Signed {
  /** The value of the Authorization field, null if there is none. */
  authorization: string | null;
  method: string;
  path: string;
}

export class Token {
  readonly #digest: Uint8Array | undefined;
  readonly #proof: Proof | undefined;
  readonly #nonces: Nonces;
  readonly #now: () => number;
  /** When all wrong tokens so far are forgotten. */
  #wrongUntil = 0;

  /** Without a secret nobody is let in. `now` tells seconds since the start. */
  constructor(secret: string | undefined, now: () => number) {
    this.#digest = secret === undefined ? undefined : digestOf(secret);
    this.#proof = secret === undefined ? undefined : new Proof(secret);
    this.#nonces = new Nonces(now);
    this.#now = now;
  }

  get isSet(): boolean {
    return this.#proof !== undefined;
  }

  /** The answer to a verb's challenge; undefined if no token is set or that is no nonce. */
  prove(verbNonce: string): string | undefined {
    if (this.#proof === undefined || !VERB_NONCE.test(verbNonce)) return undefined;
    const nonce = this.#nonces.give();
    return `${nonce} ${this.#proof.ofTracker(verbNonce, nonce)}`;
  }

  /** Judges what a request shows. A signed one is good once. */
  judge({ authorization, method, path }: Signed): Judgement {
    if (this.#digest === undefined || this.#proof === undefined) return "no token is set";
    if (authorization === null) return "missing";
    const [, verbNonce, nonce, mac] = SIGNED.exec(authorization) ?? [];
    if (mac !== undefined) {
      const expected = this.#proof.ofRequest(verbNonce!, nonce!, method, path);
      return isSameMac(mac, expected) && this.#nonces.spend(nonce!) ? "good" : "wrong";
    }
    const seconds = this.#now();
    const until = Math.max(this.#wrongUntil, seconds) + WRONG_TOKEN_SECONDS;
    if (until - seconds > WRONG_TOKENS_MAX * WRONG_TOKEN_SECONDS) return "too many";
    const shown = BEARER.exec(authorization)?.[1] ?? "";
    if (timingSafeEqual(digestOf(shown), this.#digest)) return "good";
    this.#wrongUntil = until;
    return "wrong";
  }

  /** What proves the answer to a signed request that was good; undefined for others. */
  proveAnswer(authorization: string | null, status: number, text: string): string | undefined {
    const mac = SIGNED.exec(authorization ?? "")?.[3];
    return mac === undefined ? undefined : this.#proof?.ofAnswer(mac, status, text);
  }
}

function digestOf(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
