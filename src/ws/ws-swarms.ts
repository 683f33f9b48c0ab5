/**
 * Swarms of WebSocket peers: who can be offered a WebRTC connection.
 *
 *   info hash ─► swarm: peers   [ seeder │ seeder │ leecher │ leecher │ … ]
 *                               0                 seeders                count
 *                       by id   a Map from 17 peers on; a search before
 *
 * They are apart from the swarms of HTTP and UDP, because no peer of one can connect to a peer of
 * the other; and plain objects, since the socket of a peer takes more memory than all of this: 430
 * bytes for a connection with a peer. A swarm exists while it has a peer. A connection has one peer
 * in a swarm.
 */
import type { Family } from "../constants.ts";
import type { Place } from "../net/tunnel.ts";

/** Peers of a swarm, or of a connection, that are searched one after the other. */
const SEARCHED_MAX = 16;

/** A connection that has left more swarms with unanswered offers makes none in others. */
export const SWARMS_LEFT_MAX = 64;

/** Stands for all further swarms that a connection has left. */
const FURTHER = "";

/** What a peer needs of its connection. */
export interface PeerHolder {
  readonly peers: OwnPeers;
  readonly place: Place;
  readonly family: Family;
  /** Writes the address of the client to the first 4 or 16 bytes. */
  writeAddress(bytes: Uint8Array): void;
  /** Different for each connection. */
  readonly number: number;
  /** True if it does not take what was sent: nothing is passed on to it meanwhile. */
  readonly isFull: boolean;
  /** Sends it a text frame: two texts, and these bytes of UTF-8 between them. */
  relay(before: string, bytes: Uint8Array, after: string): void;
  /** Asks whether it lives; it is closed without an answer. */
  challenge(): void;
  /** True if both have the same address. */
  isBeside(other: PeerHolder): boolean;
}

export class Peer {
  holder: PeerHolder;
  id: string;
  readonly swarm: Swarm;
  /** Its index in the swarm. */
  index = 0;
  /** True if its download is counted. */
  counted = false;
  /** The second after which it is forgotten, unless it announces. */
  expires = 0;
  /** Its offers that may be answered; see offers.ts. */
  expected: Int32Array | undefined = undefined;

  constructor(holder: PeerHolder, id: string, swarm: Swarm) {
    this.holder = holder;
    this.id = id;
    this.swarm = swarm;
  }

  get isSeeder(): boolean {
    return this.index < this.swarm.seeders;
  }
}

export class Swarm {
  readonly infoHash: string;
  readonly peers: Peer[] = [];
  /** How many of `peers` are seeders; those come first. */
  seeders = 0;
  #byId: Map<string, Peer> | undefined = undefined;

  constructor(infoHash: string) {
    this.infoHash = infoHash;
  }

  get leechers(): number {
    return this.peers.length - this.seeders;
  }

  find(id: string): Peer | undefined {
    return this.#byId === undefined
      ? this.peers.find((peer) => peer.id === id)
      : this.#byId.get(id);
  }

  add(peer: Peer): void {
    peer.index = this.peers.length;
    this.peers.push(peer);
    if (this.#byId !== undefined) this.#byId.set(peer.id, peer);
    else if (this.peers.length > SEARCHED_MAX) this.#makeMap();
  }

  #makeMap(): void {
    this.#byId = new Map(this.peers.map((peer) => [peer.id, peer]));
  }

  remove(peer: Peer): void {
    this.setSeeder(peer, false);
    this.#swap(peer.index, this.peers.length - 1);
    this.peers.pop();
    this.#byId?.delete(peer.id);
    if (this.peers.length <= SEARCHED_MAX / 2) this.#byId = undefined;
  }

  rename(peer: Peer, id: string): void {
    this.#byId?.delete(peer.id);
    peer.id = id;
    this.#byId?.set(id, peer);
  }

  setSeeder(peer: Peer, seeder: boolean): void {
    if (peer.isSeeder === seeder) return;
    this.#swap(peer.index, seeder ? this.seeders : this.seeders - 1);
    this.seeders += seeder ? 1 : -1;
  }

  #swap(a: number, b: number): void {
    const { peers } = this;
    const one = peers[a];
    const other = peers[b];
    peers[a] = other;
    peers[b] = one;
    other.index = a;
    one.index = b;
  }
}

/**
 * The peers of one connection, by info hash. Most connections have one. Of a peer that left, its
 * unanswered offers stay, and count for the next one in its swarm: a client could stop and start
 * again for each announce, and pass on as many offers as it likes. They stay for SWARMS_LEFT_MAX
 * swarms, and of all further ones those that expire last: with all of them an address that stopped
 * in 8,000 swarms on one connection after another held 80 MB more after half a minute. It takes
 * 48 bytes; a second getter would make it 64, as the engine leaves room for what may replace it.
 */
