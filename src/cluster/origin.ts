/**
 * What the ledger (ledger.ts) knows of one tracker, and what follows from that alone: whether it is
 * heard, what of it is missing, since when, and what another tracker has of it.
 */
import type { Had, Hello } from "./wire.ts";

/** A tracker that says nothing for this long is gone: it sends a hello each second. */
export const HEARD_SECONDS = 5;
/** A batch may come by another way than the news that it exists. */
export const CLAIM_SECONDS = 2;

/** What a hello says of its sender: it may be kept, while the message may not. */
type Said = Omit<Hello, "had">;

export const said = (hello: Hello): Said => {
  const { keepsSeconds, drains, behind, partial, upSeconds, clockSeconds, name } = hello;
  return { keepsSeconds, drains, behind, partial, upSeconds, clockSeconds, name };
};

/** What is known of a tracker. */
export interface Origin {
  readonly origin: string;
  live: number;
  whole: number;
  gap: number;
  /** Since when its hellos have said a number below `live`; NaN if the last one did not. */
  lowerSince: number;
  claim: number;
  claimedAt: number;
  /** -Infinity if never. */
  wholeAt: number;
  /** When it started: the earliest that was said, since news may be late; -Infinity if unknown. */
  began: number;
  /** When it last said something itself; -Infinity if only others named it. */
  seenAt: number;
  /** When it last said something, or another had news of it. */
  namedAt: number;
  /** Its last hello, when it came, and what it says there that it has, by origin. */
  hello: Said | undefined;
  helloAt: number;
  named: ReadonlyMap<string, Had>;
  /** The trackers that were asked for its missing batches since it ended. */
  readonly asked: Set<string>;
  /** All trackers were asked for its batches up to this number; 0 while the origin is heard. */
  settled: number;
  /** The tracker that had asked all; undefined if this one did. */
  settledBy: string | undefined;
}

/** Up to which number something of it is missing; 0 if nothing is. */
export function lackOf({ live, whole, gap, claim, claimedAt }: Origin, now: number): number {
  const isClaimed = claim > Math.max(live, whole) && now - claimedAt >= CLAIM_SECONDS;
  const claimed = isClaimed ? claim : 0;
  return Math.max(gap, claimed);
}

/**
 * From when on something of it may be missing: its batches are younger than its start, so a pull
 * need not reach further back for an origin that is new. -Infinity if nothing is known.
 */
export const wholeSince = ({ wholeAt, began }: Origin): number =>
  Number.isFinite(wholeAt) ? wholeAt : began;

/** Notes what another says of the start of an origin: said late, it looks younger than it is. */
export function noteAge(state: Origin, { ageSeconds }: Had, now: number): void {
  if (ageSeconds !== undefined) noteBegan(state, now - ageSeconds);
}

export function noteBegan(state: Origin, at: number): void {
  state.began = Number.isFinite(state.began) ? Math.min(state.began, at) : at;
}

/** True if it said something within the last seconds. */
export const isHeard = ({ seenAt }: Origin, now: number): boolean => now - seenAt <= HEARD_SECONDS;

export const NOTHING_NAMED: ReadonlyMap<string, Had> = new Map();

export const COVERS_NOT = 0;
/** All that is left of an origin that is gone. */
const COVERS_REST = 0.9;
export const COVERS_ALL = 1;

/** How much `giver` has of an origin up to `lack`. */
export function covers(giver: Origin, { origin }: Origin, lack: number): number {
  if (giver.origin === origin) return COVERS_ALL;
  const one = giver.named.get(origin);
  if (one === undefined || one.number < lack) return COVERS_NOT;
  return isSettledIn(one) ? COVERS_REST : COVERS_ALL;
}

/**
 * Takes back that an origin is settled, when a hello shows that somebody has more of it: while a
 * line was cut, not all trackers could be asked.
 */
export function unsettle(state: Origin, { origin, named }: Origin): void {
  if (state.settled === 0) return;
  const one = named.get(state.origin);
  const says = one !== undefined && isSettledIn(one) && one.number >= state.settled;
  if (state.settledBy === origin && !says) {
    state.settled = 0;
    state.asked.clear();
  } else if (state.settledBy === undefined && one !== undefined) {
    // Also one that has settled it: while a line was cut, each side may have asked only its own.
    const has = Math.max(one.number, one.heard);
    if (has > state.whole && !state.asked.has(origin)) state.settled = 0;
  }
}

export const isSettledIn = ({ number, heard }: Had): boolean => heard < number;
