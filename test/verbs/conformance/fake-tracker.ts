/**
 * A tracker over HTTP and UDP that keeps every statement, and can be made to break one: each hook
 * of `Faults` changes what it understands, stores or says.
 */
import type { Socket } from "bun";

export interface Ask {
  hash: string;
  /** 4 or 16 bytes, as digits. */
  address: string;
  port: number;
  left: bigint;
  event: string;
  /** As it was sent; NaN if it was not. */
  numwant: number;
  /** What makes a peer the same. */
  key: string;
  storesPortZero: boolean;
  /** Whether the swarm has the peer. */
  known: boolean;
  /** The ip field over UDP. */
  ip: number;
  /** The fields of a query, the options of a datagram. */
  query: Map<string, string>;
  options: Buffer;
}

interface Peer {
  address: string;
  port: number;
  seeder: boolean;
}

interface Swarm {
  peers: Map<string, Peer>;
  completed: number;
}

interface Told {
  interval: number;
  seeders: number;
  leechers: number;
  peers: { address: string; port: number }[];
}

interface Counts {
  complete: number;
  downloaded: number;
  incomplete: number;
}

export type Dict = Map<string, Bencodable>;
type Bencodable = number | string | Bencodable[] | Dict;

export interface Answer {
  status: number;
  fields: Map<string, string>;
  body: string;
  /** Whether the connection is closed after it, and whether it is sent at all. */
  closes: boolean;
  silent: boolean;
}

export interface Faults {
  /** Whether a field may have this shape. */
  lenient?: (name: string, value: string | undefined) => boolean;
  decode?: (raw: string) => string;
  port?: (text: string) => number;
  refuses?: (ask: Ask) => string | undefined;
  refusesScrape?: (query: string) => boolean;
  ask?: (ask: Ask, fake: FakeTracker) => void;
  told?: (told: Told, ask: Ask) => void;
  counts?: (counts: Counts, swarm: Swarm) => void;
  /** Which info hashes of a scrape are answered. */
  hashes?: (hashes: string[], fake: FakeTracker) => string[];
  /** The key of a swarm in a scrape. */
  name?: (hash: string) => string;
  /** The dictionary of an announce, a failure or a scrape. */
  dict?: (dict: Dict, ask: Ask | undefined) => void;
  file?: (file: Dict) => void;
  http?: (answer: Answer, version: string) => void;
  id?: (port: number) => bigint;
  accepts?: (id: bigint, port: number, right: boolean) => boolean;
  /** Changes a request over UDP. */
  udpIn?: (request: Buffer) => Buffer;
  /** The last word on an answer over UDP. */
  udp?: (reply: Buffer | undefined, request: Buffer) => Buffer | undefined;
}

const MAGIC = 0x41727101980n;
const ID = 0x1122334455667788n;
const EVENTS = ["none", "completed", "started", "stopped", "paused"];
const ZEROS: Swarm = { peers: new Map(), completed: 0 };

export class FakeTracker implements AsyncDisposable {
  readonly swarms = new Map<string, Swarm>();
  readonly #faults: Faults;
  readonly #digits: string;
  readonly #host: string;
  #http: Bun.TCPSocketListener<{ text: string }> | undefined;
  #udp: Bun.udp.Socket<"buffer"> | undefined;

  constructor(faults: Faults = {}, host = "127.0.0.1") {
    this.#faults = faults;
    this.#host = host;
    this.#digits = host === "::1" ? `${"0".repeat(31)}1` : "7f000001";
  }

