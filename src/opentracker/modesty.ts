/**
 * Modesty: how often a network may ask for what is dear.
 *
 * An IPv4 client stands for its /24, an IPv6 client for its /48. Fixed memory: when too many
 * networks are remembered the one that asked longest ago is forgotten.
 */
import type { Family } from "../constants.ts";

/** Networks remembered, for each kind of question, some 100 bytes each. */
const NETWORKS_MAX = 4096;

const NETWORK_BYTES_IPV4 = 3;
const NETWORK_BYTES_IPV6 = 6;

export class Modesty {
  readonly #intervalSeconds: number;
  /** When a network asked last; the longest ago is first. */
  readonly #asked = new Map<string, number>();

  /** 0 seconds lets everybody ask at any time. */
  constructor(intervalSeconds: number) {
    this.#intervalSeconds = intervalSeconds;
  }

  /**
   * Seconds the client must wait before it may ask `kind` again; 0 if it may now, and then this is
   * remembered.
   */
  ask(kind: string, address: Uint8Array, family: Family, nowSeconds: number): number {
    if (this.#intervalSeconds === 0) return 0;
    const size = family === 4 ? NETWORK_BYTES_IPV4 : NETWORK_BYTES_IPV6;
    const key = `${kind} ${address.subarray(0, size).join(".")}`;
    const before = this.#asked.get(key);
    if (before !== undefined && nowSeconds - before < this.#intervalSeconds) {
      return Math.ceil(this.#intervalSeconds - (nowSeconds - before));
    }
    this.#asked.delete(key);
    this.#asked.set(key, nowSeconds);
    if (this.#asked.size > NETWORKS_MAX) this.#asked.delete(this.#asked.keys().next().value!);
    return 0;
  }
}
