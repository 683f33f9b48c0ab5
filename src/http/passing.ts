/**
 * Requests that the event loop answers for a worker: pages, exports, and WebSockets.
 *
 *   client ◄─ TLS ─► worker ◄── a private socket for each request ──► event loop
 *                      └─ key │ family │ address │ the request, and what follows it
 *
 * The worker gives the bytes of such a connection on, in both directions, as a tunnel (see
 * net/tunnel.ts), so the event loop answers it as if the client were connected there: one place has
 * the browsers' swarms, the history of the page, and the limits of exports. The answer to a page
 * says `Connection: close`, because the worker does not look where it ends. Nothing waits in memory
 * of ours for a side that does not read: the other side is then not read either. A WebSocket
 * without TLS is handed over instead (see handing-over.ts).
 *
 * Signaling in the workers, with offers and answers as messages between them, would spread what
 * takes little of a processor (a browser announces every two minutes), for a second way to store
 * its swarms. A request passed on takes two open files more, and its bytes are copied once more.
 *
 * The socket has a name outside of the file system, because a service may write to no folder. So
 * any process of this machine can connect to it; one that does not send the random key is closed.
 */
import { type Family, STRANGERS_MAX } from "../constants.ts";
import { writeAddress } from "../net/addresses.ts";
import type { Line, Takeover, Tunnel, UpgradeRequest } from "../net/tunnel.ts";
import type { Connection, OwnedSocket, SocketEvents } from "./connection.ts";

const KEY_BYTES = 32;
const FAMILY_AT = KEY_BYTES;
const ADDRESS_AT = FAMILY_AT + 1;
const PREFACE_BYTES = ADDRESS_AT + 16;

const NOTHING = Buffer.alloc(0);
const UNANSWERED = Buffer.from(
  "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
);

/** How an answer begins that accepts an upgrade. */
const ACCEPTED = Buffer.from("HTTP/1.1 101 ");

/** Where the event loop takes such requests; can be posted to a worker as it is. */
export interface PassingPlace {
  /** The name of the socket. */
  name: string;
  key: Uint8Array;
}

/** A place with a random name, which no other process can have bound before, and a random key. */
export function passingPlace(): PassingPlace {
  const key = crypto.getRandomValues(new Uint8Array(new ArrayBuffer(KEY_BYTES)));
  return { name: `\0buntracker-${crypto.randomUUID()}`, key };
}

// -- The worker's side

/** The event loop as a worker's connection reaches it; see Bun's socket. */
type PassingSocket = Pick<
  Bun.Socket<undefined>,
  "write" | "pause" | "resume" | "shutdown" | "end" | "terminate"
>;

/**
 * The takeover that passes the request, and all that follows on its connection, on; or that gives
 * the connection itself to `hand`, if it can.
 */
export function passOn(
  place: PassingPlace,
  request: UpgradeRequest,
  hand?: (fd: number, bytes: Uint8Array) => boolean,
): Takeover {
  const { head, address, family } = request;
  const text = head.text.slice(head.methodFrom, head.end);
  const preface = Buffer.alloc(PREFACE_BYTES + text.length);
  preface.set(place.key);
  preface[FAMILY_AT] = family;
  preface.set(address.subarray(0, 16), ADDRESS_AT);
  preface.write(text, PREFACE_BYTES, "latin1");
  return {
    response: NOTHING,
    refusal: NOTHING,
    address: address.slice(),
    family: family === 0 ? 4 : family,
    // Only a WebSocket never gives way, and whether it is one the event loop decides.
    yields: true,
    begin: (line) => new Passed(place, preface, line),
    ...(hand && {
      handOver(fd, rest) {
        const bytes = new Uint8Array(text.length + rest.length);
        bytes.set(preface.subarray(PREFACE_BYTES));
        bytes.set(rest, text.length);
        return hand(fd, bytes);
      },
    }),
  };
}

/** One connection that is passed on. */
class Passed implements Tunnel {
  readonly goesOn = false;
  /** Until the event loop takes what it has been sent. */
  isFull = true;
  readonly #line: Line;
  /** What it has not taken of the preface. */
  #rest: Buffer;
  #socket: PassingSocket | undefined;
  #inputEnded = false;
  #answered = false;
  #over = false;

