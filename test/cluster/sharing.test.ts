/** Trackers that share their peers, in one process: what was lost is pulled. */
import { describe, expect, test } from "bun:test";
import { helloMessage } from "../../src/cluster/wire.ts";
import { HELLO } from "./hello.ts";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_STARTED,
  EVENT_STOPPED,
  type Node,
  World,
} from "./world.ts";

const sizes = (world: World): number[] => world.nodes.map((node) => node.contents().size);

/** Peers `from` to `to` - 1 announce at a node, spread over ten swarms. */
function announceAll(node: Node, from: number, to: number, event = EVENT_STARTED): void {
  for (let peer = from; peer < to; peer++) node.announce({ swarm: peer % 10, peer }, event);
}

function calm(count: number, seed = 1): World {
  const world = new World(seed, count);
  world.run(6);
  return world;
}

describe("what one tracker is told", () => {
  test("others know within a fraction of a second, in both families and roles", () => {
    const world = calm(3);
    const [a, b, c] = world.nodes;
    a.announce({ swarm: 1, peer: 1 });
    a.announce({ swarm: 1, peer: 2, family: 6 }, EVENT_NONE, true);
    world.run(0.2);
    const expected = new Map([
      ["1 4 1", false],
      ["1 6 2", true],
    ]);
    expect(b.contents()).toEqual(expected);
    expect(c.contents()).toEqual(expected);
    a.announce({ swarm: 1, peer: 1 }, EVENT_COMPLETED, true);
    a.announce({ swarm: 1, peer: 2, family: 6 }, EVENT_STOPPED);
    world.run(0.2);
    expect(c.contents()).toEqual(new Map([["1 4 1", true]]));
  });

  test("is told before a snapshot that has it, also if the next turn would be left out", () => {
    const world = calm(2);
    const [a] = world.nodes;
    announceAll(a, 0, 1000);
    world.run(0.05);
    announceAll(a, 1000, 1010);
    const { number } = a.sharing.sending;
    expect(number).toBeGreaterThan(0);
    a.sharing.keep(world.now);
    expect(a.sharing.sending.counts.deltas).toBe(1010);
    expect(a.sharing.sending.number).toBe(number + 1);
  });

  test("is not told again by those who heard it", () => {
    const world = calm(3);
    announceAll(world.nodes[0], 0, 1000);
    world.run(2);
    expect(sizes(world)).toEqual([1000, 1000, 1000]);
    expect(world.nodes.map(({ sharing }) => sharing.sending.counts.deltas)).toEqual([1000, 0, 0]);
  });
});

describe("what was lost", () => {
  test("of one batch is pulled when the next one shows it, and only then", () => {
    const world = calm(2);
    const [a, b] = world.nodes;
    world.weather = { lost: 1, repeated: 0, delay: 0 };
    announceAll(a, 0, 50);
    world.run(0.1);
    world.weather = { lost: 0, repeated: 0, delay: 0 };
    world.run(6);
    expect(sizes(world)).toEqual([50, 50]);
    expect(b.pulls).toEqual(["done"]);
    world.run(30);
    expect(b.pulls).toEqual(["done"]);
    expect([a, b].map(({ sharing }) => sharing.ledger.behindSeconds(world.now))).toEqual([0, 0]);
  });

  test("on both sides of a cut is there on both after it", () => {
    const world = calm(3);
    world.cut(0, 1, true);
    world.cut(0, 2, true);
    for (let second = 0; second < 20; second++) {
      announceAll(world.nodes[0], second * 20, second * 20 + 10);
      announceAll(world.nodes[1], second * 20 + 10, second * 20 + 20);
      world.run(1);
    }
    expect(sizes(world)).toEqual([200, 200, 200]);
    world.cut(0, 1, false);
    world.cut(0, 2, false);
    world.run(5);
    expect(sizes(world)).toEqual([400, 400, 400]);
  });

  test("while a tracker was away is there when it has started again, its own peers too", () => {
    const world = calm(3);
    for (const [i, node] of world.nodes.entries()) announceAll(node, 1000 * i, 1000 * i + 500);
    world.run(1);
    expect(world.nodes[0].sharing.ledger.behind).toBe(false);
    world.restart(0);
    expect(world.nodes[0].sharing.ledger.behind).toBe(true);
    world.run(5);
    expect(sizes(world)).toEqual([1500, 1500, 1500]);
    expect(world.nodes[0].pulls).toEqual(["done"]);
    expect(world.nodes[0].sharing.ledger.behind).toBe(false);
    world.run(20);
    expect(world.nodes.map(({ pulls }) => pulls.length)).toEqual([1, 0, 0]);
  });

  test("of a large swarm comes in pieces", () => {
    const world = calm(2);
    // Of many networks: a swarm does not store all peers of a few that fill whole buckets.
    for (let i = 0; i < 20_000; i++) world.nodes[1].announce({ swarm: 1, peer: 97 * i });
    world.run(1);
    world.restart(0);
    world.run(6);
    expect(sizes(world)).toEqual([20_000, 20_000]);
  });
});

test("trackers that start together have nothing to wait for", () => {
  const world = new World(3, 3);
  world.run(6);
  expect(world.nodes.map(({ sharing }) => sharing.ledger.behind)).toEqual([false, false, false]);
  expect(world.nodes.flatMap(({ pulls }) => pulls)).toEqual([]);
});

test("a message in our name is noticed if we never sent it, and changes nothing", () => {
  const world = calm(2);
  const [node] = world.nodes;
  const hello = { ...HELLO, drains: true, name: "x" };
  const { origin } = node;
  announceAll(node, 0, 10);
  world.run(1);
  expect(node.sharing.sending.number).toBe(1);
  const hear = (number: number) => {
    node.sharing.heard(helloMessage({ origin, number }, hello), world.now);
  };
  // It may be an old one, of a server that was left since.
  hear(1);
  expect(() => hear(2)).toThrow("a message in our name");
  expect(node.sharing.ledger.heard(world.now).length).toBe(1);
  expect(sizes(world)).toEqual([10, 10]);
});
