/** Which batches have taken effect, what is missing, and whom to ask. */
import { describe, expect, test } from "bun:test";
import { Ledger } from "../../src/cluster/ledger.ts";
import type { KeptOrigin } from "../../src/cluster/kept.ts";
import { type Had, type Hello, SECONDS_MAX } from "../../src/cluster/wire.ts";
import { HELLO } from "./hello.ts";

const A = "aaaaaaaaaaaaaaaa";
const B = "bbbbbbbbbbbbbbbb";
const C = "cccccccccccccccc";
const SELF = "0000000000000000";

function hello(had: Had[] = [], changes: Partial<Hello> = {}): Hello {
  return { ...HELLO, had, ...changes };
}

/** A tracker that has caught up. */
function open(): Ledger {
  const ledger = new Ledger(SELF);
  ledger.behind = false;
  return ledger;
}

const all = (origin: string, number: number): Had => ({ origin, number, heard: number });
const lacking = (ledger: Ledger, now: number): string[] =>
  ledger.lacking(now).map(({ origin }) => origin);

describe("batches of an origin", () => {
  test("from the first on leave nothing missing", () => {
    const ledger = open();
    for (let number = 1; number <= 5; number++) expect(ledger.batch(A, number, number)).toBe(true);
    expect(ledger.had(5, 100)).toEqual([all(A, 5)]);
    expect(ledger.need(5)).toBeUndefined();
    expect(ledger.behindSeconds(5)).toBe(0);
  });

  test("that came before are ignored, and so are our own", () => {
    const ledger = open();
    ledger.batch(A, 1, 1);
    ledger.batch(A, 2, 1);
    expect(ledger.batch(A, 2, 2)).toBe(false);
    expect(ledger.batch(A, 1, 2)).toBe(false);
    expect(ledger.batch(SELF, 1, 2)).toBe(false);
  });

  test("that jump leave a gap, to be asked of the origin since it was whole", () => {
    const ledger = open();
    ledger.batch(A, 1, 100);
    ledger.batch(A, 5, 120);
    expect(ledger.had(120, 100)).toEqual([{ origin: A, number: 1, heard: 5 }]);
    expect(ledger.need(120)).toEqual({ giver: A, sinceSeconds: 30 });
    expect(ledger.behindSeconds(121)).toBe(21);
    ledger.pulled(A, [all(A, 5)], { begun: 121, sinceSeconds: 31 }, 122);
    expect(ledger.had(122, 100)).toEqual([all(A, 5)]);
    expect(ledger.need(122)).toBeUndefined();
  });

  test("that a tracker joins late are missing from the first on: all is asked for", () => {
    const ledger = open();
    ledger.batch(A, 7, 1);
    expect(ledger.need(1)).toEqual({ giver: A, sinceSeconds: Infinity });
  });
});

describe("a hello", () => {
  test("shows that the last batches were lost", () => {
    const ledger = open();
    ledger.batch(A, 1, 1);
    ledger.hello(A, 3, hello(), 2);
    expect(ledger.need(2)).toEqual({ giver: A, sinceSeconds: 11 });
  });

  test("is kept without what it names: a message is a part of a larger buffer", () => {
    const ledger = new Ledger(SELF);
    ledger.hello(A, 1, hello([all(B, 1)]), 0);
    expect(Object.keys(ledger.heard(0)[0]!.hello!)).not.toContain("had");
  });

  test("that comes much sooner than each second says only what its sender has told", () => {
    const ledger = open();
    ledger.hello(A, 1, hello(), 10);
    ledger.hello(A, 2, hello([all(B, 7)]), 10.1);
    expect(ledger.lacking(10.1).map(({ live }) => live)).toEqual([2]);
    expect([...ledger.origins].map(({ origin }) => origin)).toEqual([A]);
    ledger.hello(A, 2, hello([all(B, 7)]), 10.3);
    expect([...ledger.origins].map(({ origin }) => origin)).toEqual([A, B]);
  });

  test("of another tracker counts after two seconds, and moves nothing by itself", () => {
    const ledger = open();
    ledger.batch(A, 1, 1);
    ledger.hello(B, 0, hello([all(A, 2)]), 1);
    expect(ledger.need(2)).toBeUndefined();
    expect(ledger.batch(A, 2, 2.5)).toBe(true);
    expect(ledger.need(4)).toBeUndefined();
    ledger.hello(B, 0, hello([all(A, 4_000_000_000)]), 4);
    expect(ledger.batch(A, 3, 4)).toBe(true);
    expect(ledger.need(6)?.giver).toBe(A);
  });

  test("keeps an origin from being forgotten, which two timeouts without one do not", () => {
    const ledger = open();
    ledger.batch(A, 1, 0);
    ledger.forget(200, 100);
    expect(ledger.had(100, 100)).toEqual([all(A, 1)]);
    expect(ledger.had(101, 100)).toEqual([]);
    ledger.forget(201, 100);
    expect([...ledger.origins]).toEqual([]);
  });

  test("from any number of names takes bounded memory", () => {
    const ledger = open();
    for (let i = 0; i < 5000; i++) ledger.hello(i.toString(16).padStart(16, "f"), 1, hello(), 1);
    // As many as a hello can name are heard at a time, and no more are kept.
    expect([...ledger.origins].length).toBe(64);
    expect(ledger.had(1, 100).length).toBe(64);
  });
});

