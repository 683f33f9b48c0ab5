/**
 * A WebTorrent tracker that keeps every statement, and for each statement how it breaks it alone.
 */
import type { ServerWebSocket, Socket } from "bun";

type Json = Record<string, unknown>;

interface Connection {
  /** The peer ids it has announced, by info hash. */
  peers: Map<string, string>;
}

type Browser = ServerWebSocket<Connection>;

interface Peer {
  browser: Browser;
  seeder: boolean;
}

export interface BrowserFaults {
  refusesAll?: boolean;
  /** Changes a message on its way in. */
  in?: (message: Json) => void;
  /** Changes a message on its way out; drops it if it returns false. */
  out?: (message: Json) => boolean | void;
  refuses?: (message: Json) => boolean;
  keepsStopped?: boolean;
  keepsClosed?: boolean;
  /** A peer is in one swarm at most. */
  oneSwarm?: boolean;
  echoes?: boolean;
  /** All offers go to one peer. */
  heaps?: boolean;
  forges?: boolean;
  answersAreAnnounces?: boolean;
  closesOnFailure?: boolean;
  diesOf?: (message: unknown) => boolean;
  ignoresBinary?: boolean;
  /** Closes at a frame that begins with this byte. */
  closesAt?: number;
  /** Which info hashes of a scrape are answered. */
  hashes?: (hashes: string[], known: (hash: string) => boolean, all: string[]) => string[];
}

export class FakeBrowserTracker implements AsyncDisposable {
  readonly url: string;
  readonly #faults: BrowserFaults;
  readonly #server: Bun.Server<Connection>;
  #proxy: Bun.TCPSocketListener<Socket | undefined> | undefined;
  readonly #browsers = new Set<Browser>();
  readonly swarms = new Map<string, Map<string, Peer>>();
  /** Who may answer which offer: its receiver and its id. */
  readonly #offers = new Set<string>();
  #dead = false;

