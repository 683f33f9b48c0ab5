/**
 * Bytes of requests that have come to one connection and are not answered, kept where they lie.
 *
 *   buffer   │ answered │ left over │ room for more │
 *            0          from        to              capacity
 *
 * A request that comes in one piece, as honest ones do, stays in the buffer it came in. Pieces of
 * one go behind each other into a buffer with room for more, so that a byte costs a byte. Joined
 * anew with each piece, a byte behind a long head cost 15,000: 1,000 connections that sent 200,000
 * of them a second made the process 1.8 to 3 GiB bigger (Bun 1.4.5, 2026-11).
 */
import { HTTP_HEAD_BYTES_MAX } from "../constants.ts";
import { garbage } from "../host/garbage.ts";

const CAPACITY_MIN = 256;
/** Room for more is as much as there is, up to this: many connections hold a piece of a head. */
const ROOM_BYTES_MAX = HTTP_HEAD_BYTES_MAX;
/** What is left is moved once the buffer is so many times larger: not with each request. */
const SPARSE = 4;

const NOTHING = Buffer.alloc(0);

export class Leftover {
  /** Bytes `from` to `to` - 1 of it are left over. */
  buffer: Buffer = NOTHING;
  from = 0;
  to = 0;

  get size(): number {
    return this.to - this.from;
  }

  /** What it costs: the size of its buffer. */
  get capacity(): number {
    return this.buffer.length;
  }

  /** Puts bytes behind the others; those that come first are kept in their own buffer. */
  add(bytes: Buffer): void {
    if (this.to === 0) {
      this.buffer = bytes;
      this.to = bytes.length;
      return;
    }
    if (this.to + bytes.length > this.buffer.length) this.#makeRoom(bytes.length);
    this.buffer.set(bytes, this.to);
    this.to += bytes.length;
  }

  /** All of them, until the next change; without a copy. */
  view(): Buffer {
    const { buffer, from, to } = this;
    return from === 0 && to === buffer.length ? buffer : buffer.subarray(from, to);
  }

  /** The first of them, up to so many, as latin1. */
  text(sizeMax: number): string {
    return this.buffer.toString("latin1", this.from, Math.min(this.from + sizeMax, this.to));
  }

  /** The first `count` bytes are done with. */
  drop(count: number): void {
    this.from += count;
    if (this.from >= this.to) this.clear();
    else if (SPARSE * this.size < this.buffer.length) this.#move(this.size);
  }

  clear(): void {
    this.buffer = NOTHING;
    this.from = this.to = 0;
  }

  #makeRoom(added: number): void {
    const needed = this.size + added;
    if (2 * needed > this.buffer.length) {
      return this.#move(Math.max(CAPACITY_MIN, needed + Math.min(needed, ROOM_BYTES_MAX)));
    }
    this.buffer.copyWithin(0, this.from, this.to);
    this.to -= this.from;
    this.from = 0;
  }

  /** Moves them to the beginning of a new buffer. */
  #move(capacity: number): void {
    const buffer = Buffer.allocUnsafeSlow(capacity);
    this.buffer.copy(buffer, 0, this.from, this.to);
    garbage.note(this.buffer.length);
    this.buffer = buffer;
    this.to -= this.from;
    this.from = 0;
  }
}
