/** Fixtures of WebSocket: frames as clients send them, a line without a socket, an engine. */
import { Access } from "../../src/access/access.ts";
import { counterMemory, Counters } from "../../src/counters/counters.ts";
import { Limits } from "../../src/limits/limits.ts";
import { readAddress } from "../../src/net/addresses.ts";
import type { Line, Place, Tunnel } from "../../src/net/tunnel.ts";
import { Offers } from "../../src/ws/offers.ts";
import { Signaling } from "../../src/ws/signaling.ts";
import { type WsAnnounceParts, WsAnnounces } from "../../src/ws/ws-announce.ts";
import { Swarms } from "../../src/ws/ws-swarms.ts";
import { openTracker } from "../http/fixture.ts";

export const HASH = "\x7e\x99\x03Q}\xd7\x92\x13\x0e*z\x1a\xe9\xa6,\xf2\xde\xe3\xcb\x80";
export const KEY = [0x12, 0xf4, 0x56, 0x9a];

/** A frame of a client. */
export function frame(
  payload: string | Uint8Array,
  { opcode = 1, fin = true, rsv = 0, masked = true, key = KEY } = {},
): Buffer {
  const bytes = Buffer.from(payload as string);
  const { length } = bytes;
  const head = [(fin ? 0x80 : 0) | rsv | opcode];
  const mask = masked ? 0x80 : 0;
  if (length < 126) head.push(mask | length);
  else if (length < 0x10000) head.push(mask | 126, length >> 8, length & 0xff);
  else head.push(mask | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((bits) => (length >>> bits) & 0xff));
  if (masked) head.push(...key);
  return Buffer.concat([
    Buffer.from(head),
    bytes.map((byte, i) => byte ^ (masked ? key[i % 4]! : 0)),
  ]);
}

/** A frame of the server. */
export interface Received {
  opcode: number;
  payload: Buffer;
}

/** The frames of the server in these bytes, which must be whole. */
export function framesOf(bytes: Buffer): Received[] {
  const frames: Received[] = [];
  for (let at = 0; at < bytes.length;) {
    let size = bytes[at + 1]!;
    let from = at + 2;
    if (size === 126) [size, from] = [bytes.readUInt16BE(at + 2), at + 4];
    else if (size === 127) [size, from] = [Number(bytes.readBigUInt64BE(at + 2)), at + 10];
    if (from + size > bytes.length) throw new Error("a frame is cut");
    frames.push({ opcode: bytes[at]! & 0x0f, payload: bytes.subarray(from, from + size) });
    at = from + size;
  }
  return frames;
}

class FakePlace implements Place {
  open = 1;
  siteOpen = 1;
  peers = 0;
  sitePeers = 0;

  addPeers(count: number): void {
    this.peers += count;
    this.sitePeers += count;
  }
}

/** A connection without a socket, and what it was sent. */
export class FakeLine implements Line {
  isFull = false;
  place = new FakePlace();
  held = 0;
  wakesAfter = Infinity;
  ended = false;
  wasCut = false;
  writes: Buffer[] = [];
  readonly #clock: { tick: number };

  constructor(clock: { tick: number }) {
    this.#clock = clock;
  }

  get tick(): number {
    return this.#clock.tick;
  }

  send(bytes: Uint8Array, from: number, to: number): void {
    if (this.ended) throw new Error("sent after the end");
    this.writes.push(Buffer.from(bytes.subarray(from, to)));
  }

  hold(bytes: number): void {
    this.held += bytes;
  }

  goOn(): void {}

  last(): void {}

  wakeAfter(tick: number): void {
    this.wakesAfter = tick;
  }

  end(): void {
    this.ended = true;
  }

  cut(): void {
    this.wasCut = true;
  }
}

export type Json = Record<string, any>;

/** A client on a fake line. */
export class FakeClient {
  readonly line: FakeLine;
  readonly tunnel: Tunnel;
  readonly peerId: string;
  #rest: Buffer = Buffer.alloc(0);

  constructor(line: FakeLine, tunnel: Tunnel, peerId: string) {
    this.line = line;
    this.tunnel = tunnel;
    this.peerId = peerId;
    tunnel.expire();
  }

