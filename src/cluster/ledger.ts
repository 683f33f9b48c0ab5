/**
 * The ledger: which batches of which tracker have taken effect here, and what is missing.
 *
 *   origin     a tracker since its start: 16 hexadecimal digits
 *   live       the highest of its batches that was heard, from itself
 *   whole      up to here nothing of it is missing
 *   gap        up to here something may be missing: its own numbers jumped; 0 if nothing is
 *   claim      another tracker has it up to here. It counts as missing if it is not heard within
 *              two seconds; it never moves `live`, for it may be forged. The origin itself knows:
 *              if it says later that it has not got so far, the claim is gone
 *   wholeAt    when nothing of it was missing, by its own word
 *   began      when it started: before that nothing of it was missing either
 *
 *   batch n = live + 1    live moves                     whole too, if nothing is missing
 *   batch n > live + 1    gap: up to n - 1               a batch was lost
 *   batch n <= live       is ignored                     an old start must not follow its stop
 *   hello n > live        gap: up to n                   the last batches were lost
 *   hello n < live        for five seconds: live is n,   another program said a higher number in
 *                         gap: up to n                   its name, and what it told was ignored
 *   pull                  mends what the giver had, if it reached back far enough
 *
 * A pull asks for the announces of the last seconds, not for batches: so one giver mends all gaps
 * at once, and peers that are sent twice change nothing. Time is an argument, in seconds. The
 * ledger reads no messages, sends none, and draws no random numbers.
 *
 * A snapshot keeps the ledger of its moment, with this tracker as one more origin (kept.ts). So a
 * tracker that starts with one is as if it had stood still since: it lacks what the others told
 * meanwhile, and they lack what it never got to tell them. Trackers that all start at once get from
 * each other what only one of their snapshots has.
 *
 * An origin may end before any tracker has all of its batches, while each has some. Then this
 * tracker asks all others, one after the other. After that the origin is settled: no tracker has
 * more of it. A tracker that pulls from this one need not ask the others again. If one is heard
 * then that was not asked, because a line was cut, it is not settled any more.
 */
import type { KeptOrigin } from "./kept.ts";
import {
  CLAIM_SECONDS,
  COVERS_ALL,
  COVERS_NOT,
  covers,
  isHeard,
  isSettledIn,
  lackOf,
  noteAge,
  noteBegan,
  NOTHING_NAMED,
  type Origin,
  said,
  unsettle,
  wholeSince,
} from "./origin.ts";
import { type Had, type Hello, KNOWN_MAX } from "./wire.ts";

/**
 * Messages of a tracker keep their order, but after a change of servers some may be as late as one
 * that was frozen: a number that is lower for longer was never reached.
 */
const LOWER_SECONDS = 5;
/** One comes each second: of what comes much sooner, only what it says of its sender counts. */
const HELLO_SECONDS_MIN = 0.2;
/** How much further back a pull reaches: batches wait for their turn, and clocks stand still. */
const MARGIN_SECONDS = 10;
/**
 * Limits of origins, and of trackers that are heard at a time: a client that may publish can name
 * any number of them. What is missing, and from whom, is looked for in all pairs of both.
 */
const ORIGINS_MAX = 256;
const HEARD_MAX = KNOWN_MAX;

/** A pull that is needed: from which tracker, and how far back. */
export interface Need {
  giver: string;
  /** Announces younger than this. */
  sinceSeconds: number;
}

export class Ledger {
  readonly #self: string;
  readonly #origins = new Map<string, Origin>();
  /** True from the start until the first pull ends, or until no other tracker can be asked. */
  behind = true;
  /** True if it then asks for all peers: it has no snapshot, or one that lacks some. */
  lacksAll = true;
  /** How often numbers were missing. */
  gaps = 0;

  constructor(self: string) {
    this.#self = self;
  }

  /** All origins that are known. */
  get origins(): Iterable<Origin> {
    return this.#origins.values();
  }

  /** A batch has come from its origin. False if it is to be ignored. */
  batch(origin: string, number: number, now: number): boolean {
    const state = this.#see(origin, now);
    if (state === undefined || number <= state.live) return false;
    if (number - 1 > Math.max(state.live, state.whole)) this.#noteGap(state, number - 1);
    state.live = number;
    this.#noteWhole(state, now);
    return true;
  }

