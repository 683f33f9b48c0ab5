import { expect, spyOn, test } from "bun:test";
import {
  Garbage,
  GARBAGE_BYTES_MAX,
  garbage,
  LASTING_MAX,
  releaseStart,
  TINY_MAX,
  YOUNG_BYTES_MAX,
} from "../../src/host/garbage.ts";

/** An account whose clock is set by hand, and the collections it began. */
function open() {
  const clock = { milliseconds: 0 };
  const begun: string[] = [];
  const account = new Garbage(
    (waits) => begun.push(waits ? "waited for" : "asked for"),
    () => clock.milliseconds,
    () => begun.push("of young ones"),
  );
  return { account, clock, begun };
}

test("a collection starts each time enough garbage was noted, and not before", () => {
  const { account, clock, begun } = open();
  const seen: number[] = [];
  for (const bytes of [GARBAGE_BYTES_MAX, 1, GARBAGE_BYTES_MAX, 1, 1]) {
    account.note(bytes);
    clock.milliseconds += 1000;
    seen.push(begun.length);
  }
  expect(seen).toEqual([0, 1, 1, 2, 2]);
  expect(begun).toEqual(["asked for", "asked for"]);
  expect(account.noted).toBe(2 * GARBAGE_BYTES_MAX + 3);
});

test.each([
  ["awaited", false, "waited for"],
  ["of young objects where they die young", true, "of young ones"],
])("a collection within a second of the last one is %s", (_, dieYoung, which) => {
  const { account, clock, begun } = open();
  for (const milliseconds of [0, 999, 999, 1000]) {
    clock.milliseconds += milliseconds;
    account.note((dieYoung ? YOUNG_BYTES_MAX : GARBAGE_BYTES_MAX) + 1, dieYoung);
  }
  expect(begun).toEqual(["asked for", which, which, "asked for"]);
});

test.each([
  ["of young objects, where more than half of it dies young", 0.6, "of young ones"],
  ["of all objects, where less than half does", 0.4, "waited for"],
])("a collection is %s, whatever exceeds the limit", (_, share, which) => {
  const { account, begun } = open();
  for (const last of [false, true]) {
    begun.length = 0;
    account.note(GARBAGE_BYTES_MAX + 1);
    account.note(share * YOUNG_BYTES_MAX, true);
    account.note((1 - share) * YOUNG_BYTES_MAX - 10);
    account.note(11, last);
    expect(begun.at(-1)).toBe(which);
  }
});

test("settle collects at once, unless there is little garbage", () => {
  const { account, begun } = open();
  account.note(1000);
  account.settle();
  expect(begun).toEqual([]);
  account.note(2 ** 20);
  for (let i = 0; i < 2; i++) account.settle();
  expect(begun).toEqual(["waited for"]);
});

test("settle only starts a collection if it is not to wait", () => {
  const { account, begun } = open();
  account.note(2 ** 20);
  account.settle(false);
  expect(begun).toEqual(["asked for"]);
});

test("collect collects, however little was noted", () => {
  const { account, begun } = open();
  account.collect();
  account.collect(false);
  expect(begun).toEqual(["waited for", "asked for"]);
});

test("what the start left is collected, and its memory given back", () => {
  const gc = spyOn(Bun, "gc").mockReturnValue();
  try {
    releaseStart();
    expect(gc.mock.calls).toEqual([[true]]);
  } finally {
    gc.mockRestore();
  }
});

test("settle collects all objects though young ones were collected since", () => {
  const { account, begun } = open();
  for (let i = 0; i < 2; i++) account.note(YOUNG_BYTES_MAX + 1, true);
  account.settle();
  expect(begun).toEqual(["asked for", "of young ones", "waited for"]);
});

test("each thousandth object that lasts starts a collection of what is young", () => {
  const { begun } = open();
  let young = 0;
  const account = new Garbage(
    () => begun.push("all"),
    () => 0,
    () => (young += 1),
  );
  for (let i = 1; i < LASTING_MAX; i++) account.noteLasting();
  expect(young).toBe(0);
  for (let i = 0; i < LASTING_MAX + 1; i++) account.noteLasting();
  expect([young, begun]).toEqual([2, []]);
});

test("young objects are collected for each 2,500 tiny pieces, as a socket receives them", () => {
  const { account, begun } = open();
  for (let i = 1; i < TINY_MAX; i++) account.noteTiny();
  expect(begun).toEqual([]);
  for (let i = 0; i < TINY_MAX + 1; i++) account.noteTiny();
  expect(begun).toEqual(["of young ones", "of young ones"]);
});

test("a collection is started, not awaited", () => {
  const gc = spyOn(Bun, "gc").mockReturnValue();
  try {
    new Garbage().note(GARBAGE_BYTES_MAX + 1);
    expect(gc.mock.calls).toEqual([[false]]);
  } finally {
    gc.mockRestore();
  }
});

test("an awaited collection frees the garbage, beside a large reserve that is alive", () => {
  const reserve = new SharedArrayBuffer(2 ** 30);
  const gone: boolean[] = [];
  const registry = new FinalizationRegistry(() => gone.push(true));
  for (let i = 0; i < 100; i++) registry.register(new Uint8Array(new ArrayBuffer(2 ** 20)), i);
  garbage.note(2 ** 20);
  garbage.settle();
  return Bun.sleep(10).then(() => {
    expect(gone.length).toBeGreaterThan(90);
    expect(reserve.byteLength).toBe(2 ** 30);
  });
});
