/**
 * The operator's token: who may change things while the tracker runs.
 *
 * What is shown is compared by its SHA-256 and in constant time, so that neither its length nor how
 * much of it is right can be measured. [RFC 6750 for how it is shown]
 */
import { timingSafeEqual } from "node:crypto";

const SCHEME = /^bearer +(\S+) *$/i;

/** What there is to say about what a request shows. */
export type Judgement = "good" | "wrong" | "no token is set";

export class Token {
  readonly #digest: Uint8Array | undefined;

  /** Without a secret nobody is let in. */
  constructor(secret: string | undefined) {
    this.#digest = secret === undefined ? undefined : digestOf(secret);
  }

  /** Judges the value of an Authorization header, null if there is none. */
  judge(header: string | null): Judgement {
    if (this.#digest === undefined) return "no token is set";
    const shown = SCHEME.exec(header ?? "")?.[1] ?? "";
    return timingSafeEqual(digestOf(shown), this.#digest) ? "good" : "wrong";
  }
}

function digestOf(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
