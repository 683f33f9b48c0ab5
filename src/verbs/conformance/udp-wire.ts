/**
 * A client of one UDP tracker that sends any datagram and sees any answer. [BEP 15, 41]
 *
 *   announce   id 8 · action 1 4 · transaction 4 · info hash 20 · peer id 20 · downloaded 8 ·
 *              left 8 · uploaded 8 · event 4 · ip 4 · key 4 · num want 4 · port 2 · options
 *
 * Unlike the client of udp-client.ts it hides nothing: what is wrong with an answer is what a check
 * looks for. A request is sent twice, since datagrams get lost; where silence is right, once, and
 * then a good connect must be answered. A wire is closed by `close`, after `leave`.
 */
import { counted } from "../../net/counted.ts";
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";

import { explainNetwork } from "../network-problems.ts";
import { excerpt } from "../printable.ts";
import { ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_ERROR, ACTION_SCRAPE } from "../udp-client.ts";
import { ownSource } from "./own-source.ts";
import type { Asked, Counts, Exchange, Manners, OwnPeer } from "./statements.ts";
import { broken, hold, Pace, type SwarmClient, type Told } from "./statements.ts";

export const MAGIC = 0x41727101980n;
const EVENTS = { none: 0, completed: 1, started: 2, stopped: 3, paused: 4 } as const;
const ATTEMPTS = 2;
/**
 * The most datagrams to one request: timers do not fire while they come faster than they are read,
 * and a tracker sends at most two, as late answers.
 */
const DATAGRAMS_MAX = 1000;
const FLOODED = "it sends datagrams that are not replies";

/** An announce in all its fields. */
export interface Packet extends Asked {
  id?: bigint;
  /** The ip field, 4 bytes. */
  ip?: number;
  /** What follows the port. */
  options?: Buffer;
}

export interface UdpTold extends Told {
  raw: Buffer;
}

export class UdpWire implements SwarmClient {
  infoHash: Buffer;
  readonly family: 4 | 6;
  readonly exchanges: Exchange[] = [];
  readonly #manners: Manners;
  readonly #pace: Pace;
  readonly #to: { address: string; port: number };
  readonly #socket: Socket;
  readonly #ready: Promise<void>;
  readonly #left: [OwnPeer, Buffer][] = [];
  #received: Buffer[] = [];
  #wake = () => {};
  #failed: string | undefined;
  #closed = false;
  #id: bigint | undefined;

