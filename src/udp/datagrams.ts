/**
 * A batch of datagrams: memory for received requests and for replies.
 *
 * Every source of datagrams uses this layout, so one journey serves all sources. Slot i owns
 *
 *   requests   [ i * REQUEST_SLOT … ]   the datagram as received; longer datagrams are cut
 *   replies    [ i * REPLY_SLOT … ]     the reply, if `replyLengths[i]` is not 0
 *   addresses  [ i * ADDRESS_SLOT … ]   the sender: 4 or 16 bytes, as `families[i]` says
 *
 * Reserved once for each thread. The buffers are larger than 1,000 bytes each, because the engine
 * may move smaller typed arrays, which breaks pointers to them.
 */

export const BATCH_SIZE = 64;

/**
 * The longest valid request is a scrape of 74 hashes, 1,496 bytes, or an announce with a long URL.
 * A slot is an odd number of cache lines, 33 and 25, so the first bytes of all slots fit into the
 * first-level cache together. Slots at a distance of a power of two would evict each other.
 */
export const REQUEST_SLOT = 2112;
export const REPLY_SLOT = 1600;
export const ADDRESS_SLOT = 16;

export class Datagrams {
  readonly requests = new Uint8Array(new ArrayBuffer(BATCH_SIZE * REQUEST_SLOT));
  readonly requestLengths = new Int32Array(new ArrayBuffer(BATCH_SIZE * 4));
  readonly replies: Uint8Array;
  readonly replyLengths = new Int32Array(new ArrayBuffer(BATCH_SIZE * 4));
  readonly addresses = new Uint8Array(new ArrayBuffer(BATCH_SIZE * ADDRESS_SLOT));
  /** 4 or 6; 0 if the sender's address is unreadable. */
  readonly families = new Uint8Array(new ArrayBuffer(BATCH_SIZE));
  /** The memory of `replies`; the core writes peers into it. */
  readonly replyMemory = new ArrayBuffer(BATCH_SIZE * REPLY_SLOT);

  constructor() {
    this.replies = new Uint8Array(this.replyMemory);
  }
}