describe("a pull", () => {
  test("mends all gaps at once, of the giver that has most", () => {
    const ledger = open();
    for (const origin of [A, B]) ledger.batch(origin, 1, 10);
    ledger.batch(A, 4, 20);
    ledger.batch(B, 4, 20);
    ledger.hello(C, 0, hello([all(A, 4), all(B, 3)]), 20);
    expect(ledger.need(20)).toEqual({ giver: C, sinceSeconds: 20 });
    expect(ledger.need(20, new Set([C]))!.giver).not.toBe(C);
    ledger.pulled(C, [all(C, 0), all(A, 4), all(B, 3)], { begun: 20, sinceSeconds: 20 }, 21);
    expect(ledger.need(21)).toBeUndefined();
  });

  test("that did not reach back far enough, or whose giver had less, mends nothing", () => {
    const ledger = open();
    ledger.batch(A, 1, 10);
    ledger.batch(A, 4, 20);
    ledger.pulled(B, [all(A, 4)], { begun: 21, sinceSeconds: 10 }, 22);
    expect(lacking(ledger, 22)).toEqual([A]);
    ledger.pulled(B, [all(A, 2)], { begun: 21, sinceSeconds: 30 }, 22);
    expect(lacking(ledger, 22)).toEqual([A]);
  });

  test("of one that drains is the last choice", () => {
    const ledger = open();
    ledger.batch(A, 3, 1);
    ledger.hello(A, 3, hello([], { drains: true }), 1);
    ledger.hello(B, 0, hello([all(A, 3)]), 1);
    expect(ledger.need(1)?.giver).toBe(B);
  });

  test("of all is asked of one that has caught up", () => {
    const ledger = new Ledger(SELF);
    ledger.hello(A, 0, hello([], { behind: true }), 1);
    expect(ledger.giverOfAll(1, new Set())).toBeUndefined();
    ledger.hello(B, 0, hello(), 1);
    expect(ledger.giverOfAll(1, new Set())).toBe(B);
    expect(ledger.giverOfAll(7, new Set())).toBeUndefined();
  });
});

