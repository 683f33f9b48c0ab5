/**
 * Cooldown: limits how often a network may request an expensive export.
 *
 * An IPv4 client counts as its /24, an IPv6 client as its /48. Fixed memory: when too many
 * networks are remembered, the one with the oldest request is forgotten.
 */
import type { Family } from "../constants.ts";

/** Networks remembered, for each kind of request, some 100 bytes each. */
const NETWORKS_MAX = 4096;

const NETWORK_BYTES_IPV4 = 3;
const NETWORK_BYTES_IPV6 = 6;

export class Cooldown {
  readonly #intervalSeconds: number;
  /** When a network's last request was granted; the oldest is first. */
  readonly #granted = new Map<string, number>();

  /** 0 seconds grants every request. */
  constructor(intervalSeconds: number) {
    this.#intervalSeconds = intervalSeconds;
  }

  /**
   * Seconds the client must wait before it may request `kind` again; 0 grants the request, and
   * its time is remembered.
   */
  request(kind: string, address: Uint8Array, family: Family, nowSeconds: number): number {
    if (this.#intervalSeconds === 0) return 0;
    const size = family === 4 ? NETWORK_BYTES_IPV4 : NETWORK_BYTES_IPV6;
    const key = `${kind} ${address.subarray(0, size).join(".")}`;
    const before = this.#granted.get(key);
    if (before !== undefined && nowSeconds - before < this.#intervalSeconds) {
      return Math.ceil(this.#intervalSeconds - (nowSeconds - before));
    }
    this.#granted.delete(key);
    this.#granted.set(key, nowSeconds);
    if (this.#granted.size > NETWORKS_MAX) {
      this.#granted.delete(this.#granted.keys().next().value!);
    }
    return 0;
  }
}