export class OwnPeers {
  #only: Peer | undefined = undefined;
  #more: Map<string, Peer> | undefined = undefined;
  #left: Map<string, Int32Array> | undefined = undefined;

  get(infoHash: string): Peer | undefined {
    if (this.#more !== undefined) return this.#more.get(infoHash);
    return this.#only?.swarm.infoHash === infoHash ? this.#only : undefined;
  }

  /** Swarms that were left with unanswered offers; SWARMS_LEFT_MAX also stands for more. */
  get left(): number {
    const left = this.#left;
    if (left === undefined) return 0;
    return left.has(FURTHER) ? SWARMS_LEFT_MAX : left.size;
  }

  /** Forgets those of the swarms that were left which `isOver`. */
  forgetLeft(isOver: (expected: Int32Array) => boolean): void {
    this.#left?.forEach((expected, infoHash) => {
      if (isOver(expected)) this.#left!.delete(infoHash);
    });
    if (this.#left?.size === 0) this.#left = undefined;
  }

  add(peer: Peer): void {
    const { infoHash } = peer.swarm;
    if (peer.expected === undefined) {
      peer.expected = this.#left?.get(infoHash);
      this.#left?.delete(infoHash);
    }
    if (this.#more !== undefined) this.#more.set(infoHash, peer);
    else if (this.#only === undefined) this.#only = peer;
    else {
      this.#more = new Map([
        [this.#only.swarm.infoHash, this.#only],
        [infoHash, peer],
      ]);
      this.#only = undefined;
    }
  }

  remove(peer: Peer): void {
    const { expected, swarm } = peer;
    if (expected !== undefined) this.#keep(swarm.infoHash, expected);
    if (this.#only === peer) this.#only = undefined;
    this.#more?.delete(peer.swarm.infoHash);
    if (this.#more?.size === 0) this.#more = undefined;
  }

  #keep(infoHash: string, expected: Int32Array): void {
    const left = (this.#left ??= new Map());
    if (left.size < SWARMS_LEFT_MAX) return void left.set(infoHash, expected);
    const further = left.get(FURTHER);
    if (further === undefined || lastSecond(further) < lastSecond(expected)) {
      left.set(FURTHER, expected);
    }
  }

  /** Calls `visit` with each, and with `now`; `visit` may remove it. */
  forEach(visit: (peer: Peer, now: number) => void, now = 0): void {
    if (this.#only !== undefined) visit(this.#only, now);
    else this.#more?.forEach((peer) => visit(peer, now));
  }
}

/** The last second in which one of these offers may be answered. */
function lastSecond(expected: Int32Array): number {
  let last = 0;
  for (let at = 1; at < expected.length; at += 2) last = Math.max(last, expected[at]);
  return last;
}

/** All swarms. */
export class Swarms {
  readonly #all = new Map<string, Swarm>();
  /** Peers in all swarms. */
  peers = 0;
  /** Of these, seeders; kept by `setSeeder`, `add` and `remove`. */
  seeders = 0;

  get size(): number {
    return this.#all.size;
  }

  get(infoHash: string): Swarm | undefined {
    return this.#all.get(infoHash);
  }

  /** The info hashes, which may go away while they are read. */
  infoHashes(): IterableIterator<string> {
    return this.#all.keys();
  }

  /** Stores a new peer of the connection, as a leecher; the swarm is made if it does not exist. */
  add(holder: PeerHolder, infoHash: string, id: string): Peer {
    let swarm = this.#all.get(infoHash);
    if (swarm === undefined) {
      swarm = new Swarm(infoHash);
      this.#all.set(infoHash, swarm);
    }
    const peer = new Peer(holder, id, swarm);
    swarm.add(peer);
    holder.peers.add(peer);
    holder.place.addPeers(1);
    this.peers += 1;
    return peer;
  }

  remove(peer: Peer): void {
    const { swarm, holder } = peer;
    if (peer.isSeeder) this.seeders -= 1;
    swarm.remove(peer);
    if (swarm.peers.length === 0) this.#all.delete(swarm.infoHash);
    holder.peers.remove(peer);
    holder.place.addPeers(-1);
    this.peers -= 1;
  }

  /** Gives a peer to another connection. */
  move(peer: Peer, holder: PeerHolder): void {
    peer.holder.peers.remove(peer);
    peer.holder.place.addPeers(-1);
    peer.holder = holder;
    holder.peers.add(peer);
    holder.place.addPeers(1);
  }

  setSeeder(peer: Peer, seeder: boolean): void {
    if (peer.isSeeder === seeder) return;
    peer.swarm.setSeeder(peer, seeder);
    this.seeders += seeder ? 1 : -1;
  }
}
