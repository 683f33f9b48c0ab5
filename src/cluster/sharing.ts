/**
 * One tracker of a cluster: what it tells, what it hears, and what it asks for.
 *
 *   every 50 ms    outboxes ─► batches ─► link              (sending.ts; if busy, every 100 ms)
 *   every second   hello: here I am, up to here I have all of the others
 *   a message      deltas ─► ledger ─► core                 (ledger.ts, applying.ts)
 *                  hello  ─► ledger
 *                  ask    ─► a session that gives           (giving.ts)
 *                  state  ─► waits, and is put back         (taking.ts)
 *
 * Time, link and randomness are arguments, so a test runs several of them in one process and cuts,
 * delays and loses what it likes. Announces never wait for any of this.
 */
import type { Judge } from "../swarm/put-back.ts";
import type { Store } from "../swarm/store.ts";
import type { Applying } from "./applying.ts";
import { nodesOf, round, type SharingFigures } from "./cluster-figures.ts";
import { Giving } from "./giving.ts";
import { keptBytes, readKept } from "./kept.ts";
import { Ledger } from "./ledger.ts";
import type { Link } from "./link.ts";
import type { Had } from "./wire.ts";
import type { Outboxes } from "./outbox.ts";
import { Sending } from "./sending.ts";
import { Taking, type TakingParts } from "./taking.ts";
import {
  askMessage,
  helloMessage,
  KIND_ASK,
  KIND_DELTAS,
  KIND_HELLO,
  type Message,
  readMessage,
  senderOf,
  stateMessage,
} from "./wire.ts";

export interface SharingParts {
  /** Its origin: 16 hexadecimal digits, random for each start. */
  origin: string;
  /** Its name. */
  node: string;
  /** When it started. */
  startedAt: number;
  store: Store;
  applying: Applying;
  outboxes: Outboxes;
  link: Pick<Link, "up" | "sendAll" | "sendTo">;
  judge: () => Judge;
  random: () => number;
  /** How long a peer is kept at present, in seconds; and without what the others ask for. */
  keptSeconds: () => number;
  ownKeptSeconds: () => number;
  /** Called when the peers of another have been taken over, or could not be. */
  ended: TakingParts["ended"];
  /** Called for a message of another version of the format, with what it says of its sender. */
  otherVersion: (version: number, node: string) => void;
  /** Called for a message with our origin and a number that we have not reached. */
  forged: () => void;
}

export class Sharing {
  readonly ledger: Ledger;
  readonly sending: Sending;
  readonly giving: Giving;
  readonly taking: Taking;
  readonly counts = { receivedBytes: 0, bad: 0, version: 0 };
  readonly #parts: SharingParts;
  #drains = false;

