/**
 * Several trackers of a cluster in one process, over a link and a clock that a test commands.
 *
 * Messages wait in the world until their time, and are lost, repeated, delayed, or cut off on the
 * way. Between two trackers they keep their order, as with NATS; those of different senders may
 * overtake each other. A tracker may have written a snapshot, with which another takes its
 * place. Everything follows from the seed.
 */
import { Access } from "../../src/access/access.ts";
import { Applying } from "../../src/cluster/applying.ts";
import { Outbox, Outboxes, outboxMemory } from "../../src/cluster/outbox.ts";
import { Sharing } from "../../src/cluster/sharing.ts";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_STARTED,
  EVENT_STOPPED,
  type Family,
} from "../../src/constants.ts";
import { PeerGate } from "../../src/gates/peer-gate.ts";
import { VERDICT_OK } from "../../src/gates/verdicts.ts";
import { Limits } from "../../src/limits/limits.ts";
import { type Judge, PutBack } from "../../src/swarm/put-back.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { Dump } from "../../src/swarm/dump.ts";
import { LEECHERS, peerSize, ROLES } from "../../src/swarm/blocks.ts";
import { RECORD_PEERS, recordCountAt, recordEnd } from "../../src/swarm/records.ts";
import { FAMILIES } from "../../src/constants.ts";
import { fixedKeys } from "../swarm/fixture.ts";
import { someMemory } from "../swarm/some-memory.ts";

export const KEPT_SECONDS = 2700;

/** A generator of numbers from 0 to 1 that a seed repeats. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Peer {
  swarm: number;
  peer: number;
  family?: Family;
}

/** Sees everything that happens, at the moment at which it takes effect: see oracle.ts. */
export interface Witness {
  /** A client has announced at `node`; `told` if the others are told of it. */
  announced(node: Node, peer: number, stops: boolean, seeder: boolean, told: boolean): void;
  /** A message goes to others. Returns what is to be known where it arrives. */
  sent(node: Node, bytes: Uint8Array): unknown;
  /** It has arrived; `applied` if it was a batch that was not ignored. */
  arrived(node: Node, bytes: Uint8Array, note: unknown, applied: boolean): void;
  /** A peer of a chunk is about to be put back. */
  puttingBack(node: Node, chunk: Uint8Array, peer: number): void;
  /** What a slice put back is there. */
  putBack(node: Node): void;
  /** These records are in a snapshot of `node`. Returns what is to be known when it is read. */
  written(node: Node, records: Uint8Array): unknown;
  /** They are about to be put back at `node`, which has started with the snapshot. */
  restoring(node: Node, records: Uint8Array, note: unknown): void;
}

/** A snapshot: its records, in chunks, and what else is in its file. */
export interface File {
  chunks: { records: Uint8Array; note: unknown }[];
  tick: number;
  at: number;
  notes: Uint8Array;
}

/** What goes wrong on the way, each from 0 to 1, and the longest delay in seconds. */
export interface Weather {
  lost: number;
  repeated: number;
  delay: number;
}

const CALM: Weather = { lost: 0, repeated: 0, delay: 0.05 };

interface Message {
  from: Node;
  to: Node;
  at: number;
  bytes: Uint8Array;
  note: unknown;
}

const STEP_SECONDS = 0.05;

export class Node {
  readonly sharing: Sharing;
  readonly store: Store;
  readonly tracker: Tracker;
  readonly outbox: Outbox;
  readonly applying: Applying;
  readonly pulls: string[] = [];
  /** When the last message to each other node arrives: those behind it arrive later. */
  readonly lastAt = new Map<Node, number>();
  helloAt = 0;
  up = true;
  alive = true;
  readonly #outboxWords: Int32Array;
  readonly #gate = new PeerGate(new Access(), new Limits(), false);

  readonly world: World;
  readonly name: string;
  readonly origin: string;

