/**
 * Showing that one knows the operator's token without showing it: what verbs and tracker say.
 *
 *   verb      GET /challenge/<its nonce>
 *   tracker   <its nonce> <MAC of "tracker" and both nonces>
 *   verb      PUT /maintenance
 *             Authorization: Buntracker <its nonce> <the tracker's> <MAC of "request" and all this>
 *   tracker   200, Buntracker-Proof: <MAC of "answer", the request's MAC, status and sentence>
 *
 * Any user of the machine may hold the port while no tracker does, so the verb asks for nothing
 * until the tracker has proven itself, and what it then sends is good for one request, once. The
 * proof of the answer keeps a relay from saying that something was done which was not. Method and
 * path are all that a request says: the tracker reads no body, so none is signed.
 *
 * The key is derived slowly: anybody may ask for a MAC and try tokens against it at home.
 */
import { timingSafeEqual } from "node:crypto";
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

  /** What the tracker answers to a challenge. */
  ofTracker(verbNonce: string, trackerNonce: string): string {
    return this.#mac("tracker", verbNonce, trackerNonce);
  }

  /** What the verb shows with a request. */
  ofRequest(verbNonce: string, trackerNonce: string, method: string, path: string): string {
    return this.#mac("request", verbNonce, trackerNonce, method, path);
  }

  /** What the tracker shows with its answer to a request that showed `request`. */
  ofAnswer(request: string, status: number, sentence: string): string {
    return this.#mac("answer", request, String(status), sentence);
  }

  /** Each part with its length, so that no two lists of parts are the same bytes. */
  #mac(...parts: string[]): string {
    const hasher = new Bun.CryptoHasher("sha256", this.#key);
    for (const part of parts) hasher.update(`${Buffer.byteLength(part)}:${part}`);
    return hasher.digest("hex");
  }
}

/** Whether two MACs are the same, in constant time. */
export function isSameMac(shown: string, expected: string): boolean {
  const [a, b] = [Buffer.from(shown), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
