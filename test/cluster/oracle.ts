/**
 * What each tracker of a simulated cluster must have in the end, known exactly.
 *
 * The oracle sees each announce, and each message at the moment at which it takes effect. So for
 * each tracker and peer it knows
 *
 *   event     the announce by which the tracker has the peer, or has it no more: those of a peer
 *             are numbered in the order in which the client made them
 *   role      what that announce said: leecher, seeder, or stopped
 *   latest    the highest event that ever took effect there
 *   reached   the events that arrived there, whether they took effect or not
 *
 * The truth about a peer is the highest event that ever took effect at a tracker that lives, or at
 * one whose peers it took over: a peer that stopped is not among them. In the end each tracker must
 * have the peer as that event said, with two exceptions:
 *
 *   missed      the event is a stop, and it never reached this tracker: a stop is no state, so
 *               nothing brings it back
 *   overtaken   the event took effect here, and after it one that was older: a batch of another
 *               sender, or a chunk of a tracker that did not know better. The same happened to the
 *               tracker that it asked for what it lacked
 *
 * Nothing else is excused. A start that was overtaken wherever it was known is known no more: then
 * the next lower event that some tracker has is the truth. An announce that is told to nobody,
 * because it says nothing new, is no event. What a tracker really has is compared too, so a fault
 * in applying is found as well.
 */
import { KIND_ASK, KIND_DELTAS, KIND_STATE, readMessage } from "../../src/cluster/wire.ts";
import { CHUNK_HEADER_BYTES } from "../../src/snapshot/format.ts";
import { type Node, readRecords, type Witness } from "./world.ts";

const STOPPED = 0;
const LEECHER = 1;
const SEEDER = 2;
const ROLE_NAMES = ["stopped", "leecher", "seeder"];

interface Event {
  peer: number;
  event: number;
  role: number;
}

/** What a giver says in a chunk. */
interface Gift {
  /** By which event it had each of the peers. */
  had: Map<number, Event>;
  /**
   * The latest events of peers that it has not by these: a stop took the peer away, or something
   * older took effect later.
   */
  hadNot: Map<number, number>;
}

/** What is known of one tracker. */
class View {
  readonly events: Int32Array;
  readonly roles: Uint8Array;
  readonly latest: Int32Array;
  /** The latest events of peers that its givers knew, and had not by these. */
  readonly latestOfGivers: Int32Array;
  /** All that took effect, of each peer. */
  readonly history = new Map<number, Event[]>();
  readonly reached = new Set<Event>();
  /** Events that were told and are not in a batch yet. */
  readonly told: Event[] = [];
  /** The session of the pull that runs, and the chunks that came. */
  session = 0;
  readonly chunks: { records: Uint8Array; gift: Gift }[] = [];
  records: Uint8Array | undefined;
  gift: Gift | undefined;
  /** Peers of the slice that is being put back. */
  readonly puttingBack: number[] = [];

  constructor(peers: number) {
    this.events = new Int32Array(peers);
    this.roles = new Uint8Array(peers);
    this.latest = new Int32Array(peers);
    this.latestOfGivers = new Int32Array(peers);
  }

  /** The latest event that took effect here, or at a tracker whose peers were taken over. */
  known(peer: number): number {
    return Math.max(this.latest[peer], this.latestOfGivers[peer]);
  }

  takeEffect(one: Event): void {
    const { peer, event, role } = one;
    const history = this.history.get(peer);
    if (history === undefined) this.history.set(peer, [one]);
    else history.push(one);
    this.events[peer] = event;
    this.roles[peer] = role;
    this.latest[peer] = Math.max(this.latest[peer], event);
  }
}

export class Oracle implements Witness {
  /** How often a tracker was excused. */
  readonly excused = { missed: 0, overtaken: 0 };
  readonly #peers: number;
  readonly #views = new Map<Node, View>();
  /** The events of each peer. */
  readonly #events: Event[][];
  readonly #faults: string[] = [];

  /** Peers are numbered from 0. */
  constructor(peers: number) {
    this.#peers = peers;
    this.#events = Array.from({ length: peers }, () => []);
  }

  announced(node: Node, peer: number, stops: boolean, seeder: boolean, told: boolean): void {
    if (!told) return;
    const events = this.#events[peer];
    const role = stops ? STOPPED : seeder ? SEEDER : LEECHER;
    const event = { peer, event: events.length + 1, role };
    events.push(event);
    const view = this.#viewOf(node);
    view.told.push(event);
    view.reached.add(event);
    view.takeEffect(event);
  }

  sent(node: Node, bytes: Uint8Array): unknown {
    const view = this.#viewOf(node);
    const message = readMessage(bytes);
    if (typeof message === "string") throw new Error(message);
    if (message.kind === KIND_DELTAS) return this.#batch(node, view, message.records);
    if (message.kind === KIND_STATE && message.chunk !== undefined) {
      return giftOf(view, message.chunk.slice(CHUNK_HEADER_BYTES));
    }
    if (message.kind === KIND_ASK && message.begins) {
      view.chunks.length = 0;
      view.session = message.session;
    }
    return undefined;
  }

  arrived(node: Node, bytes: Uint8Array, note: unknown, applied: boolean): void {
    if (note === undefined) return;
    const view = this.#viewOf(node);
    if (Array.isArray(note)) {
      for (const event of note as Event[]) {
        view.reached.add(event);
        if (applied) view.takeEffect(event);
      }
      return;
    }
    const message = readMessage(bytes);
    if (typeof message === "string" || message.kind !== KIND_STATE) return;
    if (message.session !== view.session) return;
    this.#take(view, message.chunk!.slice(CHUNK_HEADER_BYTES), note as Gift);
  }

