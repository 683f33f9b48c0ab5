/**
 * The portable source of datagrams: Bun's own UDP socket in the event loop. Works on every system.
 *
 * Each datagram is answered as it arrives; replies are collected and sent together when the batch
 * is full or the event loop has nothing more to deliver. A send that fails costs the replies the
 * system refused and nobody else's: an error the kernel reports here is often about an earlier
 * datagram (somebody's port was closed), so what was not taken is offered once more, one by one.
 */
import type { udp } from "bun";
import { readAddress } from "../net/addresses.ts";
import { COUNT } from "../counters/counters.ts";
import { garbage } from "../host/garbage.ts";
import type { Answering } from "./answering.ts";
import { ADDRESS_SLOT, BATCH_SIZE, REPLY_SLOT, REQUEST_SLOT } from "./datagrams.ts";

type Socket = Pick<udp.Socket<"uint8array">, "send" | "sendMany">;

/** What a datagram leaves behind: its bytes, the text of its address, a view of its reply. */
const DATAGRAM_GARBAGE_BYTES = 512;

/** One for each socket, with an `Answering` of its own: its batch memory holds what waits. */
export class EventLoopSource {
  readonly #answering: Answering;
  /** Replies that wait: for each its bytes, port and address, as `sendMany` takes them. */
  readonly #waiting: (Uint8Array | number | string)[] = [];
  #slot = 0;

  constructor(answering: Answering) {
    this.#answering = answering;
  }

  /** Answers one datagram; the reply leaves with the batch. */
  receive(socket: Socket, bytes: Uint8Array, port: number, address: string): void {
    garbage.note(Math.max(bytes.length, DATAGRAM_GARBAGE_BYTES));
    const { datagrams } = this.#answering;
    const slot = this.#slot;
    const length = Math.min(bytes.length, REQUEST_SLOT);
    datagrams.requests.set(
      length < bytes.length ? bytes.subarray(0, length) : bytes,
      slot * REQUEST_SLOT,
    );
    datagrams.requestLengths[slot] = length;
    datagrams.families[slot] = readAddress(address, datagrams.addresses, slot * ADDRESS_SLOT);
    this.#answering.answerOne(slot);
    const reply = datagrams.replyLengths[slot];
    if (reply === 0) return;
    const at = slot * REPLY_SLOT;
    this.#waiting.push(datagrams.replies.subarray(at, at + reply), port, address);
    this.#slot += 1;
    if (this.#slot === BATCH_SIZE) this.flush(socket);
    else if (this.#slot === 1) setImmediate(() => this.flush(socket));
  }

  /** Sends what waits. */
  flush(socket: Socket): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const count = waiting.length / 3;
    let sent = 0;
    try {
      sent = socket.sendMany(waiting);
    } catch {
      // What the kernel took before it failed is not told; the rest below counts what fails again.
    }
    for (; sent < count; sent++) this.#sendAgain(socket, sent);
    waiting.length = 0;
    this.#slot = 0;
  }

  #sendAgain(socket: Socket, index: number): void {
    const [bytes, port, address] = this.#waiting.slice(index * 3, index * 3 + 3);
    try {
      if (socket.send(bytes as Uint8Array, port as number, address as string)) return;
    } catch {
      // Counted below; the client will ask again.
    }
    this.#answering.counters.row[COUNT.udpSendFailures] += 1;
  }
}
