/**
 * The contract between the HTTP server, which owns connections, and a protocol that takes one over
 * by an upgrade. [RFC 9110 7.8] Both transports use it, and neither imports the other. It holds no
 * code.
 *
 *   request with an Upgrade ─► Takeover { response, begin } ─► Tunnel ◄─ bytes, ticks, the end
 *                                                                 └──► Line: bytes out, the end
 */
import type { Family } from "../constants.ts";
import type { RequestHead } from "./head.ts";

/** A request that asks for an upgrade; as it is until the call that gets it returns. */
export interface UpgradeRequest {
  readonly head: RequestHead;
  /** The address the connection came from: 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly family: Family | 0;
}

/** The connection as the protocol sees it. */
export interface Line {
  /** True while the client has not taken all that was sent. */
  readonly isFull: boolean;
  /** The time in ticks of a second. */
  readonly tick: number;
  /** What connections of the same address share. */
  readonly place: Place;
  /** Sends bytes; what the client does not take yet is kept. */
  send(bytes: Uint8Array, from: number, to: number): void;
  /** Bytes that the protocol keeps for the connection, more or fewer than before. */
  hold(bytes: number): void;
  /** Reads what waits, after a time in which the protocol was full. */
  goOn(): void;
  /** It never gives way to another from now on; only for a `Takeover` that yields. */
  last(): void;
  /** Calls `expire` after tick `tick`. */
  wakeAfter(tick: number): void;
  /** Closes after what was sent; no bytes are received any more. */
  end(): void;
  /** Closes at once. */
  cut(): void;
}

/** An IPv4 address or an IPv6 /64. */
export interface Place {
  /** Open connections. */
  readonly open: number;
  /** Those of its site, which is the IPv6 /48; 0 if it is not known or shared by many. */
  readonly siteOpen: number;
  /** Peers that its connections have stored. */
  readonly peers: number;
  /** Those of its site, like `siteOpen`. */
  readonly sitePeers: number;
  /** Adds `count` to the peers that its connections have stored. */
  addPeers(count: number): void;
}

/** The protocol on one connection; called by the server. */
export interface Tunnel {
  /** True if a turn was over before all complete messages were read: the next one soon. */
  readonly goesOn: boolean;
  /** True while it takes no bytes; it calls `goOn` of its line when it does again. */
  readonly isFull?: boolean;
  /** Reads what is complete; returns the number of bytes read, which are not given again. */
  read(bytes: Buffer): number;
  /** The client has taken some of what it had not taken before. */
  progressed(): void;
  /** The tick of `wakeAfter` is over. */
  expire(): void;
  /** All connections together hold too many bytes: it is cut next. */
  starved?(): void;
  /** The client has shut its side; without this method the connection ends then. */
  inputEnded?(): void;
  /** The server stops. */
  stop(): void;
  /** The connection is closed. */
  closed(): void;
}

/** The answer to an upgrade, and what follows. */
export interface Takeover {
  /** The whole response; empty if the protocol sends it. */
  readonly response: Buffer;
  /** The address of the client, which a proxy may have named. */
  readonly address: Uint8Array;
  readonly family: Family;
  /** True if the connection gives way to others like any other, until it calls `last`. */
  readonly yields?: boolean;
  /**
   * Gives a connection without TLS away, with the bytes that followed the request; false if it did
   * not. The descriptor is that of this thread, which closes it then.
   */
  handOver?(fd: number, rest: Uint8Array): boolean;
  /** Begins; undefined if the place has too many connections, and then `refusal` is sent. */
  begin(line: Line): Tunnel | undefined;
  readonly refusal: Buffer;
}
