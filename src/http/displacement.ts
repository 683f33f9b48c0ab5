/**
 * Who gives way to a newcomer when there are as many connections as there may be. In this order:
 *
 *   1  one that does not read      its unsent answers made no progress for 2 ticks
 *   2  one of the site (see neighbours.ts) that holds most, if that has more than twice as many as
 *      the newcomer's would; within the newcomer's own site the same of its places
 *   3  one that has waited for its client for 2 ticks or more: of the site that holds most or, if
 *      none does there, of a few anywhere
 *
 * Of a site it is the one that began to wait longest ago, of the place that holds most. Who has its
 * share already takes no other place than one of its own site by 3, so that those who come in
 * numbers thin out only each other. Progress is PROGRESS_BYTES taken in 2 ticks, a rate that any
 * honest reader has: what a client reads slowly is smaller than the system's send buffer, but for
 * exports. None of this takes longer with more connections.
 *
 * Connections that live for long by design, such as WebSockets would, are not to be in the chain of
 * their site: for them 1 alone holds.
 */
import { Chain } from "./chain.ts";
import type { Connection, Connections } from "./connection.ts";
import type { Neighbourhood, Neighbours } from "./neighbours.ts";

/** Who has waited, or has not read, for less is spared, or a flood would drive out all others. */
export const TICKS_SPARED = 2;

/** Bytes of answers a reader takes in that time at least, while others want its place. */
export const PROGRESS_BYTES = 32 * 1024;

/** Connections looked at where there may be any number. */
const LOOKS = 16;

/** A site gives way, however busy, if it has more than so many times what the newcomer's would. */
const OUTWEIGHS = 2;

export class Displacement {
  readonly #connections: Connections;
  readonly #neighbourhood: Neighbourhood<Connection>;
  /** Those whose answers wait; the one whose last progress is longest ago is first. */
  readonly #owed = new Chain<Connection>();
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

  /** Answers wait in this connection from tick `now` on, until it waits for its client again. */
  owes(connection: Connection, now: number): void {
    if (connection.debt.chain !== undefined) return;
    connection.takenBytes = 0;
    connection.progressedAt = now;
    this.#owed.append(connection.debt);
  }

  /** Its client has taken so many bytes of them. */
  took(connection: Connection, bytes: number, now: number): void {
    connection.takenBytes += bytes;
    if (connection.takenBytes < PROGRESS_BYTES) return;
    connection.takenBytes = 0;
    connection.progressedAt = now;
    connection.debt.moveToEnd();
  }

  /** Who gives way at tick `now`; undefined if nobody must. */
  victimFor({ neighbours: place }: Connection, now: number, crowded: boolean) {
    return (
      this.#stalled(now) ??
      this.#outweighing(place) ??
      (crowded ? this.#waitingIn(place.site, now) : this.#waiting(now))
    );
  }

  #stalled(now: number): Connection | undefined {
    for (let looks = LOOKS; looks > 0; looks--) {
      const connection = this.#owed.first?.value;
      if (connection === undefined || !this.#isLongAgo(connection.progressedAt, now))
        return undefined;
      if (connection.unsent !== undefined) return connection;
      // It is not the client who is late: the next piece of its answer is being made.
      connection.debt.moveToEnd();
    }
    return undefined;
  }

  #outweighing(place: Neighbours<Connection>): Connection | undefined {
    const { site } = place;
    const { heaviest } = this.#neighbourhood;
    const here = site.key === undefined ? 0 : site.open;
    if (heaviest !== undefined && heaviest !== site && outweighs(heaviest.open, here)) {
      return firstIn(heaviest);
    }
    const mine = firstIn(site);
    return mine !== undefined && outweighs(mine.neighbours.open, place.open) ? mine : undefined;
  }

  #waiting(now: number): Connection | undefined {
    const { heaviest } = this.#neighbourhood;
    const first = heaviest === undefined ? undefined : this.#waitingIn(heaviest, now);
    if (first !== undefined) return first;
    const longest = this.#connections.longestWaiting(LOOKS);
    return longest !== undefined && this.#isLongAgo(longest.waitsSince, now) ? longest : undefined;
  }

  /** A connection of the site that has waited long enough; undefined if there is none. */
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

/** Of the first in a site one of the place that holds most, and rather one that waits. */
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
