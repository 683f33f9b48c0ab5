/**
 * Sending: the deltas in the outboxes of all threads go to all trackers, in numbered batches.
 *
 *   outboxes ─► batch of at most 32 KiB ─► number n + 1 ─► link
 *
 * After a turn that sent much the next one is left out: by a profile, a message costs our processor
 * and that of each other tracker as much as several hundred deltas. So a busy tracker tells ten
 * times a second.
 *
 * A batch that the link refuses is thrown away, and its number is used up. If an outbox has dropped
 * something, a number is passed over. Either way the others see that a number is missing, and ask
 * for what they lack (ledger.ts); nothing is queued.
 */
import type { Link } from "./link.ts";
import type { Outboxes } from "./outbox.ts";
import { BATCH_BYTES_MAX, deltaBytes, deltasMessage } from "./wire.ts";

/** Limit of batches in a turn: they hold one full ring. */
const BATCHES_A_TURN = 64;
/** Bytes that are much for a turn. */
const BUSY_BYTES = BATCH_BYTES_MAX / 4;

export class Sending {
  /** The number of the last batch; 0 before the first. */
  number = 0;
  readonly counts = { deltas: 0, bytes: 0, lostAway: 0, lostSlow: 0, lostRing: 0 };
  readonly #origin: string;
  readonly #outboxes: Outboxes;
  readonly #link: Pick<Link, "up" | "sendAll">;
  /** True if the next turn is left out. */
  #rests = false;
  readonly #batch = new Uint16Array(BATCH_BYTES_MAX / 2);

  constructor(origin: string, outboxes: Outboxes, link: Pick<Link, "up" | "sendAll">) {
    this.#origin = origin;
    this.#outboxes = outboxes;
    this.#link = link;
  }

  /** Sends the waiting deltas, or rests. True if a ring fills up: the next turn must come soon. */
  turn(): boolean {
    if (!this.#rests || this.#outboxes.hurries) return this.send();
    this.#rests = false;
    return false;
  }

  /** Sends the waiting deltas; likewise. */
  send(): boolean {
    const dropped = this.#outboxes.takeDropped();
    if (dropped > 0) {
      this.counts.lostRing += dropped;
      this.number += 1;
    }
    let bytes = 0;
    for (let batch = 0; batch < BATCHES_A_TURN; batch++) {
      const halves = this.#outboxes.take(this.#batch);
      if (halves === 0) break;
      bytes += 2 * halves;
      this.#send(new Uint8Array(this.#batch.buffer, 0, 2 * halves));
    }
    this.#rests = bytes > BUSY_BYTES;
    return this.#outboxes.hurries;
  }

  #send(records: Uint8Array): void {
    const { counts } = this;
    const deltas = countDeltas(records);
    this.number += 1;
    const message = deltasMessage({ origin: this.#origin, number: this.number }, records);
    const { up } = this.#link;
    if (up && this.#link.sendAll(message)) {
      counts.deltas += deltas;
      counts.bytes += message.length;
    } else if (up) counts.lostSlow += deltas;
    else counts.lostAway += deltas;
  }
}

function countDeltas(records: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < records.length; at += deltaBytes(records[at])) count += 1;
  return count;
}
