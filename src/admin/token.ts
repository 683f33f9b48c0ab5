/**
 * The operator's token, which requests for changes need.
 *
 *   Authorization: Bearer <token>                       curl and the like [RFC 6750]
 *   Authorization: Buntracker <nonce> <nonce> <MAC>     the verbs, which never send the token
 *
 * A bearer token is compared by its SHA-256 and in constant time, so that timing shows neither its
 * length nor how much of it is right; proof.ts explains what the verbs send instead.
 *
 * One limit holds for all wrong tokens together, since an attacker can use a new connection for
 * each guess: after ten, one token a second is checked, and all other bearer requests are refused,
 * right or wrong. Requests with a MAC are not limited: a guess at a MAC costs more than a
 * connection.
 */
import { Nonces, TRACKER_NONCE_DIGITS } from "./nonces.ts";
import { isSameMac, MAC_DIGITS, Proof, PROOF_SCHEME, VERB_NONCE_DIGITS } from "./proof.ts";

const BEARER = /^bearer +(\S+) *$/i;
const SIGNED = new RegExp(
  `^${PROOF_SCHEME} ([0-9a-f]{${VERB_NONCE_DIGITS}}) ([0-9a-f]{${TRACKER_NONCE_DIGITS}}) ` +
    `([0-9a-f]{${MAC_DIGITS}})$`,
);
/** Wrong tokens that are checked at once, and the seconds until one more is checked. */
const WRONG_TOKENS_MAX = 10;
const WRONG_TOKEN_SECONDS = 1;
const VERB_NONCE = new RegExp(`^[0-9a-f]{${VERB_NONCE_DIGITS}}$`);

/** The result of judging the token or MAC of a request. */
export type Judgement = "good" | "wrong" | "missing" | "too many" | "no token is set";

/** The parts of a request that a MAC covers, and its Authorization. */
export interface Signed {
  /** The value of the Authorization field, null if it is missing. */
  authorization: string | null;
  method: string;
  /** Path and query. */
  target: string;
}

export class Token {
  readonly #digest: Uint8Array | undefined;
  readonly #proof: Proof | undefined;
  readonly #nonces: Nonces;
  readonly #now: () => number;
  /** When the limit on wrong tokens is fully available again. */
  #wrongUntil = 0;

  /** Without a secret all requests are refused. `now` gives seconds since the start. */
  constructor(secret: string | undefined, now: () => number) {
    this.#digest = secret === undefined ? undefined : digestOf(secret);
    this.#proof = secret === undefined ? undefined : new Proof(secret);
    this.#nonces = new Nonces(now);
    this.#now = now;
  }

  get isSet(): boolean {
    return this.#proof !== undefined;
  }

  /** The answer to a verb's challenge; undefined if no token is set or the nonce is not valid. */
  prove(verbNonce: string): string | undefined {
    if (this.#proof === undefined || !VERB_NONCE.test(verbNonce)) return undefined;
    const nonce = this.#nonces.issue();
    return `${nonce} ${this.#proof.ofTracker(verbNonce, nonce)}`;
  }

  /** Judges the token or MAC of a request. A MAC is good once. */
  judge({ authorization, method, target }: Signed): Judgement {
    if (this.#digest === undefined || this.#proof === undefined) return "no token is set";
    if (authorization === null) return "missing";
    const [, verbNonce, nonce, mac] = SIGNED.exec(authorization) ?? [];
    if (mac !== undefined) {
      const expected = this.#proof.ofRequest(verbNonce!, nonce!, method, target);
      return isSameMac(mac, expected) && this.#nonces.spend(nonce!) ? "good" : "wrong";
    }
    const seconds = this.#now();
    const until = Math.max(this.#wrongUntil, seconds) + WRONG_TOKEN_SECONDS;
    if (until - seconds > WRONG_TOKENS_MAX * WRONG_TOKEN_SECONDS) return "too many";
    const shown = BEARER.exec(authorization)?.[1] ?? "";
    if (crypto.timingSafeEqual(digestOf(shown), this.#digest)) return "good";
    this.#wrongUntil = until;
    return "wrong";
  }

  /** The proof of the answer to a request with a good MAC; undefined for other requests. */
  proveAnswer(authorization: string | null, status: number, text: string): string | undefined {
    const mac = SIGNED.exec(authorization ?? "")?.[3];
    return mac === undefined ? undefined : this.#proof?.ofAnswer(mac, status, text);
  }
}

function digestOf(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
