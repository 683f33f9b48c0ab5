/** A giver and a taker over two stores, whose messages a test carries. */
import { Giving } from "../../src/cluster/giving.ts";
import { Ledger } from "../../src/cluster/ledger.ts";
import { type Pulled, Taking } from "../../src/cluster/taking.ts";
import type { Ask, State } from "../../src/cluster/wire.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { someMemory } from "../swarm/some-memory.ts";

export const GIVER = "aaaaaaaaaaaaaaaa";
export const TAKER = "bbbbbbbbbbbbbbbb";
export const HAD = [{ origin: GIVER, number: 3, heard: 3 }];

export function openBoth(memoryMax = 16 * 2 ** 20) {
  const from = new Store(someMemory({ startedSeconds: 1_700_000_000 }));
  const to = new Store(someMemory({ startedSeconds: 1_700_000_000, memoryMax }));
  const giving = new Giving(from);
  const ledger = new Ledger(TAKER);
  const asks: { giver: string; ask: Ask }[] = [];
  const ended: [string, number][] = [];
  const pulls: Pulled[] = [];
  const taking = new Taking({
    ...{ store: to, ledger, random: () => 0 },
    judge: () => ({ maySwarm: () => true, mayPeer: () => true }),
    send: (giver, ask) => void asks.push({ giver, ask }),
    ended: (pulled) => {
      ended.push([pulled.outcome, pulled.peers]);
      pulls.push(pulled);
    },
  });
  const peersOf = (store: Store): number => takeCensus(store.memory).peers;
  return { from, to, giving, ledger, taking, asks, ended, pulls, peersOf };
}

/** `count` peers announce, ten of each swarm. */
export function fill(store: Store, count: number, now: number, first = 0): void {
  const tracker = new Tracker(store, new ArrayBuffer(64));
  const { request } = tracker;
  for (let peer = first; peer < first + count; peer++) {
    const swarm = Math.floor(peer / 10);
    request.infoHash.fill(swarm);
    request.infoHash[1] = swarm >>> 8;
    request.peer.fill(20);
    request.peer[1] = peer >>> 16;
    request.peer[2] = peer >>> 8;
    request.peer[3] = peer;
    Object.assign(request, { family: 4, seeder: false, event: 0, wanted: 0 });
    tracker.announce(now);
  }
}

/** What the giver sends until it waits for credit or has ended. */
export function drain(giving: Giving, now: number): State[] {
  const states: State[] = [];
  while (giving.works) {
    const gift = giving.slice(now);
    if (gift !== undefined) states.push(gift.state);
  }
  return states;
}
