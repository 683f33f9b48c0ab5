/**
 * The portable source of datagrams: Bun's own UDP socket in the event loop. Works on every system.
 *
 * Each datagram is answered when it arrives. Replies are collected, and sent together when the
 * batch is full or the event loop delivers no more datagrams. A failed send loses only the replies
 * that the system refused: the error is often about an earlier datagram (a client closed its port),
 * so the replies that were not sent are sent once more, one by one.
 */
import type { udp } from "bun";
import { readAddress } from "../net/addresses.ts";
import { COUNT } from "../counters/counters.ts";
import { garbage } from "../host/garbage.ts";
import type { Answering } from "./answering.ts";
import { ADDRESS_SLOT, BATCH_SIZE, REPLY_SLOT, REQUEST_SLOT } from "./datagrams.ts";

type Socket = Pick<udp.Socket<"uint8array">, "send" | "sendMany">;

/** Garbage of one datagram: its bytes, the text of its address, a view of its reply. */
const DATAGRAM_GARBAGE_BYTES = 512;

/** One for each socket, with its own `Answering`, whose batch memory holds the waiting replies. */
export class EventLoopSource {
  readonly #answering: Answering;
  /** Waiting replies: bytes, port and address of each, in the form of `sendMany`. */
  readonly #waiting: (Uint8Array | number | string)[] = [];
  #slot = 0;

  constructor(answering: Answering) {
    this.#answering = answering;
  }

  /** Answers one datagram; its reply is sent with the batch. */
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

  /** Sends the waiting replies. */
  flush(socket: Socket): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const count = waiting.length / 3;
    let sent = 0;
    try {
      sent = socket.sendMany(waiting);
    } catch {
      // The error does not tell how many replies were sent, so all are sent again below.
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
      // Counted below. The client retries.
    }
    this.#answering.counters.row[COUNT.udpSendFailures] += 1;
  }
}
