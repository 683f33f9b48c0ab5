/** Other trackers come, end, are lost and come again; each is said once. */
import { describe, expect, test } from "bun:test";
import { Ledger } from "../../src/cluster/ledger.ts";
import { OtherTrackers } from "../../src/cluster/other-trackers.ts";
import type { Hello } from "../../src/cluster/wire.ts";
import { HELLO } from "./hello.ts";

const [A, B] = ["a", "b"].map((digit) => digit.repeat(16));
const KEPT = { usualSeconds: 2700, maxSeconds: 5400 };

const NOW_1970 = HELLO.clockSeconds;
const CLOCK = { at: (now: number) => NOW_1970 + now, apartSeconds: 90 };

function open(kept = KEPT) {
  const ledger = new Ledger("0".repeat(16));
  const others = new OtherTrackers(ledger, kept, CLOCK);
  const says = (origin: string, now: number, changes: Partial<Hello> = {}) => {
    ledger.hello(origin, 0, { ...HELLO, clockSeconds: CLOCK.at(now), ...changes }, now);
  };
  let looked = NaN;
  /** Looks each second up to `now`. */
  const look = (now: number, up = true) => {
    const news = [];
    for (let at = looked + 1; at < now; at++) news.push(...others.look(at, up));
    looked = now;
    return [...news, ...others.look(now, up)];
  };
  return { ledger, says, look, others };
}

describe("another tracker", () => {
  test("is there, is lost after five seconds, and is heard again", () => {
    const { says, look } = open();
    says(A, 10);
    expect(look(10)).toEqual([{ what: "there", node: "b" }]);
    expect(look(15)).toEqual([]);
    expect(look(16)).toEqual([{ what: "lost", node: "b", seconds: 6 }]);
    expect(look(17)).toEqual([]);
    says(A, 30);
    expect(look(30)).toEqual([{ what: "again", node: "b", seconds: 20 }]);
  });

  test("that drains has ended, and is not lost; its next start is heard again", () => {
    const { says, look } = open();
    says(A, 10);
    look(10);
    says(A, 12, { drains: true });
    expect(look(12)).toEqual([{ what: "ended", node: "b" }]);
    expect(look(40)).toEqual([]);
    says(B, 41);
    expect(look(41)).toEqual([{ what: "again", node: "b", seconds: 29 }]);
  });

  test("that was restarted at once was never gone", () => {
    const { says, look } = open();
    says(A, 10);
    look(10);
    says(B, 12);
    expect(look(18)).toEqual([{ what: "lost", node: "b", seconds: 6 }]);
    says(B, 19);
    look(19);
    says(A, 19.5);
    expect(look(19.5)).toEqual([]);
  });

  test("is never heard again before it ended: of two with its name one may be forgotten", () => {
    const { ledger, says, look } = open();
    says(A, 8);
    look(8);
    says(B, 10);
    says(A, 12, { drains: true });
    expect(look(12)).toEqual([{ what: "ended", node: "b" }]);
    says("c".repeat(16), 12.9, { name: "c", had: [{ origin: B, number: 1, heard: 1 }] });
    ledger.forget(13, 0.4);
    expect(look(13)).toContainEqual({ what: "again", node: "b", seconds: 0 });
  });

  test("is not called lost while our own link is down, nor right after", () => {
    const { says, look } = open();
    says(A, 10);
    look(10);
    expect(look(30, false)).toEqual([]);
    expect(look(31)).toEqual([]);
    says(A, 32);
    expect(look(33)).toEqual([]);
    expect(look(45, false)).toEqual([]);
    look(46);
    expect(look(52)).toEqual([{ what: "lost", node: "b", seconds: 20 }]);
  });

  test("is not called lost after this process stood still, unless it stays silent", () => {
    const { says, look, others } = open();
    says(A, 10);
    says(B, 10, { name: "c" });
    look(10);
    expect(others.look(20, true)).toEqual([]);
    says(A, 20.1);
    expect([21, 22, 23, 24, 25].flatMap((now) => others.look(now, true))).toEqual([]);
    expect(others.look(25.5, true)).toContainEqual({ what: "lost", node: "c", seconds: 15.5 });
  });

  test("of too many names is not said", () => {
    const { says, look } = open();
    for (let n = 0; n < 200; n++) says(n.toString(16).padStart(16, "0"), 10, { name: `n${n}` });
    expect(look(10).length).toBe(64);
  });
});

describe("a peer timeout", () => {
  test("within what ours may be is no news, because it follows the load", () => {
    const { says, look } = open();
    says(A, 10, { keepsSeconds: 5400 });
    expect(look(10)).toEqual([{ what: "there", node: "b" }]);
  });

  test("that is longer than ours can be, or shorter than ours is, is said once", () => {
    const { says, look } = open();
    says(A, 10, { keepsSeconds: 5401 });
    says(B, 10, { keepsSeconds: 1800, name: "c" });
    expect(look(10)).toContainEqual({ what: "longer", node: "b", keepsSeconds: 5401 });
    expect(look(11)).toEqual([]);
    says(B, 12, { keepsSeconds: 1801, name: "c" });
    expect(look(12)).toEqual([{ what: "shorter", node: "c", keepsSeconds: 1801 }]);
  });

  test("that is the longest counts here, as long as that tracker was heard lately", () => {
    const { says, others } = open();
    expect(others.longestKept(10, 2700)).toBe(0);
    says(A, 10, { keepsSeconds: 5000 });
    says(B, 10, { keepsSeconds: 3000 });
    expect(others.longestKept(2000, 2700)).toBe(5000);
    expect(others.longestKept(3000, 2700)).toBe(0);
  });
});

describe("a clock", () => {
  /** What is said from second 10 on, of a tracker whose clock is ahead by so much in each. */
  function said(ahead: (now: number) => number, seconds = 40) {
    const { says, look } = open();
    return Array.from({ length: seconds }, (_, second) => second + 10).flatMap((now) => {
      says(A, now, { clockSeconds: CLOCK.at(now) + ahead(now) });
      return look(now).flatMap((news) => (news.what === "clock" ? [[now, news.seconds]] : []));
    });
  }

  test.each([91, -91])("that is %d seconds ahead for ten seconds is said once", (ahead) => {
    expect(said(() => ahead)).toEqual([[21, ahead]]);
  });

  test("that differs by less, or of a hello that was only late, is not", () => {
    expect(said(() => 90)).toEqual([]);
    expect(said((now) => (now % 10 < 8 ? -300 : 0))).toEqual([]);
  });

  test("that was right meanwhile is said again", () => {
    const said2 = said((now) => (now === 30 ? 0 : 100)).map(([now]) => now);
    expect(said2).toEqual([21, 41]);
  });
});
