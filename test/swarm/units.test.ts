/** Numbers that must not be swapped are refused by the type checker, which `make check` runs. */
import { expect, test } from "bun:test";
import { lineOf } from "../../src/swarm/table.ts";
import { announce, hashOf, makeTracker } from "./fixture.ts";

test("a unit is refused where another one is asked for; a plain number is not", () => {
  const { tracker, store } = makeTracker();
  const { table, swarms } = store;
  announce(tracker, { infoHash: 1 });
  const { infoHashHalves } = tracker.request;
  const hash = hashOf(tracker, 1);
  const line = lineOf(hash);
  const swarm = table.find(line, hash, infoHashHalves);
  const refused = [
    // @ts-expect-error: line and hash are swapped.
    () => table.find(table.hashAt(swarm), line, infoHashHalves),
    // @ts-expect-error: line and swarm are swapped.
    () => swarms.withRoom(swarm, line, 4),
    // @ts-expect-error: the cell of a directory is not its swarm.
    () => store.directories.count(swarm),
    // @ts-expect-error: a tick is no line.
    () => store.enter(store.peerTicks.at(0)),
  ];
  expect(refused).toHaveLength(4);
  expect(swarms.peers(swarm + 0)).toBe(1);
});
