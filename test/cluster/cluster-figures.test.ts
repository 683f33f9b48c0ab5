/** What operators see of trackers that share their peers. */
import { expect, test } from "bun:test";
import { nodesOf } from "../../src/cluster/cluster-figures.ts";
import { Ledger } from "../../src/cluster/ledger.ts";
import { HELLO } from "./hello.ts";
import { EVENT_STARTED, World } from "./world.ts";

const B = "00000000000000bb";
const CLOCK = (at: number): number => HELLO.clockSeconds + at;

test("a tracker that is whole says so, and whom it hears", () => {
  const world = new World(1, 3);
  world.run(6);
  const [a, b, c] = world.nodes;
  a.announce({ swarm: 1, peer: 1 }, EVENT_STARTED);
  world.run(1.5);
  const figures = b.sharing.figures(world.now);
  expect(figures).toMatchObject({
    ...{ node: b.name, origin: b.origin, up: true, draining: false, behindSeconds: 0 },
    ...{ number: 0, heard: 2, gaps: 0, deltas: { sent: 0, received: 1 } },
    lost: { away: 0, slow: 0, ring: 0 },
  });
  expect(figures.nodes.map(({ node }) => node).sort()).toEqual([a.name, c.name].sort());
  const shown = figures.nodes.find(({ origin }) => origin === a.origin)!;
  expect(shown).toMatchObject({ live: 1, whole: 1, lack: 0, version: 1, draining: false });
  expect(a.sharing.figures(world.now)).toMatchObject({
    number: 1,
    deltas: { sent: 1, received: 0 },
  });
});

test("a tracker that was cut off counts what it did not tell, and the other the gap", () => {
  const world = new World(1, 2);
  world.run(6);
  const [a, b] = world.nodes;
  a.announce({ swarm: 1, peer: 1 }, EVENT_STARTED);
  world.run(0.2);
  a.setUp(false);
  a.announce({ swarm: 1, peer: 2 }, EVENT_STARTED);
  world.run(0.2);
  expect(a.sharing.figures(world.now)).toMatchObject({ up: false, lost: { away: 1 } });
  a.setUp(true);
  world.run(0.2);
  const behind = b.sharing.figures(world.now);
  expect(behind.gaps).toBe(1);
  expect(behind.behindSeconds).toBeGreaterThan(0);
  expect(behind.nodes[0]).toMatchObject({ lack: 2, live: 2, whole: 1 });
  world.run(15);
  expect(b.sharing.figures(world.now)).toMatchObject({
    behindSeconds: 0,
    pulls: { done: 1, peers: 2 },
  });
});

test("a tracker that has just started is behind until it has caught up or is alone", () => {
  const world = new World(1, 1);
  world.run(2);
  expect(world.nodes[0].sharing.figures(world.now).behindSeconds).toBeGreaterThan(0);
  world.run(6);
  expect(world.nodes[0].sharing.figures(world.now).behindSeconds).toBe(0);
});

test("the tracker heard last comes first; one that only others name is left out", () => {
  const ledger = new Ledger("00000000000000aa");
  ledger.hello(B, 3, { ...HELLO, had: [{ origin: "cc", number: 7, heard: 7 }] }, 10);
  ledger.hello("00000000000000dd", 0, { ...HELLO, name: "d", drains: true }, 12);
  const nodes = nodesOf(ledger, 13, 2700, CLOCK);
  expect(nodes.map(({ clockSeconds }) => clockSeconds)).toEqual([-12, -10]);
  expect(nodes.map(({ node, heardSeconds, draining }) => [node, heardSeconds, draining])).toEqual([
    ["d", 1, true],
    ["b", 3, false],
  ]);
  expect(nodesOf(ledger, 2711, 2700, CLOCK).map(({ node }) => node)).toEqual(["d"]);
});

test("no figure is infinite: JSON has no such number", () => {
  const ledger = new Ledger("00000000000000aa");
  ledger.hello(B, 3, HELLO, 10);
  expect(JSON.stringify(nodesOf(ledger, 11, 2700, CLOCK))).not.toContain("null");
});