  constructor(world: World, name: string, origin: string) {
    this.world = world;
    this.name = name;
    this.origin = origin;
    const startedSeconds = 1_700_000_000 + world.clocksApart * (world.random() - 0.5);
    const keys = fixedKeys(Math.floor(2 ** 31 * world.random()));
    this.store = new Store(someMemory({ startedSeconds, memoryMax: world.memoryBytes }, keys));
    this.tracker = new Tracker(this.store, new ArrayBuffer(4096), new Int32Array([1, 2, 3, 4]));
    const memory = outboxMemory(1);
    this.#outboxWords = new Int32Array(memory, 0, 1);
    this.outbox = new Outbox(memory, 0, this.store.peerTicks);
    const applied = new Tracker(this.store, new ArrayBuffer(64), new Int32Array([5, 6, 7, 8]));
    this.applying = new Applying(applied, this.#gate);
    const node = this;
    this.sharing = new Sharing({
      ...{ origin, node: name, startedAt: world.now, store: this.store },
      applying: this.applying,
      outboxes: new Outboxes(memory),
      link: {
        get up() {
          return node.up;
        },
        sendAll: (bytes) => world.send(this, undefined, bytes),
        sendTo: (to, bytes) => world.send(this, to, bytes),
      },
      judge: () => this.#judge(),
      random: world.random,
      keptSeconds: () => KEPT_SECONDS,
      ownKeptSeconds: () => KEPT_SECONDS,
      ended: ({ outcome }) => this.pulls.push(outcome),
      forged: () => {
        throw new Error("a message in our name");
      },
      otherVersion: () => {
        throw new Error("another version");
      },
    });
  }

  /** Its link to the others comes or goes. */
  setUp(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    if (up) this.sharing.hello(this.world.now);
    else this.sharing.cutOff(this.world.now);
  }

  announce({ swarm, peer, family = 4 }: Peer, event = EVENT_STARTED, seeder = false): void {
    const { request } = this.tracker;
    request.infoHash.fill(0x11);
    request.infoHash[18] = swarm >>> 8;
    request.infoHash[19] = swarm;
    request.peer.fill(0x20);
    request.peer[1] = peer >>> 16;
    request.peer[2] = peer >>> 8;
    request.peer[3] = peer;
    const portAt = family === 4 ? 4 : 16;
    request.peer[portAt] = 0x1b;
    request.peer[portAt + 1] = 0x58;
    Object.assign(request, { family, event, seeder, wanted: 0, earlyTicks: 0 });
    const { now, witness } = this.world;
    this.tracker.announce(now);
    const [head] = this.#outboxWords;
    this.outbox.tell(request, this.tracker.reply, now);
    const told = this.#outboxWords[0] !== head;
    witness?.announced(this, peer, event === EVENT_STOPPED, seeder, told);
  }

  /** Writes a snapshot. */
  write(): File {
    const { now, witness } = this.world;
    const notes = this.sharing.keep(now);
    const chunks: File["chunks"] = [];
    this.#dump((records) => chunks.push({ records, note: witness?.written(this, records) }));
    return { chunks, tick: this.store.peerTicks.at(now), at: now, notes };
  }

  /** Begins with a snapshot, before it hears anything. */
  restore({ chunks, tick, at, notes }: File): void {
    const { now, witness } = this.world;
    const { store } = this;
    const alone = new Store({
      ...store.memory,
      settings: { ...store.memory.settings, restoring: true },
    });
    const back = new PutBack(alone, this.#judge());
    for (const { records, note } of chunks) {
      const tickSeconds = store.peerTicks.seconds;
      witness?.restoring(this, records, note);
      back.open(records, { tick, tickSeconds, elapsedSeconds: now - at }, now);
      while (back.next());
      witness?.putBack(this);
    }
    this.sharing.restore(notes, at, now);
  }

  #judge(): Judge {
    return {
      maySwarm: (hash) => this.#gate.judgeSwarm(hash) === VERDICT_OK,
      mayPeer: (bytes, at, family, port) => {
        this.world.witness?.puttingBack(this, bytes, peerAt(bytes, at));
        return this.#gate.passes(bytes, at, family, port);
      },
    };
  }

  /** All its peers, as `swarm family peer`, with `true` for seeders. */
  contents(): Map<string, boolean> {
    const found = new Map<string, boolean>();
    this.visit((swarm, family, peer, seeder) => found.set(`${swarm} ${family} ${peer}`, seeder));
    return found;
  }

  visit(visit: (swarm: number, family: Family, peer: number, seeder: boolean) => void): void {
    this.#dump((records) => readRecords(records, visit));
  }

  #dump(use: (records: Uint8Array) => void): void {
    const dump = new Dump(this.store, new Uint8Array(64 * 1024));
    while (!dump.done || dump.size > 0) {
      if (!dump.done && !dump.isFull) dump.slice(this.world.now, 10_000);
      if (dump.done || dump.isFull) {
        use(dump.chunk.slice(0, dump.size));
        dump.clear();
      }
    }
  }
}

/** The number of a peer: see `announce`. */
const peerAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];

/** Visits the peers of a chunk's records. */
export function readRecords(chunk: Uint8Array, visit: Parameters<Node["visit"]>[0]): void {
  const halves = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length >>> 1);
  for (let at = 0; at < chunk.length; at = recordEnd(halves, at, chunk.length)) {
    let from = at + RECORD_PEERS;
    for (const family of FAMILIES) {
      for (const role of ROLES) {
        const count = halves[(at + recordCountAt(family, role)) >>> 1];
        for (let i = 0; i < count; i++, from += peerSize(family)) {
          const swarm = (chunk[at + 18] << 8) | chunk[at + 19];
          visit(swarm, family, peerAt(chunk, from), role !== LEECHERS);
        }
      }
    }
  }
}

