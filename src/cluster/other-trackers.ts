/**
 * The other trackers as an operator knows them: by name, there or gone.
 *
 *   first hello ─► there ─┬─ its hello says that it drains ─► ended ─┐
 *                    ▲    └─ no word for five seconds ─► lost ───────┤
 *                    └──────────── heard again, after a restart too ─┘
 *
 * A tracker has a new origin at each start and keeps its name, so a restart is one that is heard
 * again. While our own link is down nothing is said of others, nor for five seconds after: that we
 * are cut off is said already. Nor after this process stood still: their hellos wait to be read.
 * Besides, a tracker is named whose peer timeout is not ours: it keeps
 * peers longer than we can, or shorter than we do; and one whose clock has differed from ours for
 * ten seconds by more than pulls allow for (clocks.ts). A hello that was late is no such clock.
 */
import { clockAhead } from "./clocks.ts";
import type { Ledger } from "./ledger.ts";
import { isHeard, HEARD_SECONDS, type Origin } from "./origin.ts";
import { OtherLines } from "./other-lines.ts";
import { KNOWN_MAX, SECONDS_MAX } from "./wire.ts";

/** What has changed. */
export type News =
  | { what: "there"; node: string }
  | { what: "ended"; node: string }
  | { what: "lost"; node: string; seconds: number }
  | { what: "again"; node: string; seconds: number }
  | { what: "longer" | "shorter"; node: string; keepsSeconds: number }
  | { what: "clock"; node: string; seconds: number };

/** How long this tracker keeps peers: usually, and at most where intervals follow the load. */
export interface Kept {
  usualSeconds: number;
  maxSeconds: number;
}

/** Our clock, in seconds since 1970, and by how much that of another may differ. */
export interface OwnClock {
  at: (now: number) => number;
  apartSeconds: number;
}

/** A call comes each second: after so long without one this process stood still. */
const STILL_SECONDS = 3;
/** How long the clock of another must have differed. */
const CLOCK_SECONDS = 10;

interface Known {
  state: "there" | "ended" | "lost";
  seenAt: number;
  /** The timeout that was named. */
  named: number;
  /** Since when its clock differs; NaN while it does not, and Infinity once that was said. */
  differsSince: number;
}

export class OtherTrackers {
  /** All that the log says of others asks here first. */
  readonly lines = new OtherLines();
  readonly #ledger: Ledger;
  readonly #kept: Kept;
  readonly #clock: OwnClock;
  readonly #known = new Map<string, Known>();
  /** Since when the link is up; NaN while it is not. */
  #upSince = NaN;
  #lookedAt = NaN;

  constructor(ledger: Ledger, kept: Kept, clock: OwnClock) {
    this.#ledger = ledger;
    this.#kept = kept;
    this.#clock = clock;
  }

  /** What has changed since the last call; call it each second. */
  look(now: number, up: boolean): News[] {
    if (!up) this.#upSince = NaN;
    else if (Number.isNaN(this.#upSince) || now - this.#lookedAt > STILL_SECONDS) {
      this.#upSince = now;
    }
    this.#lookedAt = now;
    const latest = this.#latest();
    for (const node of this.#known.keys()) if (!latest.has(node)) this.#known.delete(node);
    if (!up) return [];
    return [...latest].flatMap(([node, origin]) => this.#lookAt(node, origin, now));
  }

  /** The longest time that another one keeps peers, among those heard within `seconds`. */
  longestKept(now: number, seconds: number): number {
    const heard = [...this.#ledger.origins].filter(({ seenAt }) => now - seenAt <= seconds);
    return Math.max(0, ...heard.map(({ hello }) => hello?.keepsSeconds ?? 0));
  }

  /** By its name, the origin of each that was heard last. */
  #latest(): Map<string, Origin> {
    const latest = new Map<string, Origin>();
    for (const origin of this.#ledger.origins) {
      if (origin.hello === undefined) continue;
      const { name } = origin.hello;
      if ((latest.get(name)?.seenAt ?? -Infinity) < origin.seenAt) latest.set(name, origin);
    }
    return latest;
  }

  #lookAt(node: string, origin: Origin, now: number): News[] {
    const known = this.#known.get(node);
    const there = isHeard(origin, now);
    const drains = origin.hello!.drains;
    if (known === undefined) {
      // A publisher may make up any number of names, and the log must not grow by them.
      if (!there || drains || this.#known.size >= KNOWN_MAX) return [];
      const first: Known = { state: "there", seenAt: origin.seenAt, named: NaN, differsSince: NaN };
      this.#known.set(node, first);
      return [{ what: "there", node }, ...this.#lookAtTimeout(node, first, origin)];
    }
    const before = known.seenAt;
    // Never back: the origin heard last may be forgotten while an earlier one of the name is not.
    known.seenAt = Math.max(before, origin.seenAt);
    if (known.state !== "there") {
      if (!there || drains) return [];
      known.state = "there";
      const again: News = { what: "again", node, seconds: known.seenAt - before };
      return [again, ...this.#lookAtTimeout(node, known, origin)];
    }
    if (drains) {
      known.state = "ended";
      return [{ what: "ended", node }];
    }
    if (there) {
      const clock = this.#lookAtClock(node, known, origin, now);
      return [...this.#lookAtTimeout(node, known, origin), ...clock];
    }
    if (now - this.#upSince <= HEARD_SECONDS) return [];
    known.state = "lost";
    return [{ what: "lost", node, seconds: now - origin.seenAt }];
  }

  #lookAtClock(node: string, known: Known, origin: Origin, now: number): News[] {
    const ahead = clockAhead(origin, this.#clock.at);
    if (Math.abs(ahead) <= this.#clock.apartSeconds) known.differsSince = NaN;
    else if (Number.isNaN(known.differsSince)) known.differsSince = now;
    if (!(now - known.differsSince >= CLOCK_SECONDS)) return [];
    known.differsSince = Infinity;
    return [{ what: "clock", node, seconds: ahead }];
  }

  #lookAtTimeout(node: string, known: Known, { hello }: Origin): News[] {
    const { keepsSeconds } = hello!;
    const { usualSeconds, maxSeconds } = this.#kept;
    const longer = keepsSeconds > Math.ceil(maxSeconds);
    const shorter = keepsSeconds < Math.min(usualSeconds, SECONDS_MAX);
    if ((!longer && !shorter) || known.named === keepsSeconds) return [];
    known.named = keepsSeconds;
    return [{ what: longer ? "longer" : "shorter", node, keepsSeconds }];
  }
}