describe("of an origin that is gone before anybody has all of it", () => {
  /** A had gaps for everybody, and is gone; B and C are there. */
  function orphaned(): Ledger {
    const ledger = open();
    ledger.batch(A, 1, 1);
    ledger.batch(A, 4, 2);
    for (const other of [B, C]) ledger.hello(other, 0, hello([all(A, 2)]), 20);
    return ledger;
  }

  test("all others are asked, one after the other; then it is settled", () => {
    const ledger = orphaned();
    const first = ledger.need(20)!.giver;
    ledger.pulled(first, [all(A, 2)], { begun: 20, sinceSeconds: 100 }, 21);
    const second = ledger.need(21)!.giver;
    expect([first, second].sort()).toEqual([B, C]);
    ledger.pulled(second, [all(A, 2)], { begun: 21, sinceSeconds: 100 }, 22);
    expect(ledger.need(22)).toBeUndefined();
    expect(ledger.had(22, 100)).toContainEqual({ origin: A, number: 4, heard: 1 });
  });

  test("one that has settled it is enough", () => {
    const ledger = orphaned();
    ledger.hello(C, 0, hello([{ origin: A, number: 4, heard: 2 }]), 20.5);
    expect(ledger.need(20.5)!.giver).toBe(C);
    const had = [{ origin: A, number: 4, heard: 2 }];
    ledger.pulled(C, had, { begun: 20, sinceSeconds: 100 }, 21);
    expect(ledger.need(21)).toBeUndefined();
  });

  test("all are asked again when one of them has got more of it since", () => {
    const ledger = orphaned();
    const first = ledger.need(20)!.giver;
    ledger.pulled(first, [all(A, 2)], { begun: 20, sinceSeconds: 100 }, 21);
    ledger.hello(first, 0, hello([{ origin: A, number: 2, heard: 9 }]), 22);
    const others: string[] = [];
    for (const now of [23, 24]) {
      for (const other of [B, C]) ledger.hello(other, 0, hello([all(A, 2)]), now);
      const { giver } = ledger.need(now)!;
      others.push(giver);
      ledger.pulled(giver, [all(A, 2)], { begun: now, sinceSeconds: 100 }, now + 1);
    }
    expect(others.sort()).toEqual([B, C]);
    expect(ledger.had(25, 100)).toContainEqual({ origin: A, number: 9, heard: 1 });
  });

  test("one that got more of it while it gave does not count as asked", () => {
    const ledger = orphaned();
    const { giver } = ledger.need(20)!;
    ledger.hello(giver, 0, hello([{ origin: A, number: 2, heard: 9 }]), 20.5);
    ledger.pulled(giver, [all(A, 2)], { begun: 20, sinceSeconds: 100 }, 21);
    const other = giver === B ? C : B;
    ledger.hello(other, 0, hello([all(A, 2)]), 23);
    ledger.pulled(other, [all(A, 2)], { begun: 23, sinceSeconds: 100 }, 24);
    expect(ledger.need(24)!.giver).toBe(giver);
  });

  test("one that was cut off from us while it was settled is asked when it is heard", () => {
    const ledger = open();
    ledger.batch(A, 1, 1);
    ledger.batch(A, 4, 2);
    ledger.hello(B, 0, hello([all(A, 2)]), 20);
    ledger.pulled(B, [all(A, 2)], { begun: 20, sinceSeconds: 100 }, 21);
    expect(ledger.need(21)).toBeUndefined();
    const partly = { origin: A, number: 1, heard: 4 };
    ledger.hello(C, 0, hello([partly]), 22);
    expect(ledger.need(22)?.giver).toBe(C);
    ledger.pulled(C, [partly], { begun: 22, sinceSeconds: 100 }, 23);
    expect(ledger.need(23)).toBeUndefined();
    ledger.hello(C, 0, hello([partly]), 24);
    expect(ledger.need(24)).toBeUndefined();
  });

  test("nor does it count that the other has settled it, too: each had asked its own side", () => {
    const ledger = orphaned();
    ledger.hello(B, 0, hello([all(A, 2)]), 20);
    ledger.pulled(B, [all(A, 2)], { begun: 20, sinceSeconds: 100 }, 21);
    const settled = { origin: A, number: 4, heard: 1 };
    for (const now of [26, 27]) {
      ledger.hello(B, 0, hello([all(A, 2)]), now);
      ledger.pulled(B, [all(A, 2)], { begun: now, sinceSeconds: 100 }, now);
    }
    expect(ledger.need(27)).toBeUndefined();
    ledger.hello(C, 0, hello([settled]), 28);
    expect(ledger.need(28)?.giver).toBe(C);
    ledger.pulled(C, [settled], { begun: 28, sinceSeconds: 100 }, 29);
    ledger.hello(C, 0, hello([settled]), 30);
    expect(ledger.need(30)).toBeUndefined();
  });

  test("it is settled no more when the tracker that had settled it says so", () => {
    const ledger = orphaned();
    const settled = { origin: A, number: 4, heard: 2 };
    ledger.hello(C, 0, hello([settled]), 20);
    ledger.pulled(C, [settled], { begun: 20, sinceSeconds: 100 }, 21);
    expect(ledger.need(21)).toBeUndefined();
    ledger.hello(C, 0, hello([{ origin: A, number: 2, heard: 4 }]), 22);
    expect(ledger.need(22)).toBeDefined();
  });

  test("it is asked itself as soon as it is back: it was only cut off", () => {
    const ledger = orphaned();
    for (const other of [B, C]) {
      ledger.pulled(other, [all(A, 2)], { begun: 20, sinceSeconds: 100 }, 21);
    }
    expect(ledger.need(21)).toBeUndefined();
    ledger.hello(A, 9, hello(), 22);
    expect(ledger.need(22)?.giver).toBe(A);
  });
});

