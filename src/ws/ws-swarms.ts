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
  /** Read and changed by the functions here. */
  peers: Peer | OwnPeers | undefined;
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
 * More than one peer of a connection, or swarms that it left with unanswered offers; by info hash.
 * Those offers stay, and count for its next peer there: a client could stop and start again for
 * each announce, and pass on as many offers as it likes. They stay for SWARMS_LEFT_MAX swarms, and
 * of all further ones those that expire last: with all of them an address that stopped in 8,000
 * swarms on one connection after another held 80 MB more after half a minute.
 */
class OwnPeers {
  readonly all = new Map<string, Peer>();
  /** What is expected of the swarms that were left. */
  readonly left = new Map<string, Int32Array>();
}

/** What a connection has. Most have one peer, so that is kept as it is: a list takes 48 bytes. */
type PeersOf = Pick<PeerHolder, "peers">;

/** The peer of the connection in that swarm. */
export function peerOf({ peers }: PeersOf, infoHash: string): Peer | undefined {
  if (peers instanceof OwnPeers) return peers.all.get(infoHash);
  return peers?.swarm.infoHash === infoHash ? peers : undefined;
}

/** Calls `visit` with each of its peers, and with `now`; `visit` may remove it. */
export function eachPeerOf(
  { peers }: PeersOf,
  visit: (peer: Peer, now: number) => void,
  now = 0,
): void {
  if (peers instanceof OwnPeers) peers.all.forEach((peer) => visit(peer, now));
  else if (peers !== undefined) visit(peers, now);
}

/** Swarms that it left with unanswered offers; SWARMS_LEFT_MAX also stands for more. */
export function swarmsLeftBy({ peers }: PeersOf): number {
  if (!(peers instanceof OwnPeers)) return 0;
  return peers.left.has(FURTHER) ? SWARMS_LEFT_MAX : peers.left.size;
}

/** Forgets those of the swarms that it left which `isOver`. */
export function forgetLeft(holder: PeersOf, isOver: (expected: Int32Array) => boolean): void {
  const { peers } = holder;
  if (!(peers instanceof OwnPeers)) return;
  peers.left.forEach((expected, infoHash) => {
    if (isOver(expected)) peers.left.delete(infoHash);
  });
  shorten(holder, peers);
}

function give(holder: PeersOf, peer: Peer): void {
  if (holder.peers === undefined) {
    holder.peers = peer;
    return;
  }
  const { infoHash } = peer.swarm;
  const own = listOf(holder);
  own.all.set(infoHash, peer);
  if (peer.expected === undefined) {
    peer.expected = own.left.get(infoHash);
    own.left.delete(infoHash);
  }
  shorten(holder, own);
}

function take(holder: PeersOf, { expected, swarm }: Peer): void {
  if (expected === undefined && !(holder.peers instanceof OwnPeers)) {
    holder.peers = undefined;
    return;
  }
  const own = listOf(holder);
  own.all.delete(swarm.infoHash);
  if (expected !== undefined) keepLeft(own, swarm.infoHash, expected);
  shorten(holder, own);
}

function keepLeft({ left }: OwnPeers, infoHash: string, expected: Int32Array): void {
  if (left.size < SWARMS_LEFT_MAX) return void left.set(infoHash, expected);
  const further = left.get(FURTHER);
  if (further === undefined || lastSecond(further) < lastSecond(expected)) {
    left.set(FURTHER, expected);
  }
}

/** Its list, which is made if it has none. */
function listOf(holder: PeersOf): OwnPeers {
  const { peers } = holder;
  if (peers instanceof OwnPeers) return peers;
  const own = new OwnPeers();
  if (peers !== undefined) own.all.set(peers.swarm.infoHash, peers);
  holder.peers = own;
  return own;
}

/** Drops the list if it has no more than a peer. */
function shorten(holder: PeersOf, { all, left }: OwnPeers): void {
  if (left.size === 0 && all.size <= 1) holder.peers = all.values().next().value;
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
    give(holder, peer);
    holder.place.addPeers(1);
    this.peers += 1;
    return peer;
  }

  remove(peer: Peer): void {
    const { swarm, holder } = peer;
    if (peer.isSeeder) this.seeders -= 1;
    swarm.remove(peer);
    if (swarm.peers.length === 0) this.#all.delete(swarm.infoHash);
    take(holder, peer);
    holder.place.addPeers(-1);
    this.peers -= 1;
  }

  /** Gives a peer to another connection. */
  move(peer: Peer, holder: PeerHolder): void {
    take(peer.holder, peer);
    peer.holder.place.addPeers(-1);
    peer.holder = holder;
    give(holder, peer);
    holder.place.addPeers(1);
  }

  setSeeder(peer: Peer, seeder: boolean): void {
    if (peer.isSeeder === seeder) return;
    peer.swarm.setSeeder(peer, seeder);
    this.seeders += seeder ? 1 : -1;
  }
}
