/**
 * A UDP client for the tests: one socket with a chosen source address, and exchanges that end.
 *
 * Silence cannot be waited for, only outlasted, so `exchange` does not wait: it sends a BEP 15
 * connect behind the datagram. The tracker answers one socket's datagrams in order, so when the
 * connect is answered, whatever the datagram was going to get has arrived.
 *
 *   us       datagram, connect(transaction id t)
 *   tracker  [answers to the datagram ...]  connect response(t)
 *
 * https://www.bittorrent.org/beps/bep_0015.html
 */

const CONNECT_MAGIC = Uint8Array.fromHex("0000041727101980");
const CONNECT_RESPONSE_SIZE = 16;

/** Far more than loopback needs; reached only when the tracker is gone or stuck. */
const ANSWER_MILLISECONDS_MAX = 5000;

/** One UDP socket that talks to one tracker. Close it, or open it with `using`. */
export class Datagrams implements Disposable {
  readonly #host: string;
  readonly #port: number;
  #socket: Bun.udp.Socket<"uint8array"> | undefined;
  #received: Uint8Array[] = [];
  #take = (answer: Uint8Array): void => void this.#received.push(answer);
  #arrived: () => void = () => {};

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** Binds; `source` is an address of this machine, the port the kernel's choice. */
  async open(source: string): Promise<void> {
    this.#socket = await Bun.udpSocket({
      hostname: source,
      port: 0,
      binaryType: "uint8array",
      socket: {
        data: (_socket, bytes) => {
          this.#take(bytes);
          this.#arrived();
        },
        error: () => {},
      },
    });
  }

  /** Hands every answer from now on to `take`, and keeps none. */
  onAnswer(take: (answer: Uint8Array) => void): void {
    this.#take = take;
  }

  /** The local port. */
  get port(): number {
    return this.#socket!.port;
  }

  /** Sends one datagram. An error the kernel kept from an earlier one costs a second try. */
  send(bytes: Uint8Array): void {
    try {
      this.#socket!.send(bytes, this.#port, this.#host);
    } catch {
      this.#socket!.send(bytes, this.#port, this.#host);
    }
  }

  /** All answers the datagram got, in order; empty for silence. Throws if the tracker is dead. */
  async exchange(datagram: Uint8Array): Promise<Uint8Array[]> {
    this.#received = [];
    const transaction = randomBytes(4);
    this.send(datagram);
    this.send(connectRequest(transaction));
    await this.#until((answer) => isConnectResponse(answer, transaction), ANSWER_MILLISECONDS_MAX);
    return this.#received.filter((answer) => !isConnectResponse(answer, transaction));
  }

  /** The next datagram after now; throws when none has come after `milliseconds`. */
  async receive(milliseconds = ANSWER_MILLISECONDS_MAX): Promise<Uint8Array> {
    const index = await this.#until(() => true, milliseconds);
    return this.#received.splice(index, 1)[0]!;
  }

  /** A connection id for this socket's address, 8 bytes. Throws when there is no answer. */
  async connect(milliseconds = ANSWER_MILLISECONDS_MAX): Promise<Uint8Array> {
    this.#received = [];
    const transaction = randomBytes(4);
    this.send(connectRequest(transaction));
    const index = await this.#until(
      (answer) => isConnectResponse(answer, transaction),
      milliseconds,
    );
    // Taken out, so that `receive` gives the answer to what is sent next.
    return this.#received.splice(index, 1)[0]!.slice(8, CONNECT_RESPONSE_SIZE);
  }

  /** Closes the socket at once: what is still on its way meets an ICMP "port unreachable". */
  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Waits for a received datagram that fits; its index in what was received. */
  async #until(fits: (answer: Uint8Array) => boolean, milliseconds: number): Promise<number> {
    const deadline = performance.now() + milliseconds;
    while (true) {
      const index = this.#received.findIndex(fits);
      if (index >= 0) return index;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no answer over UDP after ${milliseconds} ms`);
      const arrival = Promise.withResolvers<void>();
      this.#arrived = arrival.resolve;
      const timer = setTimeout(arrival.resolve, left);
      await arrival.promise;
      clearTimeout(timer);
    }
  }
}

/** A socket towards `host`; `source` defaults to the loopback address of the same family. */
export async function openDatagrams(
  host: string,
  port: number,
  source = host.includes(":") ? "::1" : "127.0.0.1",
): Promise<Datagrams> {
  const datagrams = new Datagrams(host, port);
  await datagrams.open(source);
  return datagrams;
}

/** The fields of an announce that tests vary; everything else is zero. */
export interface AnnounceFields {
  connectionId: Uint8Array;
  infoHash: Uint8Array;
  port: number;
  left?: number;
  event?: number;
  numWant?: number;
}

/** A connect request: magic, action 0, transaction id. */
export function connectRequest(transaction: Uint8Array): Uint8Array {
  return concat(CONNECT_MAGIC, new Uint8Array(4), transaction);
}

/** An announce request of 98 bytes with a random transaction id. */
export function announceRequest(fields: AnnounceFields): Uint8Array {
  const bytes = new Uint8Array(98);
  const view = new DataView(bytes.buffer);
  bytes.set(fields.connectionId, 0);
  view.setUint32(8, 1);
  bytes.set(randomBytes(4), 12);
  bytes.set(fields.infoHash, 16);
  bytes.set(new TextEncoder().encode("-EE0001-abcdefghijkl"), 36);
  view.setBigUint64(64, BigInt(fields.left ?? 1000));
  view.setUint32(80, fields.event ?? 0);
  view.setInt32(92, fields.numWant ?? -1);
  view.setUint16(96, fields.port);
  return bytes;
}

/** What an announce response says; peers as `a.b.c.d:port` or, for IPv6, hex of all 18 bytes. */
export interface AnnounceAnswer {
  interval: number;
  leechers: number;
  seeders: number;
  peers: string[];
}

/** True for an interval as drawn around `seconds`: each reply has its own, within 10 percent. */
export function isAround(interval: unknown, seconds: number): boolean {
  return Math.abs(Number(interval) - seconds) <= seconds / 10;
}

/** Reads an announce response; throws on anything else. `stride` is 6 or 18 bytes a peer. */
export function readAnnounceAnswer(bytes: Uint8Array, stride: 6 | 18): AnnounceAnswer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 20 || view.getUint32(0) !== 1 || (bytes.length - 20) % stride !== 0) {
    throw new Error(`not an announce response: ${bytes.toHex()}`);
  }
  const peers: string[] = [];
  for (let at = 20; at < bytes.length; at += stride) {
    const peer = bytes.subarray(at, at + stride);
    peers.push(stride === 6 ? readPeerIpv4(peer) : peer.toHex());
  }
  return {
    interval: view.getInt32(8),
    leechers: view.getInt32(12),
    seeders: view.getInt32(16),
    peers,
  };
}

/** `a.b.c.d:port` of 6 bytes of compact peer. */
export function readPeerIpv4(peer: Uint8Array): string {
  return `${peer.slice(0, 4).join(".")}:${peer[4]! * 256 + peer[5]!}`;
}

/** Fresh random bytes. */
export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** The parts one after another in a new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function isConnectResponse(answer: Uint8Array, transaction: Uint8Array): boolean {
  if (answer.length !== CONNECT_RESPONSE_SIZE) return false;
  return answer.subarray(0, 8).toHex() === `00000000${transaction.toHex()}`;
}