describe("a tracker that is gone for good", () => {
  test("is forgotten by all, though they name it to each other", () => {
    const ledgers = [A, B].map((self) => new Ledger(self));
    for (const ledger of ledgers) ledger.batch(C, 1, 0);
    for (let now = 0; now <= 300; now += 1) {
      for (const ledger of ledgers) ledger.forget(now, 100);
      const [ofA, ofB] = ledgers.map((ledger) => hello(ledger.had(now, 100)));
      ledgers[0].hello(B, 0, ofB, now);
      ledgers[1].hello(A, 0, ofA, now);
    }
    expect(ledgers.map(({ origins }) => [...origins].map(({ origin }) => origin))).toEqual([
      [B],
      [A],
    ]);
  });

  test("takes no place from one that is there, however many are gone", () => {
    const ledger = open();
    for (let n = 0; n < 2000; n++) ledger.batch(n.toString(16).padStart(16, "1"), 1, n);
    expect(ledger.batch(A, 1, 2200)).toBe(true);
    expect(ledger.had(2200, 2700)[0]).toEqual(all(A, 1));
    expect([...ledger.origins].length).toBe(256);
  });
});

describe("after the first pull since the start", () => {
  test("nothing is missing, unless it did not reach back far enough", () => {
    const pulled = (sinceSeconds: number): Ledger => {
      const ledger = new Ledger(SELF);
      ledger.hello(A, 500, hello([all(B, 70)]), 100);
      ledger.pulled(A, [all(A, 500), all(B, 70)], { begun: 100, sinceSeconds }, 101);
      ledger.hello(A, 500, hello(), 104);
      return ledger;
    };
    expect(pulled(Infinity).need(104)).toBeUndefined();
    expect(pulled(60).need(104)!.sinceSeconds).toBe(Infinity);
  });

  test("nothing is missing of a tracker that it brought and that is heard only then", () => {
    const ledger = new Ledger(SELF);
    ledger.hello(A, 500, hello([all(B, 70)]), 100);
    ledger.pulled(A, [all(A, 500), all(B, 70)], { begun: 100, sinceSeconds: Infinity }, 101);
    ledger.hello(B, 70, hello(), 104);
    expect(ledger.batch(B, 71, 105)).toBe(true);
    expect(ledger.need(105)).toBeUndefined();
  });
});

describe("a claim", () => {
  const FORGED = { origin: B, number: 4_000_000_000, heard: 4_000_000_000 };

  test("that the origin itself does not bear out is gone, and is told to no other", () => {
    const ledger = new Ledger(SELF);
    ledger.hello(B, 7, hello(), 0);
    ledger.pulled(B, [{ origin: B, number: 7, heard: 7 }], { begun: 0, sinceSeconds: Infinity }, 0);
    ledger.hello(C, 1, hello([FORGED]), 1);
    expect(ledger.had(1.5, 60).find(({ origin }) => origin === B)).toMatchObject({ heard: 7 });
    ledger.hello(B, 7, hello(), 2);
    expect(ledger.lacking(3.5).map(({ origin }) => origin)).toContain(B);
    ledger.hello(B, 7, hello(), 4);
    expect(ledger.lacking(5).map(({ origin }) => origin)).not.toContain(B);
  });
});

