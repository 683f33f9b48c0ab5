/** A tracker asks for what it lacks, takes it as it comes, and asks another if it does not. */
import { describe, expect, test } from "bun:test";
import type { State } from "../../src/cluster/wire.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { takeShortage } from "../../src/swarm/memory.ts";
import { drain, fill, GIVER, HAD, openBoth, TAKER } from "./giving-and-taking.ts";
import { HELLO } from "./hello.ts";

const NOW = 1000;
const MIB = 2 ** 20;

/** The taker has heard of a giver and asked it; `states` are all that the giver sends. */
function begun(peers = 5000, memoryMax?: number) {
  const both = openBoth(memoryMax);
  fill(both.from, peers, NOW);
  both.ledger.hello(GIVER, 3, HELLO, NOW);
  both.taking.tick(NOW);
  expect(both.asks).toEqual([]);
  both.taking.tick(NOW + 0.3);
  const { ask } = both.asks[0]!;
  both.giving.asked(TAKER, { ...ask, credit: 1000 }, () => HAD, NOW + 0.3);
  const states = drain(both.giving, NOW + 0.3);
  const give = (state: State, now = NOW + 0.4) => {
    both.taking.state(GIVER, state, now);
    while (both.taking.works) both.taking.slice(now);
  };
  return { ...both, states, give };
}

test("a tracker that has started asks for all, after a moment, and has it", () => {
  const { asks, states, give, ended, to, peersOf, ledger, taking } = begun();
  expect(asks[0]).toMatchObject({ giver: GIVER, ask: { begins: true, sinceSeconds: Infinity } });
  for (const state of states) give(state);
  expect(ended).toEqual([["done", 5000]]);
  expect(peersOf(to)).toBe(5000);
  expect(ledger.behind).toBe(false);
  // One credit for each chunk.
  expect(asks.slice(1).map(({ ask }) => ask.credit)).toEqual(states.slice(1).map(() => 1));
  for (let now = NOW + 1; now < NOW + 4; now += 0.1) taking.tick(now);
  expect(ended.length).toBe(1);
});

test("peers without room count as announces that are not stored, and memory is short", () => {
  const { states, give, pulls, to, peersOf } = begun(200_000, 3 * MIB);
  expect(takeShortage(to.memory)).toBe(false);
  for (const state of states) give(state);
  const stored = peersOf(to);
  expect(stored).toBeGreaterThan(10_000);
  expect(pulls).toMatchObject([{ outcome: "done", peers: stored, withoutRoom: 200_000 - stored }]);
  const { peersNotStored } = takeCensus(to.memory);
  expect(peersNotStored.reduce((sum, count) => sum + count)).toBe(200_000 - stored);
  expect(takeShortage(to.memory)).toBe(true);
});

describe("with a snapshot of 80 seconds ago", () => {
  const had = { origin: GIVER, number: 3, heard: 3, wholeSeconds: 1, namedSeconds: 1 };

  /** The asks of its first seconds, while the giver has told of `number` batches. */
  function asked(number: number, { lacksAll = false, behind = false } = {}) {
    const { ledger, taking, asks } = openBoth();
    ledger.restore([had], NOW - 80, NOW);
    ledger.lacksAll = lacksAll;
    for (let now = NOW; now < NOW + 4; now += 0.1) {
      ledger.hello(GIVER, number, { ...HELLO, behind }, now);
      taking.tick(now);
    }
    return { asks, ledger };
  }

  test("it asks for what is younger than the file, some seconds more", () => {
    const [first] = asked(5).asks;
    expect(first).toMatchObject({ giver: GIVER, ask: { begins: true } });
    expect(first!.ask.sinceSeconds).toBeCloseTo(91.1, 1);
  });

  test("it asks a tracker that has only just started, too", () => {
    expect(asked(5, { behind: true }).asks[0]!.ask.sinceSeconds).toBeCloseTo(91.1, 1);
  });

  test("it asks for nothing if the others told nothing since, and has caught up", () => {
    const { asks, ledger } = asked(3);
    expect([asks, ledger.behind]).toEqual([[], false]);
  });

  test("it asks for all if the file was written before all peers were here", () => {
    expect(asked(5, { lacksAll: true }).asks[0]!.ask.sinceSeconds).toBe(Infinity);
    const both = asked(5, { lacksAll: true, behind: true });
    expect(both.asks[0]!.ask.sinceSeconds).toBe(Infinity);
  });
});

describe("a pull fails, and another begins", () => {
  test("if a chunk was lost on the way", () => {
    const { states, give, ended, taking } = begun();
    give(states[0]!);
    give(states[2]!);
    expect(ended.map(([outcome]) => outcome)).toEqual(["failed"]);
    expect(taking.pulls).toBe(false);
  });

  test("if the last chunk was lost, which only the end shows", () => {
    const { states, give, ended } = begun();
    for (const state of states.slice(0, -2)) give(state);
    give(states.at(-1)!);
    expect(ended.map(([outcome]) => outcome)).toEqual(["failed"]);
  });

  test("if a chunk is damaged at any byte of its head or records", () => {
    for (const at of [0, 5, 9, 13, 20, 500]) {
      const { states, give, ended } = begun(1000);
      const chunk = states[0]!.chunk!.slice();
      chunk[at] ^= 0x40;
      give({ ...states[0]!, chunk });
      expect([at, ended.map(([outcome]) => outcome)]).toEqual([at, ["failed"]]);
    }
  });

  test("if nothing comes for five seconds", () => {
    const { taking, ended, asks } = begun();
    taking.tick(NOW + 5);
    expect(ended).toEqual([]);
    taking.tick(NOW + 6);
    expect(ended).toEqual([["failed", 0]]);
    for (let now = NOW + 6; now < NOW + 7; now += 0.1) taking.tick(now);
    // The giver said nothing for so long that it is gone.
    expect(asks.length).toBe(1);
  });
});

