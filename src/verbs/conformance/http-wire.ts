/**
 * A client of one HTTP tracker that sends any query and sees any answer. [BEP 3, 23, 48]
 *
 * Unlike tracker-answers.ts it hides nothing: what is wrong with an answer is what a check looks
 * for. `leave` stops every peer that was announced.
 */
import { counted } from "../../net/counted.ts";
import { type Bencoded, readBencode } from "../bencode-reader.ts";
import { AnswerReader, type HttpAnswer } from "../http-answer.ts";
import { askOverHttp, connectTo, type HttpQuestion } from "../http-client.ts";
import { explainNetwork } from "../network-problems.ts";
import { excerpt } from "../printable.ts";
import { digitsOfAddress, ownSource } from "./own-source.ts";
import type { Asked, Counts, Exchange, Manners, OwnPeer, TracedPeer } from "./statements.ts";
import { broken, hold, NotTried, Pace, type SwarmClient, type Told } from "./statements.ts";

const BODY_BYTES_MAX = 256 * 1024;
/** The most characters of an answer that are shown. */
const SHOWN_MAX = 600;

/** Where the tracker is, and its announce URL's path and query. */
export interface HttpPlace extends Pick<HttpQuestion, "address" | "port" | "tls" | "host"> {
  pathname: string;
  search: string;
}

/** An announce in all its fields, which may be replaced, added or left out. */
export interface Query extends Asked {
  fields?: Readonly<Record<string, string | undefined>>;
}

export type Dictionary = Map<string, Bencoded>;

export interface HttpTold extends Told {
  reply: Dictionary;
}

/** One conversation over one connection. */
export interface Conversation {
  answers: HttpAnswer[];
  /** The first line of the first answer. */
  firstLine: string;
}

export class HttpWire implements SwarmClient {
  readonly infoHash: Buffer;
  readonly exchanges: Exchange[] = [];
  readonly #place: HttpPlace;
  readonly #manners: Manners;
  readonly #pace: Pace;
  readonly #left: [OwnPeer, Buffer][] = [];

  constructor(place: HttpPlace, manners: Manners, pace: Pace) {
    this.#place = place;
    this.#manners = manners;
    this.#pace = pace;
    this.infoHash = manners.infoHash();
  }

  anotherHash(first?: Buffer): Buffer {
    return this.#manners.infoHash(first);
  }

  get isOverIpv6(): boolean {
    return this.#place.address.includes(":");
  }