  /** Sends bytes, in as many turns as they need. */
  bytes(...pieces: Uint8Array[]): this {
    for (const piece of pieces) {
      this.#rest = Buffer.concat([this.#rest, piece]);
      do this.#rest = this.#rest.subarray(this.tunnel.read(this.#rest));
      while (this.tunnel.goesOn && !this.line.isFull);
    }
    return this;
  }

  /** Sends a message, and returns the messages that have come since the last call. */
  say(message: unknown): Json[] {
    this.bytes(frame(typeof message === "string" ? message : JSON.stringify(message)));
    return this.heard();
  }

  announce(members: Json = {}): Json[] {
    const usual = { action: "announce", info_hash: HASH, peer_id: this.peerId, left: 1 };
    return this.say({ ...usual, ...members });
  }

  /** Frames that have come since the last call. */
  frames(): Received[] {
    const { writes } = this.line;
    this.line.writes = [];
    return framesOf(Buffer.concat(writes));
  }

  /** The messages among them. */
  heard(): Json[] {
    const texts = this.frames().filter(({ opcode }) => opcode === 1);
    return texts.map(({ payload }) => JSON.parse(payload.toString()) as Json);
  }

  /** The code of the close among them; undefined without one. */
  closeCode(): number | undefined {
    const close = this.frames().find(({ opcode }) => opcode === 8);
    if (close === undefined) return undefined;
    return close.payload.length === 0 ? 0 : close.payload.readUInt16BE(0);
  }

  leave(): void {
    this.tunnel.closed();
  }

  /** Lets the clock reach a tick. */
  expireAt(tick: number, clock: { tick: number }): void {
    clock.tick = tick;
    if (this.line.wakesAfter < tick) this.tunnel.expire();
  }
}

export interface EngineChanges {
  limits?: Limits;
  access?: Access;
  refusePrivate?: boolean;
  offersMax?: number;
  peersMax?: number;
  countsAll?: boolean;
  warningMessage?: string;
  intervals?: WsAnnounceParts["intervals"];
  /** How a new turn of the event loop comes; by default each reading has its own. */
  soon?: (call: () => void) => void;
  /** Milliseconds, which stand by default. */
  time?: { milliseconds: number };
}

/** An engine with the real core, whose clock stands, and whose intervals do not jitter. */
export function openEngine(changes: EngineChanges = {}) {
  const { limits = new Limits(), access = new Access(), refusePrivate = false } = changes;
  const { offersMax = 10, peersMax = 1000, countsAll = true, warningMessage = "" } = changes;
  const { soon = (call: () => void) => call(), intervals = { draw: () => 120 } } = changes;
  const { time = { milliseconds: 0 } } = changes;
  const clock = { now: 1000, tick: 100 };
  const counters = new Counters(counterMemory(1), 0);
  const swarms = new Swarms();
  const offers = new Offers(offersMax);
  const core = openTracker();
  const parts: WsAnnounceParts = {
    ...{ swarms, offers, core, counters, peersMax, countsAll, warningMessage, intervals },
    gates: { access, limits, refusePrivate },
  };
  const announces = new WsAnnounces(parts);
  const bugs: unknown[] = [];
  const engine = new Signaling({
    ...{ announces, offers, swarms, counters },
    now: () => clock.now,
    settings: { pingSeconds: 50, offersMax, scrapeMax: 74 },
    report: (error) => bugs.push(error),
    soon,
    clock: () => time.milliseconds,
  });
  let clients = 0;
  const join = (from = "192.0.2.1", peerId?: string, line = new FakeLine(clock)) => {
    const address = new Uint8Array(16);
    const family = readAddress(from, address, 0) as 4 | 6;
    clients += 1;
    const id = peerId ?? `-WW0208-${String(clients).padStart(12, "0")}`;
    return new FakeClient(line, engine.open(line, { address, family, origin: "none" }), id);
  };
  return { engine, announces, swarms, counters, core, clock, bugs, join };
}

/** Offers with ids and texts of their number. */
export function offersOf(count: number, name = "o"): Json[] {
  return Array.from({ length: count }, (_, i) => ({
    offer: { type: "offer", sdp: `sdp of ${name}${i}` },
    offer_id: `${name}${i}`.padEnd(20, "."),
  }));
}
