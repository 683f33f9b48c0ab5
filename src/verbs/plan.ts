/**
 * `buntracker plan`: what a tracker of a given size needs.
 *
 *   peers ÷ interval ─► announces a second ─┬─► requests, packets, bits     sizes of the protocols
 *                                           ├─► processor time, workers     ┐ measured
 *   peers × bytes of a peer ────────────────┴─► memory                      ┘ (bench-figures.ts)
 *
 * Everything is a mean: at the start of a wave of clients, or when another tracker fails, more come
 * at once. So what is to be set has room above the mean.
 */
import { MEMORY_BYTES_CEILING, MEMORY_BYTES_MIN } from "../config/schema.ts";
import { FAMILIES, type Family, PEER_SIZE_IPV4, PEER_SIZE_IPV6 } from "../constants.ts";
import { ANNOUNCE_REPLY_SIZE_MIN, CONNECT_REPLY_SIZE, REPLY_BYTES_MAX } from "../udp/packet.ts";
import { ANNOUNCE_REQUEST_SIZE_MIN, REQUEST_SIZE_MIN } from "../udp/packet.ts";
import { bytesAt, type Figures } from "./bench-figures.ts";

/** How clients come: over UDP, over HTTP with a connection each, or by a proxy that keeps some. */
export const TRANSPORTS = ["udp", "http", "proxied"] as const;
export type PlannedTransport = (typeof TRANSPORTS)[number];

/** What a plan is asked for. */
export interface Question {
  peers: number;
  announcesPerSecond: number;
  intervalSeconds: number;
  swarms: number;
  /** Shares that add up to 1. */
  transports: Record<PlannedTransport, number>;
  families: Record<Family, number>;
  nodes: number;
  /** Peers in a reply. */
  numwant: number;
}

/** What one tracker, or all of them together, must carry. */
export interface Load {
  peers: number;
  announces_per_second: number;
  udp_requests_per_second: number;
  http_requests_per_second: number;
  packets_per_second: { in: number; out: number };
  bits_per_second: { in: number; out: number };
  processor_cores: { udp: number; http: number };
  /** Of the event loop, which answers all of HTTP, and of all UDP workers: 1 is all of it. */
  used: { http: number; udp: number };
  udp_workers: number;
  memory_bytes: { swarms: number; memory_max: number; process: number };
  open_files: number;
  udp_receive_buffer_bytes: number;
  dns_queries_per_second: number;
}

/** The plan: for all, and where there are several trackers for one, and for one if one is away. */
export interface Plan {
  all: Load;
  node?: Load;
  node_while_one_is_away?: Load;
}

const MIB = 2 ** 20;

/** A client asks for a connection id and then announces. [BEP 15] */
const UDP_REQUESTS = 2;
/** Most clients name the path in the announce, in eleven bytes. [BEP 41] */
const URL_DATA_BYTES = 11;
/** Headers of IP and of UDP; of TCP with time stamps. */
const UDP_HEADERS: Record<Family, number> = { 4: 28, 6: 48 };
const TCP_HEADERS: Record<Family, number> = { 4: 52, 6: 72 };

/** An announce of libtorrent in test/corpus, and our reply to it without peers. */
const HTTP_REQUEST_BYTES = 350;
const HTTP_REPLY_BYTES = 181;
/**
 * Packets each way: SYN, ACK, request, ACK, FIN, and their counterparts; over a connection that
 * stays open a request and an ACK come and a reply goes. The authors of opentracker counted
 * 90,000 packets for 8,500 requests, 10.6 each.
 */
const HTTP_PACKETS = { in: 5, out: 5 };
const KEPT_PACKETS = { in: 2, out: 1 };

/** Share of a thread that is used at most: the rest is for waves, when latencies would grow. */
export const THREAD_SHARE_MAX = 0.6;
/** Swarms without peers hold an eighth of the memory, and waves of new swarms need room. */
const MEMORY_ROOM = 1.25;
const MEMORY_STEP = 16 * MIB;

/** A client may leave its connection open for as long as the server does. */
const CONNECTION_SECONDS = 30;
const CONNECTIONS_MAX = 65_536;
/** Connections of a proxy, and files beside connections. */
const PROXY_CONNECTIONS = 1024;
const FILES_BESIDE = 100;

/** What a waiting datagram takes of the buffer; Linux grants twice what is set. Measured: 832. */
const WAITING_DATAGRAM_BYTES = 832 / 2;
/** For how long requests may wait unread: fifty times the longest turn that was measured. */
const BUFFER_SECONDS = 0.25;
const BUFFER_BYTES_DEFAULT = 4 * MIB;

/**
 * Queries at the name servers for each announce: resolvers answer the others from their caches. The
 * authors of opentracker had 5 GB of DNS a day with 8,500 requests a second, 6.8 bytes each; a
 * query with its answer has some 150.
 */
const DNS_QUERIES = 6.8 / 150;

/** Makes the plan. */
export function makePlan(question: Question, figures: Figures): Plan {
  const { nodes } = question;
  const all = loadOf(question, figures);
  if (nodes === 1) return { all };
  const node = loadOf(partOf(question, nodes), figures);
  return { all, node, node_while_one_is_away: loadOf(partOf(question, nodes - 1), figures) };
}

