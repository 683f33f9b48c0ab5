/**
 * The handshake: judges a request for an upgrade, and answers it with 101 or a refusal.
 *
 *   GET, HTTP/1.1, a key of 16 bytes in base64        400
 *   version 13                                        426, with the version
 *   origin on the lists, host name                    403
 *   address known, a peer's, not denied; rules        403
 *   rate of address and network                       429
 *   room: of all, of the origin, place and site       503
 *
 * Rules with conditions on headers are held against this request, all others against each message
 * as well. The real address behind a proxy is read here, once for the connection.
 *
 * https://www.rfc-editor.org/rfc/rfc6455#section-4
 */
import { COUNT } from "../counters/counters.ts";
import type { Client } from "../gates/client.ts";
import type { Gates } from "../gates/gates.ts";
import {
  isSilent,
  VERDICT_ADDRESS_PROXY,
  VERDICT_HOST,
  VERDICT_OK,
  VERDICT_RATE,
} from "../gates/verdicts.ts";
import { PORT_NONE } from "../limits/request-rules.ts";
import type { RequestHead } from "../net/head.ts";
import type { Place, Takeover, UpgradeRequest } from "../net/tunnel.ts";
import type { AllowedHosts } from "../notes/hosts.ts";
import type { Notes } from "../notes/notes.ts";
import { originOf, type Origins } from "./origins.ts";
import type { Signaling } from "./signaling.ts";

/** [RFC 6455 1.3] */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";

/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

const FULL = "too many WebSocket connections are open: try again later";
const FULL_ORIGIN = "too many WebSocket connections of this origin are open: try again later";
const FULL_PLACE = "too many connections of your address or network are open: close some";

const REFUSAL_PLACE = Buffer.from(
  "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n" +
    `Content-Length: ${FULL_PLACE.length + 1}\r\n\r\n${FULL_PLACE}\n`,
);

export interface HandshakeParts {
  signaling: Signaling;
  origins: Origins;
  client: Client;
  /** Those of the messages. */
  gates: Gates;
  row: Float64Array;
  now: () => number;
  hosts: AllowedHosts | undefined;
  notes: Pick<Notes, "noteHead"> | undefined;
  /** Gets the head of a request whose client the trusted proxy did not name. */
  unclearProxy: ((head: RequestHead) => void) | undefined;
  connectionsMax: number;
  /** Connections of an address, over HTTP and WebSocket. */
  connectionsPerAddressMax: number;
  /** The same for an IPv6 /48. */
  connectionsPerSiteMax: number;
  /** Called for each request that finds all connections taken. */
  full: () => void;
}

export class Handshake {
  readonly #parts: HandshakeParts;

  constructor(parts: HandshakeParts) {
    this.#parts = parts;
  }

  /** Judges the request. */
  judge(request: UpgradeRequest): Takeover | Response {
    const { head } = request;
    const key = head.get("sec-websocket-key");
    if (!head.hasMethod("GET") || !head.version11 || head.bodySize !== 0 || !head.keepAlive) {
      return this.#refuse(400, "a WebSocket begins with GET over HTTP/1.1, without a body");
    }
    if (!KEY.test(key)) {
      return this.#refuse(400, "Sec-WebSocket-Key must be 16 bytes in base64");
    }
    if (head.get("sec-websocket-version") !== VERSION) {
      const headers = { "Sec-WebSocket-Version": VERSION, Upgrade: "websocket" };
      return this.#refuse(426, "only version 13 of WebSocket is supported", headers);
    }
    return this.#judgeClient(request) ?? this.#accept(request, key);
  }

  #judgeClient(request: UpgradeRequest): Response | undefined {
    const { client, gates, hosts, notes, origins, unclearProxy, now } = this.#parts;
    const { head } = request;
    if (!origins.allows(originOf(head.get("origin")))) {
      this.#count("origin");
      return answer(403, "pages of this origin may not use this tracker");
    }
    const located = client.read(request);
    if (located === VERDICT_ADDRESS_PROXY) unclearProxy?.(head);
    if (located !== VERDICT_OK) return this.#forbid(gates.refuse(located));
    const { asked } = gates;
    asked.address = client.address;
    asked.family = client.family;
    if (gates.judgeRate(now()) !== VERDICT_OK) return answer(429, gates.sentence(VERDICT_RATE));
    notes?.noteHead(head);
    if (hosts?.allowHead(head) === false) return this.#forbid(gates.refuse(VERDICT_HOST));
    asked.head = head;
    asked.port = PORT_NONE;
    asked.peerIdAt = -1;
    const verdict = gates.judgeRules();
    asked.head = undefined;
    if (verdict !== VERDICT_OK) return this.#forbid(verdict);
    const { address, family } = client;
    const place = gates.peer.judgeAddress(address, 0, family);
    if (place !== VERDICT_OK) return this.#forbid(gates.refuse(place));
    const network = gates.peer.judgeNetwork(address, 0, family);
    return network === VERDICT_OK ? undefined : this.#forbid(gates.refuse(network));
  }

  #accept({ head }: UpgradeRequest, key: string): Takeover | Response {
    const { signaling, origins, client, connectionsMax, full } = this.#parts;
    const origin = originOf(head.get("origin"));
    if (signaling.connections >= connectionsMax) {
      full();
      this.#count("full");
      return answer(503, FULL);
    }
    if (!origins.hasRoom(origin)) {
      this.#count("full");
      return answer(503, FULL_ORIGIN);
    }
    const { family } = client;
    const address = client.address.slice(0, family === 4 ? 4 : 16);
    // 0.2 µs and 160 bytes; a CryptoHasher takes 10 µs, and 610 bytes until a collection.
    const accept = Bun.SHA1.hash(key + ACCEPT_SUFFIX, "base64");
    return {
      response: Buffer.from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
      ),
      refusal: REFUSAL_PLACE,
      address,
      family,
      begin: (line) => {
        if (this.#isCrowded(line.place)) {
          this.#count("full");
          return undefined;
        }
        return signaling.open(line, { address, family, origin: origins.add(origin) });
      },
    };
  }

  #isCrowded({ open, siteOpen }: Place): boolean {
    const { connectionsPerAddressMax, connectionsPerSiteMax } = this.#parts;
    return open > connectionsPerAddressMax || siteOpen > connectionsPerSiteMax;
  }

  #count(reason: "handshake" | "origin" | "full"): void {
    this.#parts.row[COUNT[`websocket:${reason}`]] += 1;
  }

  #refuse(status: number, sentence: string, headers: Record<string, string> = {}): Response {
    this.#count("handshake");
    return answer(status, sentence, headers);
  }

  /** 403 with the sentence of the verdict. */
  #forbid(verdict: number): Response {
    const { gates } = this.#parts;
    return answer(403, isSilent(verdict) ? "" : gates.sentence(verdict));
  }
}

function answer(status: number, sentence: string, headers: Record<string, string> = {}): Response {
  const body = sentence === "" ? "" : `${sentence}\n`;
  return new Response(body, { status, headers: { "Content-Type": "text/plain", ...headers } });
}