  async overHttp(): Promise<string> {
    this.#http = Bun.listen<{ text: string }>({
      hostname: this.#host,
      port: 0,
      socket: {
        open: (socket) => void (socket.data = { text: "" }),
        data: (socket, bytes) => this.#takeHttp(socket, bytes.toString("latin1")),
      },
    });
    return `http://${this.#where()}:${this.#http.port}/announce`;
  }

  async overUdp(): Promise<string> {
    this.#udp = await Bun.udpSocket({
      hostname: this.#host,
      socket: {
        // A client that has gone is no concern of a tracker.
        error: () => {},
        data: (from, request, port, address) => {
          const taken = this.#faults.udpIn?.(Buffer.from(request)) ?? Buffer.from(request);
          const reply = this.#answerUdp(taken, port);
          const told = this.#faults.udp === undefined ? reply : this.#faults.udp(reply, taken);
          try {
            if (told !== undefined) from.send(told, port, address);
          } catch {}
        },
      },
    });
    return `udp://${this.#where()}:${this.#udp.port}/announce`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http?.stop(true);
    this.#udp?.close();
  }

  #where(): string {
    return this.#host.includes(":") ? `[${this.#host}]` : this.#host;
  }

  // Swarms.

  /** The failure, or what the announcer is told. */
  #announce(given: Partial<Ask>): Told | string {
    const ask: Ask = {
      ...{ hash: "", address: this.#digits, port: 0, left: 1n, event: "none", numwant: NaN },
      ...{ key: "", storesPortZero: false, known: false, ip: 0, query: new Map() },
      ...{ options: Buffer.alloc(0), ...given },
    };
    ask.key = `${ask.address}:${ask.port}`;
    ask.known = this.swarms.get(ask.hash)?.peers.has(ask.key) ?? false;
    const refused = this.#faults.refuses?.(ask);
    if (refused !== undefined) return refused;
    this.#faults.ask?.(ask, this);
    const swarm = this.swarms.get(ask.hash) ?? { peers: new Map(), completed: 0 };
    this.swarms.set(ask.hash, swarm);
    if (ask.event === "stopped") swarm.peers.delete(ask.key);
    else this.#store(swarm, ask);
    const others = [...swarm.peers].filter(([key]) => key !== ask.key).map(([, peer]) => peer);
    const most = ask.numwant >= 0 ? ask.numwant : 50;
    const seeders = [...swarm.peers.values()].filter(({ seeder }) => seeder).length;
    const told = {
      interval: 1800,
      seeders,
      leechers: swarm.peers.size - seeders,
      peers: others.slice(0, most).map(({ address, port }) => ({ address, port })),
    };
    this.#faults.told?.(told, ask);
    return told;
  }

  #store(swarm: Swarm, { key, address, port, left, event, storesPortZero }: Ask): void {
    if (port === 0 && !storesPortZero) return;
    const before = swarm.peers.get(key);
    if (event === "completed" && before?.seeder === false) swarm.completed += 1;
    swarm.peers.set(key, { address, port, seeder: left === 0n });
  }

  #counts(hash: string): Counts {
    const swarm = this.swarms.get(hash) ?? ZEROS;
    const complete = [...swarm.peers.values()].filter(({ seeder }) => seeder).length;
    const incomplete = swarm.peers.size - complete;
    const counts = { complete, downloaded: swarm.completed, incomplete };
    this.#faults.counts?.(counts, this.swarms.get(hash) ?? ZEROS);
    return counts;
  }

  // HTTP.

  #takeHttp(socket: Socket<{ text: string }>, text: string): void {
    socket.data.text += text;
    const end = socket.data.text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [line, ...fields] = socket.data.text.slice(0, end).split("\r\n");
    socket.data.text = socket.data.text.slice(end + 4);
    const [, target = "", version = ""] = line.split(" ");
    const body = this.#answerHttp(target);
    const answer: Answer = {
      status: 200,
      fields: new Map([["Content-Length", ""]]),
      body,
      closes: version === "HTTP/1.0" || fields.some((field) => /^connection: close$/i.test(field)),
      silent: false,
    };
    this.#faults.http?.(answer, version);
    if (answer.silent) return void socket.end();
    if (answer.fields.has("Content-Length")) {
      answer.fields.set("Content-Length", String(answer.body.length));
    }
    const head = [...answer.fields].map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const whole = `HTTP/1.1 ${answer.status} OK\r\n${head}\r\n${answer.body}`;
    socket.write(Buffer.from(whole, "latin1"));
    if (answer.closes) socket.end();
  }

  #answerHttp(target: string): string {
    const [path, query = ""] = target.split("?", 2) as [string, string?];
    const fields = query.split("&").map((part) => {
      const at = part.indexOf("=");
      return [part.slice(0, at), part.slice(at + 1)] as const;
    });
    const decode = this.#faults.decode ?? unescaped;
    if (path.endsWith("scrape")) {
      const hashes = fields.filter(([name]) => name === "info_hash").map(([, raw]) => decode(raw));
      return this.#scrapeHttp(query, hashes);
    }
    return this.#announceHttp(new Map(fields.map(([name, raw]) => [name, decode(raw)])));
  }

  #announceHttp(query: Map<string, string>): string {
    for (const name of ["info_hash", "peer_id"]) {
      const value = query.get(name);
      if (value?.length === 20 || this.#faults.lenient?.(name, value)) continue;
      return this.#failure(`${name} is wrong`);
    }
    const text = query.get("port") ?? "";
    const port = this.#faults.port?.(text) ?? (/^\d{1,5}$/.test(text) ? Number(text) : -1);
    if (port < 0 || port > 65_535) return this.#failure("port is wrong");
    const left = query.get("left") ?? "";
    const ask: Partial<Ask> = {
      hash: query.get("info_hash") ?? "",
      port,
      left: /^\d+$/.test(left) ? BigInt(left) : 1n,
      event: query.get("event") ?? "none",
      numwant: Number(query.get("numwant") ?? NaN),
      query,
    };
    const told = this.#announce(ask);
    if (typeof told === "string") return this.#failure(told);
    const dict: Dict = new Map<string, Bencodable>([
      ["interval", told.interval],
      ["complete", told.seeders],
      ["incomplete", told.leechers],
      ["external ip", Buffer.from(this.#digits, "hex").toString("latin1")],
      ["peers", compact(told.peers, 8)],
      ["peers6", compact(told.peers, 32)],
    ]);
    this.#faults.dict?.(dict, ask as Ask);
    return encode(dict);
  }

  #failure(reason: string): string {
    const dict: Dict = new Map<string, Bencodable>([
      ["failure reason", reason],
      ["retry in", "never"],
    ]);
    this.#faults.dict?.(dict, undefined);
    return encode(dict);
  }

  #scrapeHttp(query: string, asked: string[]): string {
    const refused = asked.length === 0 && this.#faults.hashes === undefined;
    if (refused || this.#faults.refusesScrape?.(query)) return this.#failure("name info hashes");
    const sorted = [...new Set(asked)].sort();
    const name = this.#faults.name ?? ((hash: string) => hash);
    const files = (this.#faults.hashes?.(asked, this) ?? sorted).map((hash) => {
      const file: Dict = new Map(Object.entries(this.#counts(hash)));
      this.#faults.file?.(file);
      const key = name(hash);
      return `${key.length}:${key}${encode(file)}`;
    });
    const dict: Dict = new Map<string, Bencodable>([
      ["flags", new Map([["min_request_interval", 900]])],
    ]);
    this.#faults.dict?.(dict, undefined);
    return `d5:filesd${files.join("")}e${encode(dict).slice(1)}`;
  }

  // UDP.

  #answerUdp(request: Buffer, from: number): Buffer | undefined {
    if (request.length < 16) return undefined;
    const id = request.readBigUInt64BE(0);
    const action = request.readUInt32BE(8);
    const head = Buffer.concat([request.subarray(8, 16)]);
    if (action === 0) {
      if (id !== MAGIC) return undefined;
      const body = Buffer.alloc(8);
      body.writeBigUInt64BE(this.#faults.id?.(from) ?? ID);
      return Buffer.concat([head, body]);
    }
    const right = id === (this.#faults.id?.(from) ?? ID);
    if (!(this.#faults.accepts?.(id, from, right) ?? right)) return undefined;
    if (action === 1 && request.length >= 98) return this.#announceUdp(request, head);
    return action === 2 ? this.#scrapeUdp(request, head) : undefined;
  }

  #announceUdp(request: Buffer, head: Buffer): Buffer {
    const told = this.#announce({
      hash: request.toString("latin1", 16, 36),
      left: request.readBigUInt64BE(64),
      event: EVENTS[request.readUInt32BE(80)] ?? "none",
      ip: request.readUInt32BE(84),
      numwant: request.readInt32BE(92),
      port: request.readUInt16BE(96),
      options: request.subarray(98),
    });
    if (typeof told === "string") {
      head.writeUInt32BE(3);
      return Buffer.concat([head, Buffer.from(told)]);
    }
    const body = Buffer.alloc(12);
    [told.interval, told.leechers, told.seeders].forEach((n, i) => body.writeInt32BE(n, 4 * i));
    const peers = Buffer.from(compact(told.peers, this.#digits.length), "latin1");
    return Buffer.concat([head, body, peers]);
  }

  #scrapeUdp(request: Buffer, head: Buffer): Buffer {
    const count = Math.floor((request.length - 16) / 20);
    const asked = Array.from({ length: count }, (_, i) =>
      request.toString("latin1", 16 + 20 * i, 36 + 20 * i),
    );
    const hashes = this.#faults.hashes?.(asked, this) ?? asked;
    const entries = hashes.map((hash) => {
      const entry = Buffer.alloc(12);
      const { complete, downloaded, incomplete } = this.#counts(hash);
      [complete, downloaded, incomplete].forEach((n, i) => entry.writeInt32BE(n, 4 * i));
      return entry;
    });
    return Buffer.concat([head, ...entries]);
  }
}

/** Peers whose address has so many digits, as bytes. */
export function compact(peers: Told["peers"], digits: number): string {
  return peers
    .filter(({ address }) => address.length === digits)
    .map(({ address, port }) => {
      const bytes = Buffer.from(address, "hex").toString("latin1");
      return bytes + String.fromCharCode(port >> 8, port & 255);
    })
    .join("");
}

export function unescaped(raw: string): string {
  return raw
    .replaceAll("+", " ")
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function encode(value: Bencodable): string {
  if (typeof value === "number") return `i${value}e`;
  if (typeof value === "string") return `${value.length}:${value}`;
  if (Array.isArray(value)) return `l${value.map(encode).join("")}e`;
  const keys = [...value.keys()].sort();
  return `d${keys.map((key) => encode(key) + encode(value.get(key)!)).join("")}e`;
}