describe("a number that another program said in the name of a tracker", () => {
  /** What is told of B from batch 8 on, each second, after a batch that B never sent. */
  function forged(number: number, seconds: number) {
    const ledger = new Ledger(SELF);
    ledger.hello(B, 7, hello(), 0);
    ledger.pulled(B, [{ origin: B, number: 7, heard: 7 }], { begun: 0, sinceSeconds: Infinity }, 0);
    expect(ledger.batch(B, number, 1)).toBe(true);
    const taken: number[] = [];
    for (let now = 2; now < 2 + seconds; now++) {
      ledger.hello(B, now + 5, hello(), now);
      if (ledger.batch(B, now + 6, now + 0.5)) taken.push(now + 6);
    }
    return { ledger, taken };
  }

  test("is taken back after five seconds of hellos with lower ones; the rest is pulled", () => {
    for (const number of [100, 4_294_967_295]) {
      const { ledger, taken } = forged(number, 12);
      expect(taken).toEqual([13, 14, 15, 16, 17, 18, 19]);
      const need = ledger.need(14)!;
      expect(need).toMatchObject({ giver: B });
      expect(need.sinceSeconds).toBeGreaterThan(13);
      const pull = { begun: 14, sinceSeconds: need.sinceSeconds };
      ledger.pulled(B, [{ origin: B, number: 19, heard: 19 }], pull, 14);
      expect(ledger.need(14)).toBeUndefined();
      expect(ledger.had(14, 60)).toMatchObject([{ origin: B, number: 19, heard: 19 }]);
    }
  });

  test("is kept while a hello is only late", () => {
    const ledger = new Ledger(SELF);
    ledger.hello(B, 7, hello(), 0);
    for (let now = 1; now < 60; now++) {
      ledger.hello(B, 7 + now, hello(), now);
      ledger.hello(B, 3, hello(), now + 0.5);
    }
    expect([...ledger.origins][0]!.live).toBe(66);
  });
});

test("a tracker that does not store all is asked last", () => {
  const ledger = new Ledger(SELF);
  ledger.hello(A, 1, hello([], { partial: true }), 0);
  ledger.hello(B, 1, hello(), 0);
  expect(ledger.giverOfAll(0, new Set())).toBe(B);
  expect(ledger.giverOfAll(0, new Set([B]))).toBe(A);
});

test("what a thousand made-up trackers say takes no time worth naming", () => {
  const ledger = new Ledger(SELF);
  ledger.hello(A, 1, hello(), 0);
  const origins = Array.from({ length: 1000 }, (_, i) => i.toString(16).padStart(16, "f"));
  const had = origins.slice(0, 64).map((origin) => ({ origin, number: 9, heard: 9 }));
  for (const origin of origins) ledger.hello(origin, 5, hello(had), 1);
  expect(ledger.heard(1).length).toBeLessThanOrEqual(64);
  expect([...ledger.origins].length).toBeLessThanOrEqual(256);
  // The ones that were there are heard all the same.
  ledger.hello(A, 2, hello(), 4);
  expect(ledger.heard(4).map(({ origin }) => origin)).toContain(A);
});