  constructor(to: { address: string; port: number }, manners: Manners, pace: Pace) {
    this.#to = to;
    this.#manners = manners;
    this.#pace = pace;
    this.family = to.address.includes(":") ? 6 : 4;
    this.infoHash = manners.infoHash();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ready = promise;
    this.#socket = createSocket(this.family === 6 ? "udp6" : "udp4");
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("message", (reply) => {
      this.#received.push(Buffer.from(reply));
      if (this.#received.length > DATAGRAMS_MAX) this.#flooded();
      this.#wake();
    });
    this.#socket.connect(to.port, to.address, (error?: Error | null) => {
      if (error) this.#fail(error);
      resolve();
    });
  }

  /** The same tracker from another port. It has no connection id. */
  elsewhere(): UdpWire {
    return new UdpWire(this.#to, this.#manners, this.#pace);
  }

  anotherHash(first?: Buffer): Buffer {
    return this.#manners.infoHash(first);
  }

  /** See own-source.ts. */
  source(): Promise<string | undefined> {
    return ownSource(this.#to.address);
  }

  /** How long to wait where silence is right, in milliseconds. */
  get silenceMilliseconds(): number {
    return this.#manners.silence;
  }

  close(): void {
    if (!this.#closed) this.#socket.close();
    this.#closed = true;
  }

  /** Stops every peer that was announced, and waits for each answer as long as for silence. */
  async leave(): Promise<void> {
    for (const [peer, infoHash] of this.#left.splice(0)) {
      const packet = await this.packet(peer, { infoHash, event: "stopped" });
      await this.exchange(packet, this.#manners.silence);
    }
  }

  /** Sends a datagram, and resolves to the answer; undefined if none comes. */
  async exchange(request: Buffer, patience = this.#manners.answer): Promise<Buffer | undefined> {
    const attempts = patience === this.#manners.answer ? ATTEMPTS : 1;
    await this.#ready;
    this.#received = [];
    if (this.#closed) broken(this.#failed ?? "it is closed");
    let reply: Buffer | undefined;
    for (let i = 0; i < attempts && reply === undefined && this.#failed === undefined; i++) {
      await this.#pace.turn();
      this.#socket.send(request, (error) => error && this.#fail(error));
      reply = await this.#answerTo(request, patience / attempts);
    }
    this.#note(hexOf(request), reply === undefined ? `nothing in ${patience} ms` : hexOf(reply));
    if (reply === undefined && this.#failed !== undefined) broken(this.#failed);
    return reply;
  }

  /** Sends a datagram that must not have an answer, except one that `allowed` accepts. */
  async silence(request: Buffer, allowed: (reply: Buffer) => boolean = () => false): Promise<void> {
    const reply = await this.exchange(request, this.#manners.silence);
    if (reply !== undefined) {
      hold(allowed(reply), `an answer of ${counted(reply.length, "byte")} came`);
      return;
    }
    const seen = this.exchanges.at(-1);
    await this.connect();
    if (seen !== undefined) this.exchanges.push(seen);
  }

  /** A new connection id. */
  async connect(): Promise<bigint> {
    const reply = await this.exchange(connectPacket());
    hold(reply !== undefined, "a connect is not answered");
    hold(reply.length >= 16 && reply.readUInt32BE(0) === ACTION_CONNECT, "that is no connect");
    this.#id = reply.readBigUInt64BE(8);
    return this.#id;
  }

  async id(): Promise<bigint> {
    return this.#id ?? (await this.connect());
  }

  /** The datagram of an announce. */
  async packet(peer: OwnPeer, asked: Packet = {}): Promise<Buffer> {
    const { left = 1000n, event = "started", numwant = -1, ip = 0 } = asked;
    const { infoHash = this.infoHash, options = Buffer.alloc(0) } = asked;
    const packet = request(asked.id ?? (await this.id()), ACTION_ANNOUNCE, 98);
    packet.set(infoHash, 16);
    packet.set(peer.peerId, 36);
    packet.writeBigUInt64BE(left, 64);
    packet.writeUInt32BE(EVENTS[event], 80);
    packet.writeUInt32BE(ip, 84);
    randomBytes(4).copy(packet, 88);
    packet.writeInt32BE(numwant, 92);
    packet.writeUInt16BE(peer.port, 96);
    if (event !== "stopped" && asked.id === undefined) this.#left.push([peer, infoHash]);
    return Buffer.concat([packet, options]);
  }

  async announce(peer: OwnPeer, asked: Packet = {}): Promise<UdpTold> {
    const packet = await this.packet(peer, asked);
    const reply = await this.exchange(packet);
    hold(reply !== undefined, "the announce is not answered");
    return this.readAnnounced(reply);
  }

  /** An answer to an announce. */
  readAnnounced(reply: Buffer): UdpTold {
    judge(reply, ACTION_ANNOUNCE, 20);
    const size = this.family === 4 ? 6 : 18;
    const list = reply.subarray(20);
    hold(
      list.length % size === 0,
      `the peers have ${counted(list.length, "byte")}, not ${size} each`,
    );
    const peers = Array.from({ length: list.length / size }, (_, i) => {
      const entry = list.subarray(i * size, (i + 1) * size);
      return { address: entry.toString("hex", 0, size - 2), port: entry.readUInt16BE(size - 2) };
    });
    const [interval, leechers, seeders] = [8, 12, 16].map((at) => reply.readInt32BE(at));
    return { interval, leechers, seeders, peers, raw: reply };
  }

  async scrape(infoHash: Buffer): Promise<Counts> {
    return (await this.scrapeAll([infoHash]))[0];
  }

  /** The counts of each, in their order. */
  async scrapeAll(hashes: readonly Buffer[], more = Buffer.alloc(0)): Promise<Counts[]> {
    const reply = await this.exchange(Buffer.concat([await this.scrapePacket(hashes), more]));
    hold(reply !== undefined, "the scrape is not answered");
    judge(reply, ACTION_SCRAPE, 8);
    const size = 8 + 12 * hashes.length;
    hold(reply.length === size, `the answer has ${counted(reply.length, "byte")}, not ${size}`);
    return hashes.map((_, i) => {
      const [seeders, completed, leechers] = [0, 4, 8].map((at) =>
        reply.readInt32BE(8 + 12 * i + at),
      );
      return { seeders, completed, leechers };
    });
  }

  async scrapePacket(hashes: readonly Buffer[]): Promise<Buffer> {
    return Buffer.concat([request(await this.id(), ACTION_SCRAPE, 16), ...hashes]);
  }

  #note(sent: string, came: string): void {
    this.exchanges.push({ sent, came });
  }

  /** No further datagrams are read. */
  #flooded(): void {
    this.#failed = FLOODED;
    this.close();
  }

  #fail(error: unknown): void {
    this.#failed = explainNetwork(error);
    this.#wake();
  }

  /** The datagram with the right transaction; if none comes, any other that came. */
  async #answerTo(request: Buffer, patience: number): Promise<Buffer | undefined> {
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const transaction = request.subarray(12, 16);
    const timer = setTimeout(() => resolve(this.#received[0]), patience);
    this.#wake = () => {
      const found = this.#received.find(
        (reply) => transaction.length === 4 && reply.subarray(4, 8).equals(transaction),
      );
      if (found !== undefined) resolve(found);
      else if (this.#failed !== undefined) resolve(undefined);
    };
    this.#wake();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#wake = () => {};
    });
  }
}

/** A request without a body, which has 16 bytes at least. */
export function request(id: bigint, action: number, size: number): Buffer {
  const packet = Buffer.alloc(size);
  packet.writeBigUInt64BE(id, 0);
  packet.writeUInt32BE(action, 8);
  randomBytes(4).copy(packet, 12);
  return packet;
}

export function connectPacket(magic = MAGIC): Buffer {
  return request(magic, ACTION_CONNECT, 16);
}

/** Breaks the check unless the answer has this action and size. */
function judge(reply: Buffer, action: number, sizeMin: number): void {
  if (reply.length >= 8 && reply.readUInt32BE(0) === ACTION_ERROR) {
    broken(`it is refused: ${excerpt(reply.subarray(8).toString("utf8"))}`);
  }
  hold(reply.length >= sizeMin, `the answer has only ${counted(reply.length, "byte")}`);
  hold(reply.readUInt32BE(0) === action, `the answer has action ${reply.readUInt32BE(0)}`);
}

function hexOf(bytes: Buffer): string {
  return `${counted(bytes.length, "byte")}: ${bytes.toString("hex")}`;
}
