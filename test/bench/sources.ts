/**
 * Source addresses of a load generator: one socket sends as many clients, each of a network (/24)
 * of its own, as the clients of a public tracker are.
 *
 * From a few addresses a tracker sees an attack: what one place may hold is limited, and a reply
 * full of one network is drawn again. The kernel takes the source of a datagram from its control
 * data, if the socket is bound to no address [ip(7), IP_PKTINFO]; all of 127.0.0.0/8 is ours.
 *
 *   cmsghdr, in_pktinfo: 28 bytes   length 0 · level 8 · type 12 · interface 16 · source 20
 */
import type { Pointer } from "bun:ffi";
import { addressOf, type Batch, calls, MSG_DONTWAIT, pinned, POLLIN } from "./syscalls.ts";
import type { SocketAddress } from "./syscalls.ts";

const CONTROL_SLOT = 32;
const CONTROL_BYTES = 28;
const SOURCE_WORD = 5;
const IP_PKTINFO = 8;
/** /24 networks of 127.0.0.0/8. */
export const SOURCES_MAX = 65_536;
const ROUNDS_MAX = 50;

/** The requests and the replies of a generator, and how it builds a connect in a slot. */
interface Mailbox {
  fd: number;
  requests: Batch;
  replies: Batch;
  /** Writes a connect with this transaction id. */
  connect: (slot: number, transaction: number) => void;
}

export class Sources {
  readonly count: number;
  /** The words of the connection id of each, once `introduce` has returned. */
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  readonly #control: Uint32Array;

  /** Sends the requests of the batch, which has `slots` slots, to the server from now on. */
  constructor(count: number, requests: Batch, slots: number, server: SocketAddress) {
    this.count = count;
    this.high = new Uint32Array(count);
    this.low = new Uint32Array(count);
    const control = pinned(slots * CONTROL_SLOT);
    this.#control = new Uint32Array(control);
    for (let slot = 0; slot < slots; slot++) {
      this.#control.set([CONTROL_BYTES, 0, 0, IP_PKTINFO, 0, 0, 0, 0], slot * (CONTROL_SLOT / 4));
      requests.setDestination(slot, server, addressOf(control) + slot * CONTROL_SLOT, CONTROL_SLOT);
    }
  }

  /** The datagram in this slot comes from this source. */
  use(slot: number, source: number): void {
    // 127.x.y.1, in network order.
    const address = 127 | ((source >>> 8) << 8) | ((source & 0xff) << 16) | (1 << 24);
    this.#control[slot * (CONTROL_SLOT / 4) + SOURCE_WORD] = address;
  }

  /** Gets a connection id for each source. Throws if the server leaves some without. */
  introduce({ fd, requests, replies, connect }: Mailbox, slots: number): void {
    const words = new Uint32Array(replies.slots);
    const slotWords = words.length / slots;
    const polls = pinned(8);
    new Int32Array(polls).set([fd, POLLIN]);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = Array.from(this.high.keys()).filter((n) => !(this.high[n] | this.low[n]));
      if (missing.length === 0) return;
      for (let first = 0; first < missing.length; first += slots) {
        const some = missing.slice(first, first + slots);
        for (const [slot, source] of some.entries()) {
          connect(slot, source);
          this.use(slot, source);
        }
        calls.sendmmsg(fd, requests.pointer, some.length, MSG_DONTWAIT);
        for (let left = some.length; left > 0;) {
          if (calls.poll(addressOf(polls) as Pointer, 1, 20) <= 0) break;
          const count = calls.recvmmsg(fd, replies.pointer, slots, MSG_DONTWAIT, null);
          for (let slot = 0; slot < count; slot++) {
            const at = slot * slotWords;
            this.high[words[at + 1]] = words[at + 2];
            this.low[words[at + 1]] = words[at + 3];
          }
          left -= Math.max(0, count);
        }
      }
    }
    throw new Error("the server leaves connects without an answer");
  }
}
