/**
 * Chooses the connection that is closed for a new one at the limit of connections. In this order:
 *
 *   1  a stalled reader: its unsent answers made no progress for 2 ticks
 *   2  a connection of the site (see neighbours.ts) with the most connections that can give way, if
 *      these are more than twice as many as the newcomer's site would have; within the newcomer's
 *      site, the same for its places
 *   3  a connection that has waited for its client for 2 ticks: of the site with the most
 *      connections or, without one there, among a few at random
 *
 * Within a site it is the longest waiting one of the place with the most connections. In step 3 an
 * address at its limit replaces connections of its own site, or idle ones that have had an answer:
 * a client with many connections displaces no request of others. Without the latter one client with
 * 400 announces at once lost 336 of them while 840 connections of others did nothing.
 *
 * Progress means PROGRESS_BYTES taken in 2 ticks. Every honest reader reaches it: all answers but
 * exports fit into the system's send buffer. The time for a choice does not depend on the number of
 * connections.
 *
 * Connections that are long-lived by design, such as WebSockets, must not be in the chain of their
 * site: only step 1 applies to them. They count for the site of a newcomer, not against a site.
 */
import { Chain } from "./chain.ts";
import { type Connection, Taking } from "./connection.ts";
import type { Connections } from "./connections.ts";
import type { Neighbourhood, Neighbours } from "./neighbours.ts";

/** A connection that has waited or stalled for less is spared: a flood would close all others. */
export const TICKS_SPARED = 2;

/** Bytes of answers that a reader must take in that time, while new connections arrive. */
export const PROGRESS_BYTES = 32 * 1024;

/** Limit of connections that a search looks at. */
const LOOKS = 16;

/** A site gives way, even if busy, if it has more than this multiple of the newcomer's number. */
const OUTWEIGHS = 2;

export class Displacement {
  readonly #connections: Connections;
  readonly #neighbourhood: Neighbourhood<Connection>;
  /** Connections with unsent answers; the one with the oldest progress is first. */
  readonly #unsent = new Chain<Connection>();
  readonly #sparedTicks: number;

  constructor(
    connections: Connections,
    neighbourhood: Neighbourhood<Connection>,
    sparedTicks = TICKS_SPARED,
  ) {
    this.#connections = connections;
    this.#neighbourhood = neighbourhood;
    this.#sparedTicks = sparedTicks;
  }

  /** Call when a connection has unsent answers from tick `now` on. */
  noteUnsent(connection: Connection, now: number): void {
    if (connection.taking !== undefined) return;
    connection.taking = new Taking(connection, now);
    this.#unsent.append(connection.taking.link);
  }

  /** Call when its client has taken `bytes` of them. */
  noteTaken({ taking }: Connection, bytes: number, now: number): void {
    if (taking === undefined) return;
    taking.bytes += bytes;
    if (taking.bytes < PROGRESS_BYTES) return;
    taking.bytes = 0;
    taking.progressedAt = now;
    taking.link.moveToEnd();
  }

  /** The connection to close at tick `now`; undefined to refuse the newcomer. */
  victimFor({ neighbours: place }: Connection, now: number, crowded: boolean) {
    return (
      this.#stalled(now) ??
      this.#outweighing(place) ??
      (crowded ? (this.#waitingIn(place.site, now) ?? this.#answered(now)) : this.#waiting(now))
    );
  }

  #stalled(now: number): Connection | undefined {
    for (let looks = LOOKS; looks > 0; looks--) {
      const link = this.#unsent.first;
      const progressedAt = link?.value.taking?.progressedAt ?? now;
      if (link === undefined || !this.#isLongAgo(progressedAt, now)) return undefined;
      if (link.value.unsent !== undefined) return link.value;
      // The client is not late: the next piece of its answer is being made.
      link.moveToEnd();
    }
    return undefined;
  }

  #outweighing(place: Neighbours<Connection>): Connection | undefined {
    const { site } = place;
    const { heaviest } = this.#neighbourhood;
    const here = site.key === undefined ? 0 : site.open;
    if (heaviest !== undefined && heaviest !== site && outweighs(heaviest.yielding, here)) {
      return firstIn(heaviest);
    }
    const mine = firstIn(site);
    return mine !== undefined && outweighs(mine.neighbours.open, place.open) ? mine : undefined;
  }

  #waiting(now: number): Connection | undefined {
    const { heaviest } = this.#neighbourhood;
    const first = heaviest === undefined ? undefined : this.#waitingIn(heaviest, now);
    if (first !== undefined) return first;
    const longest = this.#connections.longestWaiting(LOOKS, ({ free }) => free);
    return longest !== undefined && this.#isLongAgo(longest.waitsSince, now) ? longest : undefined;
  }

  /** An idle connection that has had an answer and waited long enough, among a few at random. */
  #answered(now: number): Connection | undefined {
    const hadAnswer = ({ idle, partial }: Connection): boolean => idle && !partial;
    const longest = this.#connections.longestWaiting(LOOKS, hadAnswer);
    return longest !== undefined && this.#isLongAgo(longest.waitsSince, now) ? longest : undefined;
  }

  /** A connection of the site that has waited long enough; undefined if none has. */
  #waitingIn(site: Neighbours<Connection>, now: number): Connection | undefined {
    const connection = firstIn(site);
    return connection?.free && this.#isLongAgo(connection.waitsSince, now) ? connection : undefined;
  }

  #isLongAgo(tick: number, now: number): boolean {
    return tick <= now - this.#sparedTicks;
  }
}

function outweighs(held: number, byNewcomers: number): boolean {
  return held > OUTWEIGHS * (byNewcomers + 1);
}

/** Among the first in a site: one of the place with most connections, preferably a waiting one. */
function firstIn(site: Neighbours<Connection>): Connection | undefined {
  let best: Connection | undefined;
  let link = site.connections.first;
  for (let looks = LOOKS; looks > 0 && link !== undefined; looks--, link = link.after) {
    const { value } = link;
    const heavier = value.neighbours.open - (best?.neighbours.open ?? 0);
    if (best === undefined || heavier > 0 || (heavier === 0 && value.free && !best.free)) {
      best = value;
    }
  }
  return best;
}
