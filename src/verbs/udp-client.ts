/**
 * A client of UDP trackers, for tests: connect, announce, scrape. [BEP 15]
 *
 *   connect    id 0x41727101980 8 · action 0 4 · transaction 4                  → id at 8
 *   announce   id 8 · action 1 4 · transaction 4 · info hash 20 · peer id 20 · downloaded 8 ·
 *              left 8 · uploaded 8 · event 4 · ip 4 · key 4 · num want 4 · port 2
 *   scrape     id 8 · action 2 4 · transaction 4 · info hashes 20 each
 *
 * A request without an answer is sent again: datagrams may be lost. A datagram with another
 * transaction number or from another address is ignored. The socket is connected, so a closed port
 * is reported as an error. All errors reject, with a sentence.
 *
 * Timers do not fire while datagrams come faster than they are read, so the number of ignored
 * datagrams is limited as well as the time.
 */
import { counted } from "../net/counted.ts";
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";

import { explainNetwork } from "./network-problems.ts";
import { excerpt } from "./printable.ts";
import type { Announced, Announcement, Scraped } from "./tracker-answers.ts";
import { readUdpAnnounced } from "./tracker-answers.ts";

const MAGIC = 0x41727101980n;
export const ACTION_CONNECT = 0;
export const ACTION_ANNOUNCE = 1;
export const ACTION_SCRAPE = 2;
export const ACTION_ERROR = 3;

const EVENTS = { none: 0, completed: 1, started: 2, stopped: 3 } as const;

/** How often a request is sent without an answer. */
const ATTEMPTS = 2;

/** The most ignored datagrams: a tracker sends at most two, as late answers. */
const STRAY_DATAGRAMS_MAX = 1000;
const FLOODED = "it sends datagrams that are not replies";

/** The tracker answered, but with an error. */
export class RefusedError extends Error {}

export class UdpClient {
  /** What some clients stumble over in the answers so far, as sentences. */
  readonly flaws: string[] = [];
  readonly #socket: Socket;
  readonly #family: 4 | 6;
  readonly #timeout: number;
  #id = 0n;
  #waiting: { transaction: Buffer; take: (reply: Buffer) => void } | undefined;
  #failed: (error: Error) => void = () => {};
  readonly #connected: Promise<void>;
  #strays = 0;
  #closed = false;

  /** A client of one tracker; `timeout` is in milliseconds. Call `close` at the end. */
  constructor(address: string, port: number, timeout: number) {
    this.#family = address.includes(":") ? 6 : 4;
    this.#timeout = timeout;
    this.#socket = createSocket(this.#family === 6 ? "udp6" : "udp4");
    this.#socket.on("error", (error) => this.#failed(error));
    this.#socket.on("message", (reply) => this.#take(reply));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#connected = promise;
    this.#failed = reject;
    // Requests get the error; without a request it is ignored.
    promise.catch(() => {});
    this.#socket.connect(port, address, (error?: Error | null) => {
      if (error) reject(error);
      else resolve();
    });
  }

  /** May be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  /** Gets a connection id, which the other requests need. */
  async connect(): Promise<void> {
    const request = Buffer.alloc(16);
    request.writeBigUInt64BE(MAGIC, 0);
    const reply = await this.#ask(request, ACTION_CONNECT, 16);
    this.#id = reply.readBigUInt64BE(8);
    this.#expectSize("connect", reply, 16, "aria2 and Transmission drop it");
    if (this.#id === 0n) {
      this.flaws.push("connect: the connection id is zero, which rtorrent takes for none");
    }
  }

  async announce({ infoHash, peerId, port, left, event }: Announcement): Promise<Announced> {
    const request = this.#request(ACTION_ANNOUNCE, 98);
    request.set(infoHash, 16);
    request.set(peerId, 36);
    request.writeBigUInt64BE(BigInt(left), 64);
    request.writeUInt32BE(EVENTS[event], 80);
    randomBytes(4).copy(request, 88);
    request.writeInt32BE(-1, 92);
    request.writeUInt16BE(port, 96);
    const reply = await this.#ask(request, ACTION_ANNOUNCE, 20);
    return readUdpAnnounced(reply, this.#family);
  }

  async scrape(infoHash: Uint8Array): Promise<Scraped> {
    const request = this.#request(ACTION_SCRAPE, 36);
    request.set(infoHash, 16);
    const reply = await this.#ask(request, ACTION_SCRAPE, 20);
    this.#expectSize("scrape", reply, 20, "clients take the rest for other swarms");
    return { seeders: reply.readInt32BE(8), leechers: reply.readInt32BE(16) };
  }

  #expectSize(step: string, { length }: Buffer, size: number, why: string): void {
    if (length === size) return;
    this.flaws.push(`${step}: the reply has ${counted(length, "byte")}, not ${size}: ${why}`);
  }

  #take(reply: Buffer): void {
    if (this.#closed) return;
    const waiting = this.#waiting;
    if (reply.length >= 8 && waiting?.transaction.equals(reply.subarray(4, 8))) {
      // Later datagrams with this number are ignored.
      this.#waiting = undefined;
      waiting.take(reply);
      return;
    }
    this.#strays += 1;
    if (this.#strays <= STRAY_DATAGRAMS_MAX) return;
    // No further datagrams are read.
    this.close();
    this.#failed(new Error(FLOODED));
  }

  #request(action: number, size: number): Buffer {
    const request = Buffer.alloc(size);
    request.writeBigUInt64BE(this.#id, 0);
    request.writeUInt32BE(action, 8);
    return request;
  }

  async #ask(request: Buffer, action: number, sizeMin: number): Promise<Buffer> {
    const transaction = randomBytes(4);
    transaction.copy(request, 12);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const reply = await this.#exchange(request, transaction).catch((error: unknown) => {
        throw new Error(explainNetwork(error));
      });
      if (reply === undefined) continue;
      judgeReply(reply, action, sizeMin);
      return reply;
    }
    const seconds = (this.#timeout * ATTEMPTS) / 1000;
    throw new Error(`no answer in ${seconds} s: a firewall may drop it, or nothing listens there`);
  }

  async #exchange(request: Buffer, transaction: Buffer): Promise<Buffer | undefined> {
    await this.#connected;
    if (this.#closed) throw new Error(FLOODED);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>();
    const timer = setTimeout(() => resolve(undefined), this.#timeout);
    this.#waiting = { transaction, take: resolve };
    this.#failed = reject;
    this.#socket.send(request, (error) => {
      if (error) reject(error);
    });
    return promise.finally(() => clearTimeout(timer));
  }
}

/** Throws unless a reply of 8 bytes or more has this action and at least `sizeMin` bytes. */
export function judgeReply(reply: Buffer, action: number, sizeMin: number): void {
  const told = reply.readUInt32BE(0);
  if (told === ACTION_ERROR) {
    throw new RefusedError(`refused: ${excerpt(reply.subarray(8).toString("utf8"))}`);
  }
  if (told !== action) throw new Error(`the reply has action ${told}, not ${action}`);
  if (reply.length < sizeMin) throw new Error(tooShort(reply.length, action));
}

/** opentracker with a whitelist answers 8 bytes if the info hash is not on it. */
function tooShort(size: number, action: number): string {
  const bare = size === 8 && action !== ACTION_CONNECT;
  const why = bare ? ": is the info hash not on its list?" : "";
  return `the reply has only ${counted(size, "byte")}${why}`;
}