/** What one tracker of a cluster gets, whose clients are spread evenly: it stores all peers. */
function partOf(question: Question, trackers: number): Question {
  return { ...question, announcesPerSecond: question.announcesPerSecond / trackers };
}

function loadOf(question: Question, figures: Figures): Load {
  const { transports, families, announcesPerSecond: rate } = question;
  const udp = rate * transports.udp * UDP_REQUESTS;
  const [http, proxied] = [rate * transports.http, rate * transports.proxied];
  const udpMicros = families[4] * figures.udp[4].micros + families[6] * figures.udp[6].micros;
  const udpThread = 1 / (families[4] / figures.udp[4].rate + families[6] / figures.udp[6].rate);
  const workers = Math.max(1, Math.ceil(udp / (THREAD_SHARE_MAX * udpThread)));
  const connections = Math.min(
    CONNECTIONS_MAX,
    http * CONNECTION_SECONDS + (proxied > 0 ? PROXY_CONNECTIONS : 0),
  );
  const waiting = udp * BUFFER_SECONDS * WAITING_DATAGRAM_BYTES;
  return {
    peers: question.peers,
    announces_per_second: rate,
    udp_requests_per_second: udp,
    http_requests_per_second: http + proxied,
    packets_per_second: {
      in: udp + http * HTTP_PACKETS.in + proxied * KEPT_PACKETS.in,
      out: udp + http * HTTP_PACKETS.out + proxied * KEPT_PACKETS.out,
    },
    bits_per_second: bitsOf(question),
    processor_cores: {
      udp: (udp * udpMicros) / 1e6,
      http: (http * figures.http.micros + proxied * figures.kept.micros) / 1e6,
    },
    used: {
      http: http / figures.http.rate + proxied / figures.kept.rate,
      udp: udp / udpThread / workers,
    },
    udp_workers: workers,
    memory_bytes: memoryOf(question, figures),
    open_files: Math.ceil(connections) + FILES_BESIDE,
    udp_receive_buffer_bytes: Math.max(BUFFER_BYTES_DEFAULT, Math.ceil(waiting / MIB) * MIB),
    dns_queries_per_second: rate * DNS_QUERIES,
  };
}

/** Bits a second with the headers of IP, without those of the line. */
function bitsOf({ announcesPerSecond: rate, transports, families, numwant }: Question) {
  let [bytesIn, bytesOut] = [0, 0];
  for (const family of FAMILIES) {
    const peer = family === 4 ? PEER_SIZE_IPV4 : PEER_SIZE_IPV6;
    const announces = rate * families[family];
    const udp = announces * transports.udp;
    const connects = 2 * UDP_HEADERS[family] + REQUEST_SIZE_MIN;
    bytesIn += udp * (connects + ANNOUNCE_REQUEST_SIZE_MIN + URL_DATA_BYTES);
    const reply = Math.min(REPLY_BYTES_MAX, ANNOUNCE_REPLY_SIZE_MIN + numwant * peer);
    bytesOut += udp * (2 * UDP_HEADERS[family] + CONNECT_REPLY_SIZE + reply);
    for (const [share, packets] of [
      [transports.http, HTTP_PACKETS],
      [transports.proxied, KEPT_PACKETS],
    ] as const) {
      const header = TCP_HEADERS[family];
      bytesIn += announces * share * (packets.in * header + HTTP_REQUEST_BYTES);
      bytesOut += announces * share * (packets.out * header + HTTP_REPLY_BYTES + numwant * peer);
    }
  }
  return { in: bytesIn * 8, out: bytesOut * 8 };
}

function memoryOf({ peers, swarms, families }: Question, { peerBytes, idleBytes }: Figures) {
  const peersEach = Math.max(1, peers / Math.max(1, swarms));
  const bytes = FAMILIES.reduce(
    (sum, family) => sum + peers * families[family] * bytesAt(peerBytes[family], peersEach),
    0,
  );
  const wanted = Math.ceil((bytes * MEMORY_ROOM) / MEMORY_STEP) * MEMORY_STEP;
  return {
    swarms: Math.round(bytes),
    memory_max: Math.max(MEMORY_BYTES_MIN, wanted),
    process: Math.round(bytes + idleBytes),
  };
}

/** Sentences about what one tracker cannot carry; none if the plan fits. */
export function excesses({ all, node_while_one_is_away: spare }: Plan): string[] {
  const load = spare ?? all;
  const whose = spare === undefined ? "one tracker" : "a tracker while another one is away";
  const said: string[] = [];
  if (load.memory_bytes.memory_max > MEMORY_BYTES_CEILING) {
    const ceiling = `${MEMORY_BYTES_CEILING / MIB}MiB at most`;
    said.push(`the peers are more than ${whose} stores: TRACKER_MEMORY_MAX is ${ceiling}`);
  }
  if (load.used.http > THREAD_SHARE_MAX) {
    said.push(
      `HTTP takes ${showPercent(load.used.http)} of the one thread that answers it in ${whose}: ` +
        "more clients over UDP, a longer interval or more trackers help",
    );
  }
  return said;
}

/** A share in percent. */
export function showPercent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