describe("the ledger of a snapshot of 100 seconds ago", () => {
  const FILE = 900;
  const NOW = 1000;
  const kept = (origin: string, number: number, heard = number) => {
    return { origin, number, heard, ageSeconds: 500, wholeSeconds: 5, namedSeconds: 5 };
  };

  function restored(...origins: KeptOrigin[]): Ledger {
    const ledger = open();
    ledger.restore(origins, FILE, NOW);
    return ledger;
  }

  test("is that which was kept, but for its times", () => {
    const before = open();
    before.batch(A, 1, 10);
    before.batch(A, 2, 20);
    before.batch(B, 1, 21);
    before.batch(B, 4, 22);
    before.hello(A, 2, hello([], { upSeconds: 8 }), 28);
    const [now, timeout] = [30, 2700];
    const [later, gap] = [NOW + 2, 30 - 21];
    const ledger = open();
    ledger.restore(before.keep(now, timeout), FILE, NOW);
    const numbers = (all: Had[]) =>
      all.map(({ origin, number, heard }) => [origin, number, heard]).sort();
    expect(numbers(ledger.had(NOW, timeout))).toEqual(numbers(before.had(now, timeout)));
    expect(ledger.had(NOW, timeout).find(({ origin }) => origin === A)!.ageSeconds).toBe(
      NOW - FILE + now - 20,
    );
    ledger.hello(A, 3, hello(), later);
    expect(ledger.need(later)).toEqual({ giver: A, sinceSeconds: later - FILE + gap + 10 });
  });

  test("lacks what its origins told since, and no gap is counted for that", () => {
    const ledger = restored(kept(A, 7));
    expect(lacking(ledger, NOW)).toEqual([]);
    ledger.hello(A, 9, hello(), NOW);
    expect(ledger.need(NOW)).toEqual({ giver: A, sinceSeconds: 115 });
    expect(ledger.gaps).toBe(0);
    ledger.pulled(A, [all(A, 9)], { begun: NOW, sinceSeconds: 115 }, NOW + 1);
    expect(lacking(ledger, NOW + 1)).toEqual([]);
    expect(ledger.batch(A, 10, NOW + 2)).toBe(true);
    expect(lacking(ledger, NOW + 5)).toEqual([]);
  });

  test("lacks nothing if they told nothing, and goes on with the next batch", () => {
    const ledger = restored(kept(A, 7));
    ledger.hello(A, 7, hello(), NOW);
    expect(ledger.batch(A, 8, NOW + 1)).toBe(true);
    expect(lacking(ledger, NOW + 5)).toEqual([]);
  });

  test("lets another lack what this tracker never got to tell before it ended", () => {
    const other = open();
    other.batch(C, 1, 880);
    const ledger = restored({ ...kept(C, 5), wholeSeconds: 0 });
    const had = ledger.had(NOW, 2700);
    other.hello(B, 0, hello(had), NOW);
    expect(lacking(other, NOW + 2.1)).toEqual([C]);
    expect(other.need(NOW + 2)!.giver).toBe(B);
  });

  test("says of an orphan that is settled that it is", () => {
    const settled = { ...kept(A, 9), heard: 4 };
    const ledger = restored(settled);
    ledger.hello(B, 0, hello(), NOW);
    expect(lacking(ledger, NOW + 3)).toEqual([]);
    expect(ledger.had(NOW + 3, 2700)).toMatchObject([{ origin: A, number: 9, heard: 4 }]);
  });

  test("still lacks what it lacked", () => {
    const ledger = restored(kept(A, 4, 9));
    ledger.hello(B, 0, hello([all(A, 9)]), NOW);
    expect(ledger.need(NOW)).toEqual({ giver: B, sinceSeconds: 115 });
  });

  test("whose time is not known lets it ask for all that is missing", () => {
    const ledger = open();
    ledger.restore([kept(A, 7)], -Infinity, NOW);
    ledger.hello(A, 9, hello(), NOW);
    expect(ledger.need(NOW)!.sinceSeconds).toBeGreaterThan(SECONDS_MAX);
  });

  test("is forgotten after two peer timeouts, and named to others for one", () => {
    const ledger = restored(kept(A, 7));
    expect(ledger.had(FILE - 5 + 2700, 2700).length).toBe(1);
    expect(ledger.had(FILE - 4 + 2700, 2700)).toEqual([]);
    ledger.forget(FILE - 4 + 5400, 2700);
    expect([...ledger.origins]).toEqual([]);
  });
});

describe("an origin that is new", () => {
  test("needs a pull that reaches back to its start, by its own word or that of another", () => {
    const own = open();
    own.hello(A, 40, hello([], { upSeconds: 30 }), 1000);
    expect(own.need(1000)).toEqual({ giver: A, sinceSeconds: 40 });
    own.pulled(A, [all(A, 40)], { begun: 1000, sinceSeconds: 40 }, 1001);
    expect(lacking(own, 1001)).toEqual([]);
    const told = open();
    told.hello(B, 0, hello([{ ...all(A, 40), ageSeconds: 30 }]), 1000);
    expect(told.need(1002)).toEqual({ giver: B, sinceSeconds: 42 });
  });

  test("is as old as the earliest news says, since news may be late", () => {
    const ledger = open();
    ledger.hello(A, 40, hello([], { upSeconds: 1 }), 1000);
    ledger.hello(A, 40, hello([], { upSeconds: 61 }), 1000.1);
    expect(ledger.need(1000.1)!.sinceSeconds).toBeCloseTo(71, 5);
  });
});
