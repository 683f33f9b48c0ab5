/**
 * A batch of datagrams: the memory that requests are received into and replies written to.
 *
 * Every source of datagrams fills the same places, so one journey serves all of them. Slot i owns
 *
 *   requests   [ i * REQUEST_SLOT … ]   the datagram as received; longer ones are cut
 *   replies    [ i * REPLY_SLOT … ]     the reply, if `replyLengths[i]` is not 0
 *   addresses  [ i * ADDRESS_SLOT … ]   the sender: 4 or 16 bytes, as `families[i]` says
 *
 * Reserved once for each thread. The buffers are larger than 1,000 bytes each, so that pointers to
 * them stay good (smaller typed arrays move when the JIT compiler pleases).
 */

export const BATCH_SIZE = 64;

/**
 * The longest request with a meaning is a scrape of 74 hashes, 1,496 bytes, or an announce with a
 * long URL. Slots are an odd number of cache lines, 33 and 25: so the first bytes of all of them
 * lie in the first level of cache side by side. Those of slots that are a power of two apart push
 * each other out.
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
  /** 4 or 6; 0 if the sender's address cannot be read. */
  readonly families = new Uint8Array(new ArrayBuffer(BATCH_SIZE));
  /** The memory of `replies`, which the core writes peers into. */
  readonly replyMemory = new ArrayBuffer(BATCH_SIZE * REPLY_SLOT);

  constructor() {
    this.replies = new Uint8Array(this.replyMemory);
  }
}