  constructor(faults: BrowserFaults = {}, host = "127.0.0.1") {
    this.#faults = faults;
    this.#server = Bun.serve<Connection>({
      hostname: host,
      port: 0,
      fetch: (request, server) => {
        const data = { peers: new Map<string, string>() };
        const refused = this.#dead || faults.refusesAll === true;
        if (!refused && server.upgrade(request, { data })) return undefined;
        return new Response("no", { status: 503 });
      },
      websocket: {
        open: (browser) => void this.#browsers.add(browser),
        close: (browser) => this.#closed(browser),
        message: (browser, text) => {
          if (typeof text !== "string" && faults.ignoresBinary) return;
          this.#take(browser, JSON.parse(String(text)));
        },
      },
    });
    const port = faults.closesAt !== undefined ? this.#startProxy(host) : this.#server.port;
    this.url = `ws://${host.includes(":") ? `[${host}]` : host}:${port}/announce`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#proxy?.stop(true);
    await this.#server.stop(true);
  }

  #take(browser: Browser, message: unknown): void {
    if (this.#faults.diesOf?.(message)) {
      this.#dead = true;
      for (const one of this.#browsers) one.terminate();
      return;
    }
    if (typeof message !== "object" || message === null) return this.#fail(browser, {});
    const json = message as Json;
    this.#faults.in?.(json);
    if (json["action"] === "scrape") return this.#scrape(browser, json);
    const isWrong = [json["info_hash"], json["peer_id"]].some(
      (word) => typeof word !== "string" || word.length !== 20,
    );
    if (isWrong || this.#faults.refuses?.(json)) return this.#fail(browser, json);
    if (json["answer"] !== undefined) return this.#answer(json);
    this.#announce(browser, json);
  }

  #announce(browser: Browser, message: Json): void {
    const { left, event, offers } = message;
    const [hash, id] = [message["info_hash"] as string, message["peer_id"] as string];
    const swarm = this.swarms.get(hash) ?? new Map<string, Peer>();
    this.swarms.set(hash, swarm);
    if (this.#faults.oneSwarm) for (const other of this.swarms.values()) other.delete(id);
    if (event !== "stopped") swarm.set(id, { browser, seeder: left === 0 });
    else if (!this.#faults.keepsStopped) swarm.delete(id);
    browser.data.peers.set(hash, id);
    this.#send(browser, {
      action: "announce",
      interval: 120,
      info_hash: hash,
      ...this.#counts(hash),
    });
    const others = [...swarm].filter(([other]) => this.#faults.echoes || other !== id);
    if (this.#faults.echoes) others.reverse();
    const all = Array.isArray(offers) && event !== "stopped" ? (offers as unknown[]) : [];
    all.forEach((one, at) => {
      const receiver = others[this.#faults.heaps ? 0 : at];
      if (typeof one !== "object" || one === null || receiver === undefined) return;
      const { offer, offer_id } = one as Json;
      this.#offers.add(`${receiver[0]} ${String(offer_id)}`);
      const passed = { action: "announce", offer, offer_id, peer_id: id, info_hash: hash };
      this.#send(receiver[1].browser, passed);
    });
  }

  #answer({ answer, offer_id, to_peer_id, peer_id, info_hash }: Json): void {
    const swarm = this.swarms.get(info_hash as string);
    const sender = swarm?.get(peer_id as string);
    if (this.#faults.answersAreAnnounces && sender !== undefined) sender.seeder = false;
    const expected = this.#offers.delete(`${String(peer_id)} ${String(offer_id)}`);
    const receiver = swarm?.get(to_peer_id as string);
    if (receiver === undefined || !(expected || this.#faults.forges)) return;
    this.#send(receiver.browser, { action: "announce", answer, offer_id, peer_id, info_hash });
  }

  #scrape(browser: Browser, { info_hash }: Json): void {
    const asked = [info_hash ?? []].flat() as string[];
    const known = (hash: string) => this.swarms.has(hash);
    const hashes = this.#faults.hashes?.(asked, known, [...this.swarms.keys()]) ?? asked;
    const files = hashes.map((hash) => [hash, { ...this.#counts(hash), downloaded: 0 }]);
    this.#send(browser, { action: "scrape", files: Object.fromEntries(files) });
  }

  #counts(hash: string): { complete: number; incomplete: number } {
    const peers = [...(this.swarms.get(hash)?.values() ?? [])];
    const complete = peers.filter(({ seeder }) => seeder).length;
    return { complete, incomplete: peers.length - complete };
  }

  #fail(browser: Browser, { info_hash }: Json): void {
    if (this.#faults.closesOnFailure) return browser.close(1008, "wrong");
    this.#send(browser, { action: "announce", "failure reason": "it is wrong", info_hash });
  }

  #closed(browser: Browser): void {
    this.#browsers.delete(browser);
    if (this.#faults.keepsClosed) return;
    for (const [hash, id] of browser.data.peers) this.swarms.get(hash)?.delete(id);
  }

  #send(browser: Browser, message: Json): void {
    if (this.#faults.out?.(message) !== false) browser.send(JSON.stringify(message));
  }

  /** In front of the server, which answers pings and puts messages together by itself. */
  #startProxy(host: string): number {
    const { port } = this.#server;
    const { closesAt } = this.#faults;
    const proxy = Bun.listen<Socket | undefined>({
      hostname: host,
      port: 0,
      socket: {
        async data(client, bytes) {
          if (bytes[0] === closesAt) return void client.end();
          client.data ??= await Bun.connect({
            hostname: host,
            port: port!,
            socket: {
              data: (_, answer) => void client.write(answer),
              close: () => void client.end(),
            },
          });
          client.data.write(bytes);
        },
        close: (client) => void client.data?.end(),
      },
    });
    this.#proxy = proxy;
    return proxy.port;
  }
}

const isReply = (message: Json): boolean => message["interval"] !== undefined;
const isFailure = (message: Json): boolean => message["failure reason"] !== undefined;

export const BROWSER_FAULTS: Record<string, BrowserFaults> = {
  "WebTorrent.handshake": { refusesAll: true },
  "WebTorrent.ping": { closesAt: 0x89 },
  "WebTorrent.reply": { out: (m) => void (isReply(m) && delete m["info_hash"]) },
  "WebTorrent.bytes": {
    out: (m) => void (m["info_hash"] = (m["info_hash"] as string).replace(/[\x80-\xff]/g, "?")),
  },
  "WebTorrent.interval": { out: (m) => void (isReply(m) && (m["interval"] = 1)) },
  "WebTorrent.counts": { out: (m) => void (isReply(m) && (m["complete"] = 0)) },
  "WebTorrent.left-null": { in: (m) => void (m["left"] === null && (m["left"] = 0)) },
  "WebTorrent.left-missing": { in: (m) => void (m["left"] ??= 0) },
  "WebTorrent.completed-first": {
    in: (m) => void (m["event"] === "completed" && (m["left"] = 1)),
  },
  "WebTorrent.paused": { refuses: ({ event }) => event === "paused" },
  "WebTorrent.update": { refuses: ({ event }) => event === "update" },
  "WebTorrent.members-unknown": { refuses: (m) => "key" in m },
  "WebTorrent.two-swarms": { oneSwarm: true },
  "BEP52.two-swarms": { oneSwarm: true },
  "WebTorrent.stopped": {
    refuses: ({ event }) => event === "stopped",
    out: (m) => !isFailure(m),
  },
  "WebTorrent.stopped-removes": { keepsStopped: true },
  "WebTorrent.close-removes": { keepsClosed: true },
  "WebTorrent.offer": { out: (m) => void (m["offer"] && delete m["peer_id"]) },
  "WebTorrent.offer-unchanged": {
    out: (m) => void (m["offer"] && (m["offer"] = { type: "offer", sdp: "v=0" })),
  },
  "WebTorrent.offer-not-back": {
    echoes: true,
    in: (m) => {
      const offers = m["offers"];
      if (Array.isArray(offers)) m["offers"] = [...(offers as unknown[]), offers[0]];
    },
  },
  "WebTorrent.offers-spread": { heaps: true },
  "WebTorrent.answer": { out: (m) => void (m["answer"] && delete m["peer_id"]) },
  "WebTorrent.answer-no-announce": { answersAreAnnounces: true },
  "WebTorrent.answer-forged": { forges: true },
  "WebTorrent.no-addresses": { out: (m) => void (m["ip"] = "192.0.2.1") },
  "WebTorrent.failure": { out: (m) => void (isFailure(m) && delete m["action"]) },
  "WebTorrent.failure-hash": { out: (m) => void (isFailure(m) && delete m["info_hash"]) },
  "WebTorrent.failure-open": { closesOnFailure: true },
  "WebTorrent.null": { diesOf: (m) => m === null },
  "WebTorrent.offers-null": {
    diesOf: (m) => [(m as Json)["offers"]].flat().includes(null as never),
  },
  "WebTorrent.binary": { ignoresBinary: true },
  "WebTorrent.fragments": { closesAt: 0x01 },
  "WebTorrent.scrape": {
    out: (m) => {
      for (const file of Object.values((m["files"] ?? {}) as Json)) {
        delete (file as Json)["downloaded"];
      }
    },
  },
  "WebTorrent.scrape-list": { hashes: (hashes) => hashes.slice(0, 1) },
  "WebTorrent.scrape-unknown": { hashes: (hashes, known) => hashes.filter(known) },
  "WebTorrent.scrape-none": { hashes: (hashes, _, all) => (hashes.length > 0 ? hashes : all) },
};