  /** A hello has come: of the origin itself, and of others that it names. */
  hello(origin: string, number: number, hello: Hello, now: number): void {
    const state = this.#see(origin, now);
    if (state === undefined) return;
    // A flood of them: 10,000 that named 64 others each would keep an announce for 0.7 s if all of
    // it were taken, and for a tenth of that if what they name were only read.
    const isSoon = now - state.helloAt < HELLO_SECONDS_MIN;
    state.hello = said(hello);
    if (!isSoon) state.helloAt = now;
    noteBegan(state, now - hello.upSeconds);
    // Messages of one tracker keep their order: what it had by then would have come before.
    if (number < state.claim && now - state.claimedAt >= CLAIM_SECONDS) state.claim = 0;
    if (number > state.live) {
      // A pull may have brought it before it was heard.
      if (number > state.whole) this.#noteGap(state, number);
      state.live = number;
    }
    this.#doubt(state, number, now);
    if (number === state.live) this.#noteWhole(state, now);
    if (isSoon) return;
    const { had } = hello;
    state.named = new Map(had.map((one) => [one.origin, one]));
    for (const one of had) this.#claim(one, Math.max(one.number, one.heard), now, now);
    for (const other of this.#origins.values()) unsettle(other, state);
  }

  /**
   * A pull has ended, which began at `begun` and reached back `sinceSeconds`. `had` is what the
   * giver had when it began, of itself too.
   */
  pulled(
    giver: string,
    had: readonly Had[],
    { begun, sinceSeconds }: { begun: number; sinceSeconds: number },
    now: number,
  ): void {
    const all = sinceSeconds === Infinity;
    this.behind = false;
    const reached = (state: Origin): boolean => all || wholeSince(state) >= begun - sinceSeconds;
    for (const state of this.lacking(now)) {
      if (!reached(state) || !this.#isOrphan(state, now)) continue;
      const lack = lackOf(state, now);
      const one = had.find(({ origin }) => origin === state.origin);
      if (one !== undefined && isSettledIn(one) && one.number >= lack) {
        state.settled = lack;
        state.settledBy = giver;
        continue;
      }
      // What was news while the pull ran, the giver may have got after its dump began.
      if (state.namedAt <= begun) this.#noteAsked(state, giver, now);
    }
    for (const one of had) {
      const { origin, number } = one;
      if (origin === this.#self || isSettledIn(one)) continue;
      const state = this.#origins.get(origin);
      if (state === undefined) {
        // The giver may itself have missed the last of it, so this is no time of being whole.
        const added = all ? this.#add(origin, now, number) : undefined;
        if (added !== undefined) noteAge(added, one, now);
        continue;
      }
      const lack = lackOf(state, now);
      if (!reached(state) || lack > number) continue;
      state.gap = 0;
      const claimed = state.claim <= number ? state.claim : 0;
      state.whole = Math.max(state.whole, state.live, lack, claimed);
      if (isHeard(state, now)) state.wholeAt = state.seenAt;
    }
    // Its peers include some of batches that it lacks in part: others must know of these.
    for (const one of had) {
      if (one.heard > one.number) this.#claim(one, one.heard, now - CLAIM_SECONDS, now);
    }
  }

  /** What a snapshot of this moment has to tell of the origins; see `restore`. */
  keep(now: number, keptSeconds: number): KeptOrigin[] {
    return this.had(now, keptSeconds).map((had) => {
      const { wholeAt, namedAt } = this.#origins.get(had.origin)!;
      return { ...had, wholeSeconds: now - wholeAt, namedSeconds: now - namedAt };
    });
  }

  /**
   * Takes the origins of a snapshot that was begun at `at`; -Infinity if that is not known, and
   * then a pull for what is missing of them asks for all. Call it before anything is heard.
   */
  restore(kept: readonly KeptOrigin[], at: number, now: number): void {
    for (const one of kept) {
      const { origin, number, heard, wholeSeconds, namedSeconds } = one;
      const state = origin === this.#self ? undefined : this.#add(origin, now, 0);
      if (state === undefined) continue;
      const isSettled = isSettledIn(one);
      state.whole = isSettled ? heard : number;
      state.claim = Math.max(number, heard);
      state.claimedAt = now - CLAIM_SECONDS;
      if (isSettled) state.settled = number;
      state.wholeAt = at - wholeSeconds;
      noteAge(state, one, at);
      state.namedAt = Number.isFinite(at) ? at - namedSeconds : now;
    }
  }

  /** What there is of each origin, for hellos and for the end of a state. */
  had(now: number, keptSeconds: number): Had[] {
    const had: Had[] = [];
    // Those heard last come first: of each restart there is an origin that is gone.
    for (const state of [...this.#origins.values()].sort((a, b) => b.seenAt - a.seenAt)) {
      const { origin, whole, live, namedAt } = state;
      if (now - namedAt > keptSeconds) continue;
      // Of one that is heard here, others can hear more from itself: a claim would go round.
      const claim = isHeard(state, now) ? 0 : state.claim;
      const highest = Math.max(whole, live, claim);
      const age = Number.isFinite(state.began) ? { ageSeconds: now - state.began } : {};
      if (this.#isSettled(state, now)) had.push({ origin, number: highest, heard: whole, ...age });
      else if (highest > 0) had.push({ origin, number: whole, heard: highest, ...age });
    }
    return had.slice(0, KNOWN_MAX);
  }

  /** Forgets origins that were not named for two peer timeouts. */
  forget(now: number, keptSeconds: number): void {
    for (const { origin, namedAt } of this.#origins.values()) {
      if (now - namedAt > 2 * keptSeconds) this.#origins.delete(origin);
    }
  }

  /** Trackers that are there now. */
  heard(now: number): Origin[] {
    return [...this.#origins.values()].filter((state) => isHeard(state, now));
  }

  /** Origins of which something is missing that a tracker which is there has, or may have. */
  lacking(now: number): Origin[] {
    // Asked for twenty times a second, and mostly there is nothing.
    const missing = [...this.#origins.values()].filter((state) => lackOf(state, now) > 0);
    if (missing.length === 0) return missing;
    const heard = this.heard(now);
    if (heard.length === 0) return [];
    return missing.filter((state) => {
      const lack = lackOf(state, now);
      if (heard.some((giver) => covers(giver, state, lack) === COVERS_ALL)) return true;
      return !isHeard(state, now) && !this.#isSettled(state, now);
    });
  }

  /** True if the origin is not heard, and no tracker that is heard has all of it. */
  #isOrphan(state: Origin, now: number): boolean {
    const lack = lackOf(state, now);
    if (isHeard(state, now)) return false;
    return !this.heard(now).some((giver) => covers(giver, state, lack) === COVERS_ALL);
  }

  /** True if no tracker has more of it than this one, as long as it is not heard again. */
  #isSettled(state: Origin, now: number): boolean {
    return state.settled > 0 && lackOf(state, now) <= state.settled;
  }

  #noteAsked(state: Origin, giver: string, now: number): void {
    state.asked.add(giver);
    if (!this.heard(now).every(({ origin }) => state.asked.has(origin))) return;
    state.settled = lackOf(state, now);
    state.settledBy = undefined;
  }

  /** How long the oldest of what is missing has been missing; 0 if nothing is. */
  behindSeconds(now: number): number {
    const since = this.lacking(now).map((state) => now - wholeSince(state));
    return since.length === 0 ? 0 : Math.max(0, ...since.filter(Number.isFinite), 1);
  }

  /**
   * What to ask for: undefined if nothing is missing, or no tracker that is there has it. The giver
   * is the one that has most of it, without those in `avoid` if there is another.
   */
  need(now: number, avoid: ReadonlySet<string> = new Set()): Need | undefined {
    const lacking = this.lacking(now);
    if (lacking.length === 0) return undefined;
    const orphans = new Set(lacking.filter((state) => this.#isOrphan(state, now)));
    // One that has settled an orphan is worth more than one that must be asked like all others.
    const worth = (candidate: Origin, state: Origin): number => {
      const covered = covers(candidate, state, lackOf(state, now));
      if (covered !== COVERS_NOT || !orphans.has(state)) return covered;
      return state.asked.has(candidate.origin) ? 0 : 0.1;
    };
    const giver = this.#best(now, avoid, (candidate) =>
      lacking.reduce((sum, state) => sum + worth(candidate, state), 0),
    );
    if (giver === undefined) return undefined;
    const since = Math.max(...lacking.map((state) => now - wholeSince(state))) + MARGIN_SECONDS;
    return { giver, sinceSeconds: since };
  }

  /** The tracker to ask for all peers: one that has caught up itself. Undefined without one. */
  giverOfAll(now: number, avoid: ReadonlySet<string>): string | undefined {
    return this.#best(now, avoid, ({ hello }) => (hello !== undefined && !hello.behind ? 1 : 0));
  }

  #best(now: number, avoid: ReadonlySet<string>, worth: (giver: Origin) => number) {
    let best: Origin | undefined;
    let most = 0;
    for (const giver of this.heard(now)) {
      // One that drains may be gone before the end; one that is partial has not all to give.
      const usable = avoid.has(giver.origin) || giver.hello?.drains ? 0.5 : 1;
      const whole = giver.hello?.partial ? 0.75 : 1;
      const value = worth(giver) * usable * whole;
      if (value > most) {
        best = giver;
        most = value;
      }
    }
    return best?.origin;
  }

  #see(origin: string, now: number): Origin | undefined {
    if (origin === this.#self) return undefined;
    let state = this.#origins.get(origin);
    if (state === undefined || !isHeard(state, now)) {
      if (this.#isFull(now)) return undefined;
      state ??= this.#add(origin, now, 0);
      if (state === undefined) return undefined;
    }
    state.seenAt = state.namedAt = now;
    state.settled = 0;
    state.asked.clear();
    return state;
  }

  /** True if no further tracker is heard. Asked for each message of a stranger, so no array. */
  #isFull(now: number): boolean {
    let count = 0;
    for (const state of this.#origins.values()) if (isHeard(state, now)) count += 1;
    return count >= HEARD_MAX;
  }

  #add(origin: string, now: number, number: number): Origin | undefined {
    if (this.#origins.size >= ORIGINS_MAX && !this.#giveUpOne(now)) return undefined;
    const state: Origin = {
      ...{ origin, live: number, whole: number, gap: 0, claim: 0, claimedAt: 0 },
      ...{ wholeAt: -Infinity, began: -Infinity, seenAt: -Infinity, namedAt: now },
      lowerSince: NaN,
      ...{ hello: undefined, helloAt: -Infinity, named: NOTHING_NAMED },
      ...{ asked: new Set(), settled: 0, settledBy: undefined },
    };
    this.#origins.set(origin, state);
    return state;
  }

  /** Forgets the origin that was named longest ago. False if all of them are heard. */
  #giveUpOne(now: number): boolean {
    let oldest: Origin | undefined;
    for (const state of this.#origins.values()) {
      if (!isHeard(state, now) && state.namedAt < (oldest?.namedAt ?? Infinity)) oldest = state;
    }
    return oldest !== undefined && this.#origins.delete(oldest.origin);
  }

  /** Takes back a number that its own hellos do not bear out. */
  #doubt(state: Origin, number: number, now: number): void {
    if (number >= state.live) state.lowerSince = NaN;
    else if (Number.isNaN(state.lowerSince)) state.lowerSince = now;
    if (!(now - state.lowerSince >= LOWER_SECONDS)) return;
    state.gap = 0;
    state.live = number;
    state.whole = Math.min(state.whole, number);
    state.lowerSince = NaN;
    if (number > 0) this.#noteGap(state, number);
  }

  #noteGap(state: Origin, upTo: number): void {
    // What a tracker told before it was first heard was not missed.
    if (state.live > 0) this.gaps += 1;
    state.gap = upTo;
  }

  #noteWhole(state: Origin, now: number): void {
    if (lackOf(state, now) > 0 || state.claim > Math.max(state.live, state.whole)) return;
    state.whole = Math.max(state.live, state.whole);
    state.wholeAt = now;
  }

  #claim(one: Had, number: number, claimedAt: number, now: number): void {
    const { origin } = one;
    if (origin === this.#self || number === 0) return;
    const state = this.#origins.get(origin) ?? this.#add(origin, now, 0);
    if (state === undefined) return;
    noteAge(state, one, now);
    const has = Math.max(state.live, state.whole);
    if (number <= Math.max(has, state.claim)) return;
    // Only news counts: else two trackers would name one that is gone to each other for ever.
    state.namedAt = now;
    // Those that were asked may have got more of it since.
    state.asked.clear();
    if (state.claim <= has) state.claimedAt = claimedAt;
    state.claim = number;
  }
}
