/**
 * The options of the HTTP server (see server.ts). It holds no code.
 */
import type { AdmissionOptions } from "./admission.ts";
import type { AddressOf } from "../net/addresses.ts";
import type { ConnectionCounts } from "./connections.ts";

export interface HttpServerOptions extends AdmissionOptions {
  /** Reports a bug, such as a handler that throws. */
  report?: (error: unknown) => void;
  /** Answers beneath TLS after a failed handshake; false if it does not. See certificate.ts. */
  answerPlain?: (fd: number | undefined, error: Error | null) => boolean;
  /**
   * Asked first for the address of a client: its text, which the socket has, then takes 170 bytes
   * for as long as the connection is open.
   */
  addressOf?: AddressOf | undefined;
  /** Length of a tick; shorter in tests. */
  tickMilliseconds?: number;
  /** Limit of the bytes that all connections hold; HELD_BYTES_MAX if absent. */
  heldBytesMax?: number;
  /** Counters in memory that another thread reads; its own if absent. */
  counts?: ConnectionCounts;
  /**
   * True if each connection is for one request or upgrade, which a worker has passed on (see
   * passing.ts). They are answered while the server stops, too: the worker has begun them.
   */
  passedOn?: boolean;
}