  constructor(place: PassingPlace, preface: Buffer, line: Line) {
    this.#line = line;
    this.#rest = preface;
    const socket = {
      binaryType: "buffer" as const,
      open: (opened: PassingSocket) => this.#open(opened),
      data: (_socket: unknown, bytes: Buffer) => this.#pass(bytes),
      drain: () => this.#drain(),
      end: () => this.#end(),
      close: () => this.#end(),
      error: () => this.#end(),
    };
    // The types of Bun lack `allowHalfOpen` here.
    const options = { unix: place.name, allowHalfOpen: true, socket };
    Bun.connect(options as Bun.UnixSocketOptions).catch(() => this.#fail());
  }

  read(bytes: Buffer): number {
    if (this.isFull) return 0;
    const taken = Math.max(0, this.#socket!.write(bytes));
    this.isFull = taken < bytes.length;
    return taken;
  }

  progressed(): void {
    if (!this.#line.isFull) this.#socket?.resume();
  }

  /** The event loop decides when silence is too long. */
  expire(): void {
    this.#line.wakeAfter(Infinity);
  }

  inputEnded(): void {
    this.#inputEnded = true;
    if (!this.isFull) this.#socket!.shutdown();
  }

  /** The event loop ends its side. */
  stop(): void {}

  closed(): void {
    this.#over = true;
    this.#socket?.end();
  }

  #open(socket: PassingSocket): void {
    // The client has gone meanwhile.
    if (this.#over) return void socket.terminate();
    this.#socket = socket;
    this.#drain();
  }

  #drain(): void {
    if (this.#over || this.#socket === undefined) return;
    if (this.#rest.length > 0) {
      const taken = Math.max(0, this.#socket.write(this.#rest));
      this.#rest = this.#rest.subarray(taken);
      if (this.#rest.length > 0) return;
    }
    this.isFull = false;
    this.#line.goOn();
    if (this.#inputEnded && !this.isFull) this.#socket.shutdown();
  }

  #pass(bytes: Buffer): void {
    if (this.#over) return;
    if (!this.#answered) {
      this.#answered = true;
      if (bytes.subarray(0, ACCEPTED.length).equals(ACCEPTED)) this.#line.last();
    }
    this.#line.send(bytes, 0, bytes.length);
    if (this.#line.isFull) this.#socket!.pause();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket?.end();
    this.#line.end();
  }

  #fail(): void {
    if (this.#over) return;
    this.#line.send(UNANSWERED, 0, UNANSWERED.length);
    this.#end();
  }
}

// -- The side of the event loop

/** A worker's end of a connection, as Bun gives it. */
type ArrivingSocket = Omit<OwnedSocket, "data" | "remoteAddress"> & { data: Arrival };

/** A connection that a worker passes on: to the server it is that of the client. */
class Arrival implements OwnedSocket {
  // Set by the server when it accepts the connection.
  declare data: Connection;
  remoteAddress = "";
  readonly #socket: ArrivingSocket;
  /** The received part of the preface; undefined after it. */
  preface: Buffer | undefined = NOTHING;

  constructor(socket: ArrivingSocket) {
    this.#socket = socket;
  }

  write(bytes: Uint8Array, from?: number, size?: number): number {
    return this.#socket.write(bytes, from, size);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  shutdown(): void {
    this.#socket.shutdown();
  }

  end(): void {
    this.#socket.end();
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

/**
 * What Bun calls for the sockets of a place: turns what arrives into connections of the server. The
 * workers have `connectionsMax` connections together, so more than that come from another process.
 */
export function takePassed(
  { key }: Pick<PassingPlace, "key">,
  server: SocketEvents,
  connectionsMax: number,
) {
  let sockets = 0;
  const strangers = new Set<ArrivingSocket>();
  const greet = (socket: ArrivingSocket, bytes: Buffer): void => {
    const arrival = socket.data;
    const read = arrival.preface!.length === 0 ? bytes : Buffer.concat([arrival.preface!, bytes]);
    if (read.length < PREFACE_BYTES) return void (arrival.preface = read);
    arrival.preface = undefined;
    strangers.delete(socket);
    if (!read.subarray(0, KEY_BYTES).equals(key)) return arrival.terminate();
    const family = read[FAMILY_AT] as Family | 0;
    arrival.remoteAddress = family === 0 ? "" : writeAddress(read, ADDRESS_AT, family);
    server.open(arrival);
    if (arrival.data !== undefined) server.data(arrival, read.subarray(PREFACE_BYTES));
  };
  return {
    binaryType: "buffer" as const,
    open(socket: ArrivingSocket): void {
      socket.data = new Arrival(socket);
      strangers.add(socket);
      sockets += 1;
      if (sockets > connectionsMax + STRANGERS_MAX) strangers.values().next().value!.terminate();
    },
    data(socket: ArrivingSocket, bytes: Buffer): void {
      if (socket.data.preface !== undefined) greet(socket, bytes);
      else server.data(socket.data, bytes);
    },
    drain: ({ data }: ArrivingSocket) => server.drain(data),
    end({ data }: ArrivingSocket): void {
      if (data.preface !== undefined) data.terminate();
      else server.end(data);
    },
    close(socket: ArrivingSocket): void {
      strangers.delete(socket);
      sockets -= 1;
      server.close(socket.data);
    },
    error: ({ data }: ArrivingSocket, error: Error) => server.error(data, error),
  };
}
