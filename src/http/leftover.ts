/**
 * Received bytes of one connection whose requests are not answered yet.
 *
 *   buffer   │ answered │ left over │ room for more │
 *            0          from        to              capacity
 *
 * A request in one piece, which is the rule, stays in the buffer in which it was received. Further
 * pieces are appended in a buffer with room for more, so each byte is copied about once. Joining
 * again for each piece copied 15,000 bytes per byte behind a long head: 1,000 connections that sent
 * 200,000 of them a second made the process 1.8 to 3 GiB bigger (Bun 1.4.5, 2026-11).
 */
import { HTTP_HEAD_BYTES_MAX } from "../constants.ts";
import { garbage } from "../host/garbage.ts";

const CAPACITY_MIN = 256;
/** A buffer doubles, but grows by at most this: many connections may hold part of a head. */
const ROOM_BYTES_MAX = HTTP_HEAD_BYTES_MAX;
/** The rest moves to a smaller buffer when it fills less than this fraction, not each time. */
const SPARSE = 4;

const NOTHING = Buffer.alloc(0);

export class Leftover {
  /** Bytes `from` to `to` - 1 are not answered. */
  buffer: Buffer = NOTHING;
  from = 0;
  to = 0;

  get size(): number {
    return this.to - this.from;
  }

  /** Memory it takes: the size of the buffer. */
  get capacity(): number {
    return this.buffer.length;
  }

  /** Appends bytes; keeps the first ones without a copy. */
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

  /** All bytes, valid until the next change; no copy. */
  view(): Buffer {
    const { buffer, from, to } = this;
    return from === 0 && to === buffer.length ? buffer : buffer.subarray(from, to);
  }

  /** The first bytes, at most `sizeMax`, as latin1. */
  text(sizeMax: number): string {
    return this.buffer.toString("latin1", this.from, Math.min(this.from + sizeMax, this.to));
  }

  /** Removes the first `count` bytes. */
  drop(count: number): void {
    if (count === 0) return;
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

  /** Moves the bytes to the start of a new buffer. */
  #move(capacity: number): void {
    const buffer = Buffer.allocUnsafeSlow(capacity);
    this.buffer.copy(buffer, 0, this.from, this.to);
    garbage.note(this.buffer.length);
    this.buffer = buffer;
    this.to -= this.from;
    this.from = 0;
  }
}
