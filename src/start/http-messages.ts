/**
 * Messages between the event loop and an HTTP worker. A worker has an event loop of its own, so it
 * reads them as they come, and answers each with one word, in order.
 */
import type { AccessShared } from "../access/access.ts";
import type { WebListener } from "../config/settings.ts";
import type { Certificate } from "../http/certificate.ts";
import type { Handed } from "../http/handing-over.ts";
import type { PassingPlace } from "../http/passing.ts";
import type { RulesShared } from "../limits/request-rules.ts";
import type { UdpShared } from "../udp/answering.ts";
import type { HttpConfig } from "./answer-http.ts";

/** The column in `counts` behind those of ConnectionCounts: it grows while the worker lives. */
export const TURNS_COLUMN = 6;

/** The first message. */
export interface HttpTask {
  shared: UdpShared;
  /** Row of the worker's counters, from 1. */
  thread: number;
  config: HttpConfig & { fullScrapeNetworks: readonly string[]; websocket: string };
  /** The addresses, each with sockets for this worker. */
  places: { listener: WebListener; sockets: number[] }[];
  certificate: Certificate | undefined;
  passing: PassingPlace;
  /** Limits of this worker; that of connections is of all workers together. */
  limits: { connections: number; perAddress: number; heldBytes: number };
  /** Open connections of all workers. */
  open: Int32Array;
  /** The worker's counters of connections, and the number of its turns in TURNS_COLUMN. */
  counts: Float64Array;
  /** The clock of the event loop, in seconds. */
  nowSeconds: number;
}

/**
 * Later messages: "listen": answer from now on; what changed; or "stop": accept no more, and answer
 * what has begun.
 */
export type HttpMessage =
  | "listen"
  | { access?: AccessShared | undefined; rules?: RulesShared | undefined }
  | { certificate: Certificate }
  | "stop";

/** What a worker notes for the log, a few times a second at most. */
export interface Noted {
  /** True if a connection came at the limit of connections. */
  full: boolean;
  /** Announces whose client the trusted proxy did not name, by the headers that name a client. */
  unclear: Map<string, number>;
}

/** An answer; or a reason why a message has no effect, a note, a connection, or a bug. */
export type HttpAnswer =
  | "ready"
  | "listening"
  | "updated"
  | "stopped"
  | { refused: string }
  | { noted: Noted }
  | { handed: Handed }
  | { bug: string };
