/**
 * What a check of the conformance suite is: a statement that is seen to hold or not from outside.
 *
 * A check is a row of a table: its name begins with its BEP, `says` is what is right, `weight` how
 * sure it is that a client suffers. `run` asks the tracker; it throws `Broken` with what is wrong,
 * or `NotTried` where the tracker does not offer what is needed. Every other error, such as no
 * answer at all, breaks the statement too.
 */
import { randomBytes } from "node:crypto";

/** Clients fail · some clients do worse, or others are hurt · trackers differ, clients manage. */
export const WEIGHTS = ["must", "should", "custom"] as const;
export type Weight = (typeof WEIGHTS)[number];

export interface Check<Client> {
  /** Such as `BEP15.connect-size`. */
  id: string;
  weight: Weight;
  says: string;
  /** Only at addresses of this family. */
  family?: 4 | 6;
  /** Ends or burdens some trackers, so it is no thing to send to a public one. */
  risky?: true;
  run: (client: Client) => Promise<void>;
}

/** One request and its answer, as text for people. */
export interface Exchange {
  sent: string;
  came: string;
}

class Broken extends Error {}
export class NotTried extends Error {}

/** Ends a check: the statement does not hold. */
export function broken(sentence: string): never {
  throw new Broken(sentence);
}

/** Ends a check if the condition does not hold. */
export function hold(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Broken(sentence);
}

const LETTER_A = 0x61;
const LETTERS = 26;

/** How a tracker is asked. Times in milliseconds. */
export interface Manners {
  /** How long an answer may take. */
  answer: number;
  /** How long to wait where silence is right. */
  silence: number;
  /** The time between two requests. */
  pause: number;
  /** How long one address may take, if its answers are slow; no check begins later. */
  whole: number;
  /** A new info hash of 20 bytes, which nobody else uses, with these first. */
  infoHash: (first?: Buffer) => Buffer;
}

export const POLITE: Manners = {
  answer: 4000,
  silence: 1000,
  pause: 50,
  whole: 300_000,
  infoHash: (first) => letters(randomBytes(20), first),
};

/**
 * An info hash of small letters, behind these first bytes. Which bytes a tracker can take is a
 * statement of its own, and shall not break others.
 */
export function letters(random: Buffer, first: Buffer = Buffer.alloc(0)): Buffer {
  const rest = random.subarray(first.length).map((byte) => LETTER_A + (byte % LETTERS));
  return Buffer.concat([first, rest]);
}

/** Requests of one examination: 20 a second, so that no tracker takes it for an attack. */
export class Pace {
  #next = 0;
  readonly #pause: number;

  constructor(pause: number) {
    this.#pause = pause;
  }

  /** Resolves when the next request may be sent. */
  async turn(): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#pause;
    if (at > now) await Bun.sleep(at - now);
  }
}

/** A peer of ours. */
export interface OwnPeer {
  peerId: Buffer;
  port: number;
}

let lastPort = 20_000 + (randomBytes(2).readUInt16BE() % 20_000);

/** A new peer: no two of an examination have the same port, which identifies them in answers. */
export function ownPeer(): OwnPeer {
  lastPort = lastPort >= 60_000 ? 20_000 : lastPort + 1;
  return { peerId: Buffer.concat([Buffer.from("-CT0001-"), randomBytes(12)]), port: lastPort };
}

/** The name of an event, over any transport. */
export type EventName = "none" | "completed" | "started" | "stopped" | "paused";

/** An announce; what is left out is what a leecher says at its start. */
export interface Asked {
  infoHash?: Buffer;
  left?: bigint;
  event?: EventName;
  numwant?: number;
}

/** A peer in an answer: its address as digits of its 4 or 16 bytes. */
export interface TracedPeer {
  address: string;
  port: number;
}

/** The answer to an announce; counts may be missing over HTTP. */
export interface Told {
  interval: number;
  seeders: number | undefined;
  leechers: number | undefined;
  peers: TracedPeer[];
}

export interface Counts {
  seeders: number;
  /** Undefined if the tracker does not say. */
  completed: number | undefined;
  leechers: number;
}

/** What checks of swarms need, whatever the transport. */
export interface SwarmClient {
  /** The info hash of this check. */
  readonly infoHash: Buffer;
  /** Another, for this check too. */
  anotherHash(first?: Buffer): Buffer;
  announce(peer: OwnPeer, asked?: Asked): Promise<Told>;
  scrape(infoHash: Buffer): Promise<Counts>;
}

/** These without a peer of ours: some trackers tell a peer of itself. */
export function without(peers: readonly TracedPeer[], { port }: OwnPeer): TracedPeer[] {
  return peers.filter((peer) => peer.port !== port);
}

/** Whether a peer of ours is among these. */
export function has(peers: readonly TracedPeer[], { port }: OwnPeer): boolean {
  return peers.some((peer) => peer.port === port);
}