  constructor(parts: SharingParts) {
    this.#parts = parts;
    const { origin, outboxes, link, store } = parts;
    this.ledger = new Ledger(origin);
    this.sending = new Sending(origin, outboxes, link);
    this.giving = new Giving(store);
    this.taking = new Taking({
      ...parts,
      ledger: this.ledger,
      send: (giver, ask) => void link.sendTo(giver, askMessage(this.#self, ask)),
    });
  }

  /** Sends the waiting deltas, and begins a pull if one is needed. True: call it again soon. */
  turn(now: number): boolean {
    const hurries = this.sending.turn();
    if (this.#parts.link.up) this.taking.tick(now);
    return hurries;
  }

  /** Says that it is there; once a second. */
  hello(now: number): void {
    const { link, node, keptSeconds, ownKeptSeconds } = this.#parts;
    const kept = keptSeconds();
    this.ledger.forget(now, kept);
    this.giving.expire(now);
    const hello = {
      ...{ keepsSeconds: ownKeptSeconds(), drains: this.#drains, name: node },
      ...{ behind: this.ledger.behind, partial: this.#isPartial },
      ...{ upSeconds: now - this.#parts.startedAt, clockSeconds: this.clock(now) },
      had: this.ledger.had(now, kept),
    };
    link.sendAll(helloMessage(this.#self, hello));
  }

  /**
   * What a snapshot of this moment has to tell: which batches its peers stand for. Waiting deltas
   * are sent before, because their peers are in the snapshot already.
   */
  keep(now: number): Uint8Array {
    while (this.sending.send());
    const own = { ...this.#own(now), wholeSeconds: 0, namedSeconds: 0 };
    const others = this.ledger.keep(now, this.#parts.keptSeconds());
    const behind = this.ledger.behind && this.ledger.lacksAll;
    return keptBytes({ behind, origins: [own, ...others] });
  }

  /**
   * A snapshot was restored, which was begun at `at`; -Infinity if that is not known. `kept` is
   * what `keep` said then; if it says nothing, the peers are those of an origin that no other
   * tracker knows. Call it before anything is heard.
   */
  restore(kept: Uint8Array | undefined, at: number, now: number): void {
    const known = kept === undefined ? undefined : readKept(kept);
    this.ledger.lacksAll = known?.behind ?? true;
    const origin = crypto.getRandomValues(new Uint8Array(8)).toHex();
    const unknown = { origin, number: 1, heard: 1, wholeSeconds: 0, namedSeconds: 0 };
    this.ledger.restore(known?.origins ?? [unknown], at, now);
  }

  /** Sends the waiting deltas, and tells the other trackers that this one ends. */
  drain(now: number): void {
    this.#drains = true;
    this.sending.send();
    this.hello(now);
  }

  /** The link is lost. */
  cutOff(now: number): void {
    this.taking.cutOff(now);
  }

  /** Works some 200 µs for a tracker that has asked, and as long for a pull of our own. */
  slice(now: number): void {
    const gift = this.giving.slice(now);
    if (gift !== undefined) {
      this.#parts.link.sendTo(gift.taker, stateMessage(this.#self, gift.state));
    }
    this.taking.slice(now);
  }

  /** True if a slice would do something. */
  get works(): boolean {
    return this.giving.works || this.taking.works;
  }

  /** A message has arrived. Never throws, whatever it holds. */
  heard(bytes: Uint8Array, now: number): void {
    this.counts.receivedBytes += bytes.length;
    const message = readMessage(bytes);
    if (typeof message !== "string") {
      if (message.origin !== this.#parts.origin) this.#take(message, now);
      // After a change of servers a message of our own may come back: its number was reached.
      else if (message.number > this.sending.number) this.#parts.forged();
      return;
    }
    this.counts[message] += 1;
    if (message === "version") this.#parts.otherVersion(...senderOf(bytes));
  }

  /** What operators see of it. */
  figures(now: number): SharingFigures {
    const { origin, node, link, applying, keptSeconds } = this.#parts;
    const { ledger, sending, taking, counts } = this;
    const { deltas: sent, lostAway: away, lostSlow: slow, lostRing: ring } = sending.counts;
    const { deltas, refused } = applying.counts;
    const starting = ledger.behind ? now : 0;
    return {
      ...{ node, origin, up: link.up, draining: this.#drains, number: sending.number },
      behindSeconds: round(Math.max(ledger.behindSeconds(now), starting)),
      lost: { away, slow, ring },
      ignored: { bad: counts.bad, version: counts.version, lists: refused },
      gaps: ledger.gaps,
      pulls: { ...taking.counts },
      deltas: { sent, received: deltas + refused },
      heard: ledger.heard(now).length,
      nodes: nodesOf(ledger, now, keptSeconds(), (at) => this.clock(at)),
    };
  }

  /** True if lists or memory keep out more than one peer in a hundred: others ask it last. */
  get #isPartial(): boolean {
    const { applying, store } = this.#parts;
    const { deltas, refused } = applying.counts;
    const out = refused + this.taking.refused;
    const all = out + deltas + this.taking.counts.peers;
    return 100 * out > all || store.population.holdings.tight;
  }

  /** The time since 1970 that ticks are counted by: it is never set while the tracker runs. */
  clock(now: number): number {
    return this.#parts.store.peerTicks.since1970(now);
  }

  /** What this tracker has of itself. */
  #own(now: number): Had {
    const { number } = this.sending;
    return { ...this.#self, heard: number, ageSeconds: now - this.#parts.startedAt };
  }

  get #self() {
    return { origin: this.#parts.origin, number: this.sending.number };
  }

  #take(message: Message, now: number): void {
    const { origin, number } = message;
    if (message.kind === KIND_DELTAS) {
      if (this.ledger.batch(origin, number, now)) this.#parts.applying.apply(message.records, now);
    } else if (message.kind === KIND_HELLO) {
      this.ledger.hello(origin, number, message, now);
    } else if (message.kind === KIND_ASK) {
      const had = () => [this.#own(now), ...this.ledger.had(now, this.#parts.keptSeconds())];
      this.giving.asked(origin, message, had, now);
    } else this.taking.state(origin, message, now);
  }
}