export interface WorldOptions {
  /** How many seconds the clocks of two nodes may differ. */
  clocksApart?: number;
  memoryBytes?: number;
  witness?: Witness;
}

export class World {
  readonly random: () => number;
  readonly nodes: Node[] = [];
  readonly clocksApart: number;
  readonly memoryBytes: number;
  readonly witness: Witness | undefined;
  weather: Weather = CALM;
  /** Pairs of nodes between which nothing passes. */
  readonly cuts = new Set<string>();
  /** Messages on their way, by the step in which they arrive. */
  readonly #messages = new Map<number, Message[]>();
  #step = 0;
  #origins = 0;

  constructor(seed: number, count: number, options: WorldOptions = {}) {
    const { clocksApart = 0, memoryBytes = 16 * 2 ** 20, witness } = options;
    this.random = randomOf(seed);
    this.clocksApart = clocksApart;
    this.memoryBytes = memoryBytes;
    this.witness = witness;
    for (let i = 0; i < count; i++) this.nodes.push(this.#start(`node${i}`));
  }

  get now(): number {
    return 1000 + this.#step * STEP_SECONDS;
  }

  #start(name: string): Node {
    const origin = (++this.#origins).toString(16).padStart(16, "0");
    const node = new Node(this, name, origin);
    node.helloAt = this.now + this.random();
    return node;
  }

  /** A node ends without a word, and another takes its place with a snapshot, or with nothing. */
  restart(at: number, file?: File): void {
    this.nodes[at].alive = false;
    this.nodes[at] = this.#start(this.nodes[at].name);
    if (file !== undefined) this.nodes[at].restore(file);
  }

  cut(a: number, b: number, isCut: boolean): void {
    const pair = pairOf(this.nodes[a], this.nodes[b]);
    if (isCut) this.cuts.add(pair);
    else this.cuts.delete(pair);
  }

  send(from: Node, to: string | undefined, bytes: Uint8Array): boolean {
    if (!from.up) return false;
    const note = this.witness?.sent(from, bytes);
    for (const node of this.nodes) {
      if (node === from || (to !== undefined && node.origin !== to)) continue;
      if (this.random() < this.weather.lost) continue;
      const copies = this.random() < this.weather.repeated ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        const delayed = this.now + this.random() * this.weather.delay;
        // Those of one sender keep their order.
        const at = Math.max(delayed, from.lastAt.get(node) ?? 0);
        from.lastAt.set(node, at);
        this.#post({ from, to: node, at, bytes: bytes.slice(), note });
      }
    }
    return true;
  }

  #post(message: Message): void {
    const step = Math.max(this.#step + 1, Math.ceil((message.at - 1000) / STEP_SECONDS));
    const messages = this.#messages.get(step);
    if (messages === undefined) this.#messages.set(step, [message]);
    else messages.push(message);
  }

  /** Lets `seconds` pass, in steps of 50 ms. */
  run(seconds: number): void {
    for (let steps = Math.ceil(seconds / STEP_SECONDS - 1e-9); steps > 0; steps--) {
      this.#step += 1;
      this.#deliver();
      for (const node of this.nodes) this.#turn(node);
    }
  }

  #turn(node: Node): void {
    const { now } = this;
    node.sharing.turn(now);
    for (let n = 0; n < 50 && node.sharing.works; n++) {
      node.sharing.slice(now);
      this.witness?.putBack(node);
    }
    if (now < node.helloAt) return;
    node.helloAt = now + 1;
    node.sharing.hello(now);
  }

  #deliver(): void {
    const due = this.#messages.get(this.#step);
    if (due === undefined) return;
    this.#messages.delete(this.#step);
    for (const { from, to, bytes, note } of due.sort((a, b) => a.at - b.at)) {
      if (!to.alive || !to.up || !from.alive || this.cuts.has(pairOf(from, to))) continue;
      const { deltas } = to.applying.counts;
      to.sharing.heard(bytes, this.now);
      const applied = to.applying.counts.deltas !== deltas;
      this.witness?.arrived(to, bytes, note, applied);
    }
  }
}

const pairOf = (a: Node, b: Node): string =>
  a.name < b.name ? `${a.name},${b.name}` : `${b.name},${a.name}`;

export { EVENT_COMPLETED, EVENT_NONE, EVENT_STARTED, EVENT_STOPPED };