test("a chunk without records keeps a pull alive, and gives its credit back", () => {
  const { states, give, ended, asks, taking } = begun(1000);
  const none = { ...states[0]!, chunk: new Uint8Array(0) };
  for (let number = 0; number < 3; number++) {
    taking.tick(NOW + 4 * (number + 1));
    give({ ...none, number }, NOW + 4 * (number + 1));
  }
  expect(asks.slice(1).map(({ ask }) => ask.credit)).toEqual([1, 1, 1]);
  for (const state of states) give({ ...state, number: state.number + 3 }, NOW + 13);
  expect(ended).toEqual([["done", 1000]]);
});

test("a pull that lasts for half an hour has failed: all clients have announced again", () => {
  const { states, give, ended, taking } = begun(10);
  for (let number = 0; ended.length === 0 && number < 600; number++) {
    give({ ...states[0]!, number }, NOW + 4 * number);
    taking.tick(NOW + 4 * number);
  }
  expect(ended.map(([outcome]) => outcome)).toEqual(["failed"]);
});

test("what is repeated, or of another session or sender, changes nothing", () => {
  const { states, give, ended, taking, to, peersOf } = begun();
  give(states[0]!);
  give(states[0]!);
  give({ ...states[1]!, session: 9 });
  taking.state(TAKER, states[1]!, NOW + 1);
  for (const state of states.slice(1)) give(state);
  expect(ended).toEqual([["done", 5000]]);
  expect(peersOf(to)).toBe(5000);
});

test("what has come waits, and a slice puts back some of it", () => {
  const { states, taking, to, peersOf, asks } = begun();
  taking.state(GIVER, states[0]!, NOW + 0.4);
  expect([peersOf(to), taking.works]).toEqual([0, true]);
  taking.slice(NOW + 0.4);
  expect(peersOf(to)).toBeGreaterThan(0);
  expect(peersOf(to)).toBeLessThan(1000);
  expect(asks.length).toBe(1);
  while (taking.works) taking.slice(NOW + 0.4);
  // The credit is given back when all of it is applied.
  expect(asks.length).toBe(2);
});

test("what has come may lie at any byte of a buffer that is used again", () => {
  const { states, taking, to, peersOf, ended } = begun(1000);
  for (const state of states) {
    const chunk = Buffer.alloc(40_000).subarray(1, 1 + (state.chunk?.length ?? 0));
    chunk.set(state.chunk ?? []);
    taking.state(GIVER, { ...state, chunk: state.chunk && chunk }, NOW + 0.4);
    chunk.fill(0xff);
  }
  while (taking.works) taking.slice(NOW + 0.4);
  expect([ended, peersOf(to)]).toEqual([[["done", 1000]], 1000]);
});

test("one that sends more than it has credit for is left", () => {
  const { states, taking, ended } = begun(1000);
  for (let number = 0; number < 17; number++) {
    taking.state(GIVER, { ...states[0]!, number }, NOW + 0.4);
  }
  expect(ended).toEqual([]);
  taking.state(GIVER, { ...states[0]!, number: 17 }, NOW + 0.4);
  expect([ended, taking.works]).toEqual([[["failed", 0]], false]);
});

test("if none that is there has caught up, there is nothing to wait for", () => {
  const { ledger, taking, asks } = openBoth();
  for (let now = NOW; now < NOW + 2.9; now += 0.1) {
    ledger.hello(GIVER, 0, { ...HELLO, behind: true }, now);
    taking.tick(now);
  }
  expect(ledger.behind).toBe(true);
  taking.tick(NOW + 3.1);
  expect([ledger.behind, asks]).toEqual([false, []]);
});

describe("four pulls begin one after the other, and then one each ten seconds", () => {
  /** How many begin in the first five seconds, and in the next forty; each ends with `chunk`. */
  function pulls(chunk: Uint8Array | undefined): [number, number] {
    const { ledger, taking, asks } = openBoth();
    let number = 3;
    const run = (from: number, to: number): number => {
      const before = asks.length;
      for (let now = from; now < to; now += 0.1) {
        // Something is missing all the time.
        ledger.hello(GIVER, ++number, HELLO, now);
        const begun = asks.length;
        taking.tick(now);
        if (asks.length === begun) continue;
        const { session } = asks.at(-1)!.ask;
        taking.state(GIVER, { session, tickSeconds: 45, number: 0, chunk, had: [] }, now);
        while (taking.works) taking.slice(now);
      }
      return asks.length - before;
    };
    return [run(NOW, NOW + 5), run(NOW + 5, NOW + 45)];
  }

  test("if each brings what is missing", () => expect(pulls(undefined)).toEqual([4, 4]));

  test("if each fails at once, because the giver sends what is not sound", () => {
    expect(pulls(new Uint8Array(3))).toEqual([4, 4]);
  });
});