  #take(view: View, records: Uint8Array, gift: Gift): void {
    view.chunks.push({ records, gift });
    for (const [peer, latest] of gift.hadNot) {
      view.latestOfGivers[peer] = Math.max(view.latestOfGivers[peer], latest);
    }
  }

  written(node: Node, records: Uint8Array): Gift {
    return giftOf(this.#viewOf(node), records);
  }

  restoring(node: Node, records: Uint8Array, note: unknown): void {
    this.#take(this.#viewOf(node), records, note as Gift);
  }

  puttingBack(node: Node, records: Uint8Array, peer: number): void {
    const view = this.#viewOf(node);
    if (view.records !== records) {
      view.records = records;
      const chunk = view.chunks.find((one) => Buffer.compare(one.records, records) === 0);
      if (chunk === undefined) throw new Error("a chunk that never came");
      view.gift = chunk.gift;
    }
    view.puttingBack.push(peer);
  }

  putBack(node: Node): void {
    const view = this.#viewOf(node);
    if (view.puttingBack.length === 0) return;
    const roles = this.#rolesOf(node);
    const gift = view.gift!;
    for (const peer of view.puttingBack) {
      const { event, role } = gift.had.get(peer)!;
      const [had, now] = [view.roles[peer], roles[peer]];
      if (now !== role && (now !== had || had === STOPPED)) {
        this.#faults.push(
          `${node.name} had peer ${peer} as ${ROLE_NAMES[had]}, got it as ${ROLE_NAMES[role]}, ` +
            `and has it as ${ROLE_NAMES[now]}`,
        );
      }
      if (now !== role) continue;
      // Where both say the same, the newer one is why it is there.
      const isSame = had === now;
      const newer = isSame ? Math.max(event, view.events[peer]) : event;
      view.takeEffect({ peer, event: newer, role: now });
    }
    view.puttingBack.length = 0;
  }

  /** What is wrong with these trackers, which are all that live, one sentence each. */
  faults(nodes: readonly Node[]): string[] {
    const found = [...this.#faults];
    this.excused.missed = this.excused.overtaken = 0;
    const views = nodes.map((node) => this.#viewOf(node));
    for (const [at, node] of nodes.entries()) found.push(...this.#differences(node, views[at]));
    for (let peer = 0; peer < this.#peers; peer++) {
      const truth = this.#truth(views, peer);
      if (truth === undefined) continue;
      for (const [at, view] of views.entries()) {
        if (view.roles[peer] === truth.role || this.#isExcused(view, truth)) continue;
        found.push(
          `${nodes[at].name} has peer ${peer} as ${ROLE_NAMES[view.roles[peer]]} by its event ` +
            `${view.events[peer]}, and by event ${truth.event} it is ${ROLE_NAMES[truth.role]}`,
        );
      }
    }
    return found;
  }

  #truth(views: readonly View[], peer: number): Event | undefined {
    const latest = Math.max(...views.map((view) => view.known(peer)));
    const last = this.#events[peer][latest - 1];
    if (last === undefined || last.role === STOPPED) return last;
    return this.#events[peer][Math.max(...views.map(({ events }) => events[peer])) - 1];
  }

  #isExcused(view: View, truth: Event): boolean {
    const { peer, event, role } = truth;
    const stops = role === STOPPED;
    const overtaken = (stops ? view.latest[peer] : view.known(peer)) >= event;
    if (overtaken) this.excused.overtaken += 1;
    else if (!stops || view.reached.has(truth)) return false;
    else this.excused.missed += 1;
    return true;
  }

  /** Where a tracker has something else than the messages that took effect say. */
  #differences(node: Node, { roles }: View): string[] {
    const actual = this.#rolesOf(node);
    const found: string[] = [];
    for (let peer = 0; peer < this.#peers; peer++) {
      if (actual[peer] === roles[peer]) continue;
      const [has, wanted] = [ROLE_NAMES[actual[peer]], ROLE_NAMES[roles[peer]]];
      found.push(`${node.name} has peer ${peer} as ${has}, and was told ${wanted}`);
    }
    return found;
  }

  #rolesOf(node: Node): Uint8Array {
    const roles = new Uint8Array(this.#peers);
    node.visit((_swarm, _family, peer, seeder) => {
      roles[peer] = seeder ? SEEDER : LEECHER;
    });
    return roles;
  }

  /** The events of a batch; those of batches that were thrown away before it are passed over. */
  #batch(node: Node, view: View, records: Uint8Array): Event[] {
    const { deltas, lostAway, lostSlow } = node.sharing.sending.counts;
    const first = deltas + lostAway + lostSlow;
    const count = countOf(records);
    return view.told.slice(first, first + count);
  }

  #viewOf(node: Node): View {
    let view = this.#views.get(node);
    if (view === undefined) this.#views.set(node, (view = new View(this.#peers)));
    return view;
  }
}

/** The events by which a giver had the peers of a chunk, a moment ago. */
function giftOf(view: View, records: Uint8Array): Gift {
  const had: Gift["had"] = new Map();
  readRecords(records, (_swarm, _family, peer, seeder) => {
    const role = seeder ? SEEDER : LEECHER;
    const event = view.history.get(peer)?.findLast((one) => one.role === role);
    if (event === undefined) throw new Error(`a chunk with peer ${peer}, which never was that`);
    had.set(peer, event);
  });
  const hadNot: Gift["hadNot"] = new Map();
  for (const [peer, role] of view.roles.entries()) {
    const known = view.known(peer);
    if (known > (role === STOPPED ? 0 : view.events[peer])) hadNot.set(peer, known);
  }
  return { had, hadNot };
}

function countOf(records: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < records.length; at += (records[at] & 1) === 0 ? 28 : 40) count += 1;
  return count;
}
