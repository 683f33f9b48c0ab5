/**
 * Packets and bytes of a plan: what an announce takes of the line by each transport, and what a
 * tracker of a cluster tells the others.
 *
 *   udp      connect, announce, and their replies                      4 packets
 *   http     SYN, ACK, request, ACK, FIN, and their counterparts      10 packets
 *   proxied  over a connection that stays open: a request, an ACK; a reply
 *   https    http, and a handshake of TLS 1.3
 *   ws, wss  an announce with 5 offers, which are passed on and all answered
 *
 * Bytes are those of IP packets, without those of the line.
 */
import { FAMILIES, type Family, PEER_SIZE_IPV4, PEER_SIZE_IPV6 } from "../constants.ts";
import { ANNOUNCE_REPLY_SIZE_MIN, CONNECT_REPLY_SIZE, REPLY_BYTES_MAX } from "../udp/packet.ts";
import { ANNOUNCE_REQUEST_SIZE_MIN, REQUEST_SIZE_MIN } from "../udp/packet.ts";

/** How clients come; `proxied` is HTTP by a proxy that keeps some connections. */
export const TRANSPORTS = ["udp", "http", "https", "proxied", "ws", "wss"] as const;
export type PlannedTransport = (typeof TRANSPORTS)[number];

/** Something each way. */
export interface Ways {
  in: number;
  out: number;
}

/** Headers of IP and of UDP; of TCP with time stamps. */
const UDP_HEADERS: Record<Family, number> = { 4: 28, 6: 48 };
const TCP_HEADERS: Record<Family, number> = { 4: 52, 6: 72 };

/** Most clients name the path in the announce, in eleven bytes. [BEP 41] */
const URL_DATA_BYTES = 11;

/** An announce of libtorrent in test/corpus, and our reply to it without peers. */
const HTTP_REQUEST_BYTES = 350;
const HTTP_REPLY_BYTES = 181;

/** What a connection carries for an announce: packets, and bytes without headers and peers. */
interface Stream {
  packets: Ways;
  bytes: Ways;
  /** Whether a reply has peers in it, as those of HTTP. */
  peers: boolean;
}

/** The authors of opentracker counted 90,000 packets for 8,500 requests, 10.6 each. */
const HTTP: Stream = {
  packets: { in: 5, out: 5 },
  bytes: { in: HTTP_REQUEST_BYTES, out: HTTP_REPLY_BYTES },
  peers: true,
};
/** TLS 1.3 with a chain of two certificates; a request and a reply grow by 22 bytes each. */
const HANDSHAKE: Stream = {
  packets: { in: 2, out: 3 },
  bytes: { in: 700, out: 3600 },
  peers: false,
};
/** The upgrade, as browsers send it, the first announce, and their answers, in place of HTTP's. */
const JOIN_BYTES = 400;
/**
 * Five offers of 2,000 characters, each in a message of 2,200 bytes to another browser, and as many
 * answers: 2 + 3 × 5 messages, and an acknowledgement for each two packets.
 */
const CYCLE: Stream = {
  packets: { in: 29, out: 30 },
  bytes: { in: 21_700, out: 22_200 },
  peers: false,
};

const STREAMS: Record<Exclude<PlannedTransport, "udp">, readonly Stream[]> = {
  http: [HTTP],
  https: [HTTP, HANDSHAKE],
  proxied: [{ ...HTTP, packets: { in: 2, out: 1 } }],
  ws: [CYCLE],
  wss: [CYCLE],
};

/** What the traffic depends on: announces a second by transport, new WebSockets a second. */
export interface Traffic {
  announces: Readonly<Record<PlannedTransport, number>>;
  joins: { ws: number; wss: number };
  families: Readonly<Record<Family, number>>;
  numwant: number;
}

/** Packets a second. */
export function packetsOf({ announces, joins }: Traffic): Ways {
  // A client asks for a connection id and then announces. [BEP 15]
  const sum: Ways = { in: 2 * announces.udp, out: 2 * announces.udp };
  for (const [rate, { packets }] of streamsOf(announces, joins)) {
    sum.in += rate * packets.in;
    sum.out += rate * packets.out;
  }
  return sum;
}

/** Bits a second. */
export function bitsOf({ announces, joins, families, numwant }: Traffic): Ways {
  const bytes: Ways = { in: 0, out: 0 };
  for (const family of FAMILIES) {
    const peers = numwant * (family === 4 ? PEER_SIZE_IPV4 : PEER_SIZE_IPV6);
    const udp = announces.udp * families[family];
    const headers = 2 * UDP_HEADERS[family];
    bytes.in += udp * (headers + REQUEST_SIZE_MIN + ANNOUNCE_REQUEST_SIZE_MIN + URL_DATA_BYTES);
    const reply = Math.min(REPLY_BYTES_MAX, ANNOUNCE_REPLY_SIZE_MIN + peers);
    bytes.out += udp * (headers + CONNECT_REPLY_SIZE + reply);
    for (const [rate, stream] of streamsOf(announces, joins)) {
      const share = rate * families[family];
      const header = TCP_HEADERS[family];
      bytes.in += share * (stream.packets.in * header + stream.bytes.in);
      bytes.out += share * (stream.packets.out * header + stream.bytes.out);
      if (stream.peers) bytes.out += share * peers;
    }
  }
  return { in: bytes.in * 8, out: bytes.out * 8 };
}

/** What streams there are, each with how many a second. */
function streamsOf(
  announces: Traffic["announces"],
  { ws, wss }: Traffic["joins"],
): (readonly [rate: number, stream: Stream])[] {
  const bytes = { in: JOIN_BYTES, out: JOIN_BYTES };
  const join: Stream = { packets: HTTP.packets, bytes, peers: false };
  return [
    ...Object.entries(STREAMS).flatMap(([transport, streams]) =>
      streams.map((stream) => [announces[transport as PlannedTransport], stream] as const),
    ),
    [ws + wss, join],
    [wss, HANDSHAKE],
  ];
}

/** Batches a second of a tracker, and its hello. */
const MESSAGES = 20;
const HELLOS = 1;
/** Of a message: our head, the line of NATS with subject and size, and the headers of a packet. */
const MESSAGE_BYTES = 16 + 48 + TCP_HEADERS[4];
const HELLO_BYTES = 150;
const DELTA_BYTES: Record<Family, number> = { 4: 28, 6: 40 };

/**
 * Bits a second between a tracker and its NATS server, in both directions. `deltas` are the changes
 * a second that the tracker sends and receives.
 */
export function clusterBits(
  deltas: Ways,
  others: number,
  families: Readonly<Record<Family, number>>,
): Ways {
  const each = FAMILIES.reduce((sum, family) => sum + families[family] * DELTA_BYTES[family], 0);
  const beside = MESSAGES * MESSAGE_BYTES + HELLOS * (MESSAGE_BYTES + HELLO_BYTES);
  return {
    in: 8 * (deltas.in * each + others * beside),
    out: 8 * (deltas.out * each + beside),
  };
}