  /** See own-source.ts. */
  source(): Promise<string | undefined> {
    return ownSource(this.#place.address);
  }

  async leave(): Promise<void> {
    for (const [peer, infoHash] of this.#left.splice(0)) {
      await this.ask(this.target(peer, { infoHash, event: "stopped" }), []).catch(() => {});
    }
  }

  close(): void {}

  /** Path and query of an announce. */
  target(peer: OwnPeer, { infoHash = this.infoHash, fields = {}, ...asked }: Query = {}): string {
    const { left = 1000n, event = "started", numwant } = asked;
    const all: Record<string, string | undefined> = {
      info_hash: percent(infoHash),
      peer_id: percent(peer.peerId),
      port: String(peer.port),
      uploaded: "0",
      downloaded: "0",
      left: String(left),
      event: event === "none" ? undefined : event,
      numwant: numwant === undefined || numwant < 0 ? undefined : String(numwant),
      compact: "1",
      ...fields,
    };
    if (event !== "stopped" && peer.port > 0) this.#left.push([peer, infoHash]);
    return this.#withQuery(this.#place.pathname, Object.entries(all));
  }

  /** Sends a request for this target; resolves to any answer. */
  async ask(target: string, exchanges = this.exchanges): Promise<HttpAnswer> {
    await this.#pace.turn();
    const sent = `GET ${target}`;
    const timeout = this.#manners.answer;
    const bodyBytesMax = BODY_BYTES_MAX;
    try {
      const answer = await askOverHttp({ ...this.#place, target, timeout, bodyBytesMax });
      exchanges.push({ sent, came: `${answer.status} ${escaped(answer.body)}` });
      return answer;
    } catch (error) {
      const came = error instanceof Error ? error.message : String(error);
      exchanges.push({ sent, came });
      throw error;
    }
  }

  async announce(peer: OwnPeer, query: Query = {}): Promise<HttpTold> {
    return readAnnounce(await this.ask(this.target(peer, query)));
  }

  /** An announce that must be refused, in whatever form; undefined if it has no answer. */
  async refusal(peer: OwnPeer, query: Query): Promise<HttpAnswer | undefined> {
    const answer = await this.ask(this.target(peer, query)).catch(() => undefined);
    if (answer === undefined) return undefined;
    const reply = readLoosely(answer.body)?.value;
    hold(
      answer.status >= 400 || !(reply instanceof Map) || reply.has("failure reason"),
      "it is answered like an announce",
    );
    return answer;
  }

  async scrape(infoHash: Buffer): Promise<Counts> {
    return countsOf(await this.files([infoHash]), infoHash);
  }

  /** The swarms in the answer to a scrape. */
  async files(hashes: readonly Buffer[], more = ""): Promise<Dictionary> {
    const files = (await this.scraped(hashes, more)).get("files");
    hold(files instanceof Map, "the answer has no dictionary files");
    return files;
  }

  /** The answer to a scrape. */
  async scraped(hashes: readonly Buffer[], more = ""): Promise<Dictionary> {
    const target = this.scrapeTarget(hashes);
    return readReply(await this.ask(`${target}${more}`));
  }

  /** Path and query of a scrape. The last part of the path becomes `scrape`. [BEP 48] */
  scrapeTarget(hashes: readonly Buffer[]): string {
    const path = this.#place.pathname.replace(/\/announce([^/]*)$/, "/scrape$1");
    if (path === this.#place.pathname) throw new NotTried("the URL has no scrape");
    return this.#withQuery(
      path,
      hashes.map((hash) => ["info_hash", percent(hash)]),
    );
  }

  /** Sends requests over one connection, each after the answer to the one before. */
  async converse(version: string, hasHost: boolean, targets: string[]): Promise<Conversation> {
    const socket = connectTo(this.#place);
    const { promise: failed, reject } = Promise.withResolvers<never>();
    failed.catch(() => {});
    const timer = setTimeout(() => reject(new Error("no answer")), this.#manners.answer);
    socket.on("error", (error) => reject(new Error(explainNetwork(error))));
    const conversation: Conversation = { answers: [], firstLine: "" };
    const host = hasHost ? `Host: ${this.#place.host}\r\n` : "";
    try {
      for (const target of targets) {
        await this.#pace.turn();
        if (socket.closed) throw new Error("the connection was closed");
        const text = `GET ${target} ${version}\r\n${host}\r\n`;
        const { promise, resolve } = Promise.withResolvers<HttpAnswer | string>();
        const reader = new AnswerReader(BODY_BYTES_MAX);
        const take = (bytes: Buffer) => {
          conversation.firstLine ||= bytes.toString("latin1").split("\r\n", 1)[0];
          const taken = reader.take(bytes);
          if (taken !== undefined) resolve(taken);
        };
        const end = () => resolve(reader.end() ?? "the connection was closed");
        socket.on("data", take);
        socket.on("close", end);
        socket.write(text);
        const outcome = await Promise.race([promise, failed]);
        socket.off("data", take);
        socket.off("close", end);
        const came = typeof outcome === "string" ? outcome : escaped(outcome.body);
        this.exchanges.push({ sent: text.trimEnd().replaceAll("\r\n", " · "), came });
        if (typeof outcome === "string") throw new Error(outcome);
        conversation.answers.push(outcome);
        if (outcome.fields.get("connection")?.toLowerCase() === "close") break;
        if (conversation.firstLine.startsWith("HTTP/1.0")) break;
      }
      return conversation;
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  }

  #withQuery(path: string, fields: [string, string | undefined][]): string {
    const given = fields.filter(([, value]) => value !== undefined);
    const query = given.map(([name, value]) => `${name}=${value}`);
    const search = [this.#place.search.slice(1), ...query].filter((part) => part !== "").join("&");
    return `${path}?${search}`;
  }
}

/** Bencode, perhaps with an end of line: whether that may be is a statement of its own. */
export function readLoosely(body: Uint8Array): ReturnType<typeof readBencode> {
  const end = body.findLastIndex((byte) => byte !== 10 && byte !== 13) + 1;
  return readBencode(body.subarray(0, end));
}

/** The dictionary of an answer that must not be a failure. */
function readReply({ status, body }: HttpAnswer): Dictionary {
  const reply = readLoosely(body)?.value;
  hold(reply instanceof Map, `the answer, with status ${status}, is no bencoded dictionary`);
  const reason = reply.get("failure reason");
  if (reason !== undefined) broken(`it is refused: ${excerpt(String(reason))}`);
  return reply;
}

export function readAnnounce(answer: HttpAnswer): HttpTold {
  const reply = readReply(answer);
  const interval = reply.get("interval");
  hold(typeof interval === "number", "the answer has no number interval");
  const count = (name: string) => {
    const value = reply.get(name);
    return typeof value === "number" ? value : undefined;
  };
  return {
    interval,
    seeders: count("complete"),
    leechers: count("incomplete"),
    peers: [...readPeers(reply.get("peers"), 6), ...readPeers(reply.get("peers6"), 18)],
    reply,
  };
}

/** Peers in either form; none if there is no such key. */
export function readPeers(peers: Bencoded | undefined, size: 6 | 18): TracedPeer[] {
  if (Array.isArray(peers)) return peers.map(readListed);
  if (typeof peers !== "string") return [];
  hold(
    peers.length % size === 0,
    `the peers have ${counted(peers.length, "byte")}, not ${size} each`,
  );
  return Array.from({ length: peers.length / size }, (_, i) => {
    const entry = Buffer.from(peers.slice(i * size, (i + 1) * size), "latin1");
    return { address: entry.toString("hex", 0, size - 2), port: entry.readUInt16BE(size - 2) };
  });
}

function readListed(peer: Bencoded): TracedPeer {
  const [ip, port] = peer instanceof Map ? [peer.get("ip"), peer.get("port")] : [];
  hold(typeof ip === "string" && typeof port === "number", "a peer has no text ip and number port");
  return { address: digitsOfAddress(ip), port };
}

/** The counts of a swarm among these. */
export function countsOf(files: Dictionary, infoHash: Buffer): Counts {
  const file = files.get(infoHash.toString("latin1"));
  hold(file instanceof Map, "the answer does not have the swarm");
  const [seeders, leechers] = ["complete", "incomplete"].map((name) => {
    const value = file.get(name);
    hold(typeof value === "number" && value >= 0, `the swarm has no number ${name}`);
    return value;
  });
  const completed = file.get("downloaded");
  return { seeders, completed: typeof completed === "number" ? completed : undefined, leechers };
}

export function percent(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

/** Bytes as text: those that are not printable ASCII as `\xNN`, the rest cut. */
function escaped(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, SHOWN_MAX)).toString("latin1");
  const shown = text.replace(
    /[^ -~]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return bytes.length > SHOWN_MAX ? `${shown}…` : shown;
}
