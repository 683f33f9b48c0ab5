/** Packets as clients send them, and a journey that answers them. */
import { Access } from "../../src/access/access.ts";
import { Limits } from "../../src/limits/limits.ts";
import {
  Counters,
  type CounterName,
  COUNTERS,
  counterMemory,
} from "../../src/counters/counters.ts";
import { readAddress } from "../../src/net/addresses.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { makeMemory, MIB } from "../swarm/fixture.ts";
import type { UdpShared } from "../../src/udp/answering.ts";
import { ConnectionIds } from "../../src/udp/connection-ids.ts";
import { ADDRESS_SLOT, Datagrams, REPLY_SLOT, REQUEST_SLOT } from "../../src/udp/datagrams.ts";
import { Journey, type UdpSettings } from "../../src/udp/journey.ts";
import { someMemory } from "../swarm/some-memory.ts";

export const KEY = new Uint8Array(32).map((_, i) => i * 7 + 1);
export const TTL = 600;
/** Now on the clock of connection ids. */
export const ID_SECONDS = 1_800_000_000;
export const TRANSACTION = "c0ffee01";
export const INFO_HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const PEER_ID = "2d4c54323042302d313233343536373839303132";

export const SETTINGS: UdpSettings = {
  numwantDefault: 50,
  numwantMax: 200,
  scrapeMax: 74,
  replyBytes: 1232,
  allowIpField: false,
  refusePrivate: false,
};

/** What `threads` threads share, with default settings. */
export const sharedBy = (threads: number): UdpShared => ({
  memory: makeMemory(16 * MIB, threads > 1),
  counters: counterMemory(threads),
  key: KEY,
  connectionTtlSeconds: TTL,
  startedSeconds: ID_SECONDS,
  intervals: { interval: 1800, jitterPercent: 0, minimum: 900 },
  settings: SETTINGS,
});

export const bytesOf = (hex: string): Uint8Array => Uint8Array.fromHex(hex.replace(/\s/g, ""));
const hex = (value: number, bytes: number): string =>
  (value < 0 ? value + 2 ** (8 * bytes) : value).toString(16).padStart(2 * bytes, "0");

export const connect = (transaction = TRANSACTION): Uint8Array =>
  bytesOf(`00000417 27101980 00000000 ${transaction}`);

export interface AnnounceFields {
  infoHash: string;
  left: string;
  event: number;
  ip: string;
  numWant: number;
  port: number;
  options: string;
}

export function announceOf(id: string, fields: Partial<AnnounceFields> = {}): Uint8Array {
  const { infoHash, left, event, ip, numWant, port, options } = {
    infoHash: INFO_HASH,
    left: "0000000000000001",
    event: 0,
    ip: "00000000",
    numWant: -1,
    port: 6881,
    options: "",
    ...fields,
  };
  return bytesOf(
    `${id} 00000001 ${TRANSACTION} ${infoHash} ${PEER_ID} 0000000000000000 ${left}
     0000000000000000 ${hex(event, 4)} ${ip} 12345678 ${hex(numWant, 4)} ${hex(port, 2)}
     ${options}`,
  );
}

export const scrapeOf = (id: string, hashes: string): Uint8Array =>
  bytesOf(`${id} 00000002 ${TRANSACTION} ${hashes}`);

/** The parts with which one thread answers, accessible to tests. */
export class Desk {
  readonly datagrams = new Datagrams();
  readonly counters = new Counters(counterMemory(1), 0);
  readonly ids = new ConnectionIds(KEY, TTL);
  readonly tracker: Tracker;
  readonly journey: Journey;

  constructor(settings: Partial<UdpSettings> = {}, limits = new Limits(), access = new Access()) {
    const memory = someMemory({ claims: settings.allowIpField === true });
    this.tracker = new Tracker(new Store(memory), this.datagrams.replyMemory);
    this.journey = new Journey({
      datagrams: this.datagrams,
      tracker: this.tracker,
      ids: this.ids,
      intervals: new Intervals({ interval: 1800, jitterPercent: 0, minimum: 900 }),
      counters: this.counters,
      settings: { ...SETTINGS, ...settings },
      access,
      limits,
    });
  }

  /** The reply to a datagram from an address, in hex; "" without a reply. */
  ask(datagram: Uint8Array, from = "192.0.2.1", slot = 3, nowSeconds = 0): string {
    const { requests, requestLengths, addresses, families, replies, replyLengths } = this.datagrams;
    const length = Math.min(datagram.length, REQUEST_SLOT);
    requests.set(datagram.subarray(0, length), slot * REQUEST_SLOT);
    requestLengths[slot] = length;
    families[slot] = readAddress(from, addresses, slot * ADDRESS_SLOT);
    this.journey.answer(slot, nowSeconds, ID_SECONDS);
    const at = slot * REPLY_SLOT;
    return replies.subarray(at, at + replyLengths[slot]).toHex();
  }

  /** A valid connection id of an address, in hex. */
  id(from = "192.0.2.1"): string {
    return this.ask(connect(), from).slice(16);
  }

  /** Counters that are not zero, except those of bytes. */
  counted(): Partial<Record<CounterName, number>> {
    const bytes = ["udpReceivedBytes", "udpSentBytes"];
    const moved = COUNTERS.filter((name) => this.counters.total(name) > 0 && !bytes.includes(name));
    return Object.fromEntries(moved.map((name) => [name, this.counters.total(name)]));
  }

  /** Sets all counters to 0. */
  zero(): void {
    this.counters.row.fill(0);
  }
}
