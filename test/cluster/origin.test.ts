/** What is missing of a tracker, and what another has of it. */
import { describe, expect, test } from "bun:test";
import {
  COVERS_ALL,
  COVERS_NOT,
  covers,
  isHeard,
  lackOf,
  noteBegan,
  type Origin,
  wholeSince,
} from "../../src/cluster/origin.ts";

function originOf(changes: Partial<Origin> = {}): Origin {
  return {
    ...{ origin: "a", live: 5, whole: 5, gap: 0, claim: 0, claimedAt: 0, lowerSince: NaN },
    ...{ wholeAt: -Infinity, began: -Infinity, seenAt: -Infinity, namedAt: 0 },
    ...{ hello: undefined, helloAt: -Infinity, named: new Map() },
    ...{ asked: new Set<string>(), settled: 0, settledBy: undefined, ...changes },
  };
}

describe("of a tracker", () => {
  test("a gap is missing at once, what another claims after two seconds, the higher counts", () => {
    expect(lackOf(originOf(), 100)).toBe(0);
    expect(lackOf(originOf({ gap: 4 }), 100)).toBe(4);
    expect(lackOf(originOf({ claim: 9, claimedAt: 99 }), 100)).toBe(0);
    expect(lackOf(originOf({ claim: 9, claimedAt: 98, gap: 4 }), 100)).toBe(9);
    expect(lackOf(originOf({ claim: 5, claimedAt: 0 }), 100)).toBe(0);
  });

  test("nothing can be missing from before its start, whose earliest news counts", () => {
    const state = originOf();
    expect(wholeSince(state)).toBe(-Infinity);
    noteBegan(state, 40);
    noteBegan(state, 60);
    expect(wholeSince(state)).toBe(40);
    expect(wholeSince({ ...state, wholeAt: 70 })).toBe(70);
  });

  test("all is there itself; of another tracker, what its hello names", () => {
    const named = new Map([["a", { origin: "a", number: 7, heard: 7 }]]);
    const giver = originOf({ origin: "b", named });
    expect(covers(originOf(), originOf(), 9)).toBe(COVERS_ALL);
    expect(covers(giver, originOf(), 7)).toBe(COVERS_ALL);
    expect(covers(giver, originOf(), 8)).toBe(COVERS_NOT);
  });

  test("no word for more than five seconds says that it is gone", () => {
    expect([105, 105.1].map((now) => isHeard(originOf({ seenAt: 100 }), now))).toEqual([
      true,
      false,
    ]);
  });
});
