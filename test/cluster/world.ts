/**
 * Several trackers of a cluster in one process, over a link and a clock that a test commands.
 *
 * Messages wait in the world until their time, and are lost, repeated, delayed, or cut off on the
 * way. Between two trackers they keep their order, as with NATS; those of different senders may
 * overtake each other. Everything follows from the seed.
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
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { Dump } from "../../src/swarm/dump.ts";
import { LEECHERS, peerSize, ROLES } from "../../src/swarm/blocks.ts";
import { RECORD_PEERS, recordCountAt, recordEnd } from "../../src/swarm/records.ts";
import { FAMILIES } from "../../src/constants.ts";
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
}

export class Node {
  readonly sharing: Sharing;
  readonly store: Store;
  readonly tracker: Tracker;
  readonly outbox: Outbox;
  readonly pulls: string[] = [];
  up = true;
  alive = true;

  readonly world: World;
  readonly name: string;
  readonly origin: string;

  constructor(world: World, name: string, origin: string) {
    this.world = world;
    this.name = name;
    this.origin = origin;
    this.store = new Store(someMemory({ startedSeconds: 1_700_000_000 }));
    this.tracker = new Tracker(this.store, new ArrayBuffer(4096), new Int32Array([1, 2, 3, 4]));
    const memory = outboxMemory(1);
    this.outbox = new Outbox(memory, 0, this.store.peerTicks);
    const gate = new PeerGate(new Access(), new Limits(), false);
    const applied = new Tracker(this.store, new ArrayBuffer(64), new Int32Array([5, 6, 7, 8]));
    const node = this;
    this.sharing = new Sharing({
      ...{ origin, node: name, store: this.store },
      applying: new Applying(applied, gate),
      outboxes: new Outboxes(memory),
      link: {
        get up() {
          return node.up;
        },
        sendAll: (bytes) => world.send(this, undefined, bytes),
        sendTo: (to, bytes) => world.send(this, to, bytes),
      },
      judge: () => ({
        maySwarm: (hash) => gate.judgeSwarm(hash) === VERDICT_OK,
        mayPeer: (bytes, at, family, port) => gate.passes(bytes, at, family, port),
      }),
      random: world.random,
      keptSeconds: () => KEPT_SECONDS,
      restoredSeconds: () => Infinity,
      ended: (outcome) => this.pulls.push(outcome),
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
    this.tracker.announce(this.world.now);
    this.outbox.tell(request, this.tracker.reply, this.world.now);
  }

  /** All its peers, as `swarm family peer`, with `true` for seeders. */
  contents(): Map<string, boolean> {
    const found = new Map<string, boolean>();
    const dump = new Dump(this.store, new Uint8Array(64 * 1024));
    while (!dump.done || dump.size > 0) {
      if (!dump.done && !dump.isFull) dump.slice(this.world.now, 10_000);
      if (dump.done || dump.isFull) {
        readRecords(dump.chunk.subarray(0, dump.size), found);
        dump.clear();
      }
    }
    return found;
  }
}

function readRecords(chunk: Uint8Array, found: Map<string, boolean>): void {
  const halves = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length >>> 1);
  for (let at = 0; at < chunk.length; at = recordEnd(halves, at, chunk.length)) {
    let peerAt = at + RECORD_PEERS;
    for (const family of FAMILIES) {
      for (const role of ROLES) {
        const count = halves[(at + recordCountAt(family, role)) >>> 1];
        for (let i = 0; i < count; i++, peerAt += peerSize(family)) {
          const swarm = (chunk[at + 18] << 8) | chunk[at + 19];
          const peer = (chunk[peerAt + 1] << 16) | (chunk[peerAt + 2] << 8) | chunk[peerAt + 3];
          found.set(`${swarm} ${family} ${peer}`, role !== LEECHERS);
        }
      }
    }
  }
}

export class World {
  readonly random: () => number;
  readonly nodes: Node[] = [];
  weather: Weather = CALM;
  now = 1000;
  /** Pairs of nodes between which nothing passes. */
  readonly cuts = new Set<string>();
  #messages: Message[] = [];
  #origins = 0;
  #helloAt = new Map<Node, number>();

  constructor(seed: number, count: number) {
    this.random = randomOf(seed);
    for (let i = 0; i < count; i++) this.nodes.push(this.#start(`node${i}`));
  }

  #start(name: string): Node {
    const origin = (++this.#origins).toString(16).padStart(16, "0");
    const node = new Node(this, name, origin);
    this.#helloAt.set(node, this.now + this.random());
    return node;
  }

  /** A node ends without a word, and another takes its place with nothing. */
  restart(at: number): void {
    this.nodes[at].alive = false;
    this.nodes[at] = this.#start(this.nodes[at].name);
  }

  cut(a: number, b: number, isCut: boolean): void {
    const pair = [this.nodes[a].name, this.nodes[b].name].sort().join();
    if (isCut) this.cuts.add(pair);
    else this.cuts.delete(pair);
  }

  send(from: Node, to: string | undefined, bytes: Uint8Array): boolean {
    if (!from.up) return false;
    for (const node of this.nodes) {
      if (node === from || (to !== undefined && node.origin !== to)) continue;
      if (this.random() < this.weather.lost) continue;
      const copies = this.random() < this.weather.repeated ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        const delayed = this.now + this.random() * this.weather.delay;
        // Those of one sender keep their order.
        const last = this.#messages.findLast((other) => other.from === from && other.to === node);
        const at = Math.max(delayed, last?.at ?? 0);
        this.#messages.push({ from, to: node, at, bytes: bytes.slice() });
      }
    }
    return true;
  }

  /** Lets `seconds` pass, in steps of 50 ms. */
  run(seconds: number): void {
    const end = this.now + seconds;
    while (this.now < end) {
      this.now += 0.05;
      this.#deliver();
      for (const node of this.nodes) this.#turn(node);
    }
  }

  #turn(node: Node): void {
    node.sharing.turn(this.now);
    for (let n = 0; n < 50 && node.sharing.works; n++) node.sharing.slice(this.now);
    if (this.now < this.#helloAt.get(node)!) return;
    this.#helloAt.set(node, this.now + 1);
    node.sharing.hello(this.now);
  }

  #deliver(): void {
    const due = this.#messages.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at);
    this.#messages = this.#messages.filter(({ at }) => at > this.now);
    for (const { from, to, bytes } of due) {
      const pair = [from.name, to.name].sort().join();
      if (!to.alive || !to.up || !from.alive || this.cuts.has(pair)) continue;
      to.sharing.heard(bytes, this.now);
    }
  }
}

export { EVENT_COMPLETED, EVENT_NONE, EVENT_STARTED, EVENT_STOPPED };
