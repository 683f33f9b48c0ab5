/**
 * Proofs that a verb or the tracker knows the operator's token, without sending it.
 *
 *   verb      GET /challenge/<its nonce>
 *   tracker   <its nonce> <MAC of "tracker" and both nonces>
 *   verb      PUT /maintenance
 *             Authorization: Buntracker <its nonce> <the tracker's> <MAC of "request" and all this>
 *   tracker   200, Buntracker-Proof: <MAC of "answer", the request's MAC, status and text>
 *
 * While no tracker runs, any user of the machine may listen on the port. So the verb sends its
 * request only after the tracker has proven itself, and the proof of the request is valid once, for
 * that request. The proof of the answer stops a relay from faking the result. Method, path and
 * query are the whole request: the tracker reads no body, so the proof covers no body.
 *
 * The key is derived slowly, because anybody may ask for a MAC and test tokens against it offline.
 */
import { deriveKey } from "../host/derived-key.ts";

/** The scheme of the Authorization field, and the field of an answer. */
export const PROOF_SCHEME = "Buntracker";
export const PROOF_FIELD = "buntracker-proof";

/** Hexadecimal digits of a nonce that a verb makes, and of a MAC. */
export const VERB_NONCE_DIGITS = 64;
export const MAC_DIGITS = 64;

export class Proof {
  readonly #key: Uint8Array;

  constructor(token: string) {
    this.#key = deriveKey(token, "buntracker: the operator's token");
  }

  /** The tracker's answer to a challenge. */
  ofTracker(verbNonce: string, trackerNonce: string): string {
    return this.#mac("tracker", verbNonce, trackerNonce);
  }

  /** The verb's proof of a request for a path, and its query where it has one. */
  ofRequest(verbNonce: string, trackerNonce: string, method: string, target: string): string {
    return this.#mac("request", verbNonce, trackerNonce, method, target);
  }

  /** The tracker's proof of its answer; `request` is the proof of the request. */
  ofAnswer(request: string, status: number, text: string): string {
    return this.#mac("answer", request, String(status), text);
  }

  /** The length before each part makes different lists of parts different bytes. */
  #mac(...parts: string[]): string {
    const hasher = new Bun.CryptoHasher("sha256", this.#key);
    for (const part of parts) hasher.update(`${Buffer.byteLength(part)}:${part}`);
    return hasher.digest("hex");
  }
}

/** Whether two MACs are the same, in constant time. */
export function isSameMac(shown: string, expected: string): boolean {
  const [a, b] = [Buffer.from(shown), Buffer.from(expected)];
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}
