import { describe, expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import {
  BURST_SECONDS,
  PARTS,
  RATE_ADDRESS,
  RATE_NETWORK,
  RATE_OK,
  RateLimits,
  type RateLimitMode,
  reserveRateLimits,
} from "../../src/limits/rate-limits.ts";
import { readAddress } from "../../src/net/addresses.ts";

const KEYS = Int32Array.from({ length: 5 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) | 1);

function limits(addressRate: number, networkRate: number, mode: RateLimitMode = "enforce") {
  return new RateLimits(reserveRateLimits({ mode, addressRate, networkRate }, KEYS));
}

function judge(rates: RateLimits, text: string, now = 0): number {
  const bytes = new Uint8Array(20);
  return rates.judge(bytes, 3, readAddress(text, bytes, 3) as Family, now);
}

/** Verdicts of `count` requests at one moment: how many of each. */
function tally(rates: RateLimits, text: string, count: number, now = 0): number[] {
  const verdicts = [0, 0, 0];
  for (let i = 0; i < count; i++) verdicts[judge(rates, text, now)] += 1;
  return verdicts;
}

describe("an address", () => {
  test("may make a minute's worth of requests at once, and no more", () => {
    expect(tally(limits(2, 1000), "192.0.2.1", 150)).toEqual([2 * BURST_SECONDS, 30, 0]);
  });

  test("then gets its rate, however many more requests it makes", () => {
    const rates = limits(2, 1000);
    tally(rates, "192.0.2.1", 1000, 100);
    expect(tally(rates, "192.0.2.1", 1000, 110)).toEqual([20, 980, 0]);
    expect(tally(rates, "192.0.2.1", 1000, 111)).toEqual([2, 998, 0]);
  });

  test("that was quiet for a minute has its full burst again, and no more", () => {
    const rates = limits(2, 1000);
    tally(rates, "192.0.2.1", 120, 0);
    expect(tally(rates, "192.0.2.1", 150, 60)).toEqual([120, 30, 0]);
    expect(tally(rates, "192.0.2.1", 150, 10_000)).toEqual([120, 30, 0]);
  });

  test("of IPv6 is a whole /64, and no more", () => {
    const rates = limits(1, 1000);
    expect(tally(rates, "2001:db8:1:2::1", 60)).toEqual([60, 0, 0]);
    expect(judge(rates, "2001:db8:1:2:ffff::9")).toBe(RATE_ADDRESS);
    expect(judge(rates, "2001:db8:1:3::1")).toBe(RATE_OK);
  });

  test("is not limited by the requests of its neighbours", () => {
    const rates = limits(1, 1000);
    tally(rates, "192.0.2.1", 100);
    expect(judge(rates, "192.0.2.1")).toBe(RATE_ADDRESS);
    expect(judge(rates, "192.0.2.2")).toBe(RATE_OK);
    expect(judge(rates, "c000:201::")).toBe(RATE_OK);
  });
});

describe("a network", () => {
  test("of IPv4 is a /24", () => {
    const rates = limits(10, 1);
    for (let host = 0; host < 60; host++) expect(judge(rates, `192.0.2.${host}`)).toBe(RATE_OK);
    expect(judge(rates, "192.0.2.255")).toBe(RATE_NETWORK);
    expect(judge(rates, "192.0.3.1")).toBe(RATE_OK);
    expect(judge(rates, "192.0.1.255")).toBe(RATE_OK);
  });

  test("of IPv6 is a /48", () => {
    const rates = limits(10, 1);
    for (let site = 0; site < 60; site++) {
      expect(judge(rates, `2001:db8:1:${site.toString(16)}::1`)).toBe(RATE_OK);
    }
    expect(judge(rates, "2001:db8:1:ffff::1")).toBe(RATE_NETWORK);
    expect(judge(rates, "2001:db8:2::1")).toBe(RATE_OK);
  });

  test("over its limit does not use up the limit of an address", () => {
    const rates = limits(1, 1);
    tally(rates, "192.0.2.1", 60, 0);
    expect(tally(rates, "192.0.2.2", 50, 0)).toEqual([0, 0, 50]);
    expect(tally(rates, "192.0.2.2", 100, 60)).toEqual([60, 40, 0]);
  });
});

test("a machine that starts 5,000 announces at once is under the default limits", () => {
  expect(tally(limits(200, 2000), "192.0.2.1", 10_000)).toEqual([10_000, 0, 0]);
});

test("mode observe judges like mode enforce", () => {
  const rates = limits(2, 1000, "observe");
  expect(rates.enforced).toBe(false);
  expect(tally(rates, "192.0.2.1", 150)).toEqual([120, 30, 0]);
  expect(limits(2, 1000).enforced).toBe(true);
});

test("over is true if the last request was over a limit", () => {
  const rates = limits(1, 1000, "observe");
  expect(rates.over).toBe(false);
  tally(rates, "192.0.2.1", 61);
  expect(rates.over).toBe(true);
  judge(rates, "192.0.2.2");
  expect(rates.over).toBe(false);
});

test("limits that are off allow everything and take no memory", () => {
  const shared = reserveRateLimits({ mode: "off", addressRate: 1, networkRate: 1 }, KEYS);
  expect(shared.cells.byteLength).toBe(0);
  expect(tally(new RateLimits(shared), "192.0.2.1", 1000)).toEqual([1000, 0, 0]);
});

test("threads share the buckets of an address", () => {
  const shared = reserveRateLimits({ mode: "enforce", addressRate: 1, networkRate: 1000 }, KEYS);
  expect(tally(new RateLimits(shared), "192.0.2.1", 60)).toEqual([60, 0, 0]);
  expect(judge(new RateLimits(shared), "192.0.2.1")).toBe(RATE_ADDRESS);
});

test("10,000 addresses far over the limit lock out hardly any other", () => {
  const rates = limits(1, 1);
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  for (let flooder = 0; flooder < 10_000; flooder++) {
    view.setUint32(0, 0x0a000000 + flooder * 256);
    for (let i = 0; i < 70; i++) rates.judge(bytes, 0, 4, 0);
  }
  let locked = 0;
  for (let bystander = 0; bystander < 10_000; bystander++) {
    view.setUint32(0, 0x50000000 + bystander * 256);
    if (rates.judge(bytes, 0, 4, 0) !== RATE_OK) locked++;
  }
  expect(locked).toBeLessThan(300);
});

describe("bystanders are locked out by chance only, whichever addresses flooders choose", () => {
  type Place = (view: DataView, i: number) => void;
  const SETS: Record<string, [family: Family, place: Place]> = {
    "neighbours in one /8": [4, (view, i) => view.setUint32(0, 0x0a000000 + i * 256)],
    "only the highest bits of the halves differ": [
      4,
      (view, i) => view.setUint32(0, Math.imul(i, 0x00020001) ^ (i << 15)),
    ],
    "an arithmetic progression": [4, (view, i) => view.setUint32(0, Math.imul(i, 0x9e3779b1))],
    "one /64 after the other": [6, (view, i) => view.setUint32(4, i)],
    "one /48 after the other": [6, (view, i) => view.setUint32(2, i)],
    "all four halves the same": [
      6,
      (view, i) => [0, 2, 4, 6].forEach((at) => view.setUint16(at, i)),
    ],
  };
  const FLOODERS = 10_000;
  test.each(Object.entries(SETS))("%s", (_name, [family, place]) => {
    // The real thing: keys that nobody knows.
    const settings = { mode: "enforce", addressRate: 1, networkRate: 1_000_000 } as const;
    const rates = new RateLimits(reserveRateLimits(settings));
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    let locked = 0;
    for (let i = 0; i < 2 * FLOODERS; i += 2) {
      place(view, i);
      for (let request = 0; request < 70; request++) rates.judge(bytes, 0, family, 0);
    }
    for (let i = 1; i < 2 * FLOODERS; i += 2) {
      place(view, i);
      if (rates.judge(bytes, 0, family, 0) !== RATE_OK) locked += 1;
    }
    // Both cells of one in 700 are taken by chance.
    expect(locked).toBeLessThan(FLOODERS / 20);
  });
});

test("no random key puts neighbours into the same cells", () => {
  for (const key of [1, 2, 3, 0x8001, 0x10001, 0x4000_0001, 0x7fff_ffff]) {
    const keys = new Int32Array(5).fill(key);
    const settings = { mode: "enforce", addressRate: 1, networkRate: 1_000_000 } as const;
    const rates = new RateLimits(reserveRateLimits(settings, keys));
    const bytes = new Uint8Array([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const view = new DataView(bytes.buffer);
    let locked = 0;
    for (let i = 0; i < 20_000; i += 2) {
      view.setUint16(6, i);
      for (let request = 0; request < 70; request++) rates.judge(bytes, 0, 6, 0);
    }
    for (let i = 1; i < 20_000; i += 2) {
      view.setUint16(6, i);
      if (rates.judge(bytes, 0, 6, 0) !== RATE_OK) locked += 1;
    }
    expect([key, locked < 500]).toEqual([key, true]);
  }
});

test("using all /64s of a /48 does not evade the limit of the network", () => {
  const rates = limits(200, 2000);
  const bytes = new Uint8Array(16);
  bytes.set([0x20, 0x01, 0x0d, 0xb8, 0, 1]);
  const view = new DataView(bytes.buffer);
  let passed = 0;
  for (let i = 0; i < 300_000; i++) {
    view.setUint16(6, i);
    view.setUint32(12, i);
    if (rates.judge(bytes, 0, 6, i / 300_000) === RATE_OK) passed += 1;
  }
  // The burst of the network, and the burst of its parts.
  expect(passed).toBeGreaterThanOrEqual(BURST_SECONDS * 2000);
  expect(passed).toBeLessThan((2 * BURST_SECONDS + 1.01) * 2000);
});

describe("while one part of a network floods", () => {
  const FLOOD_RATE = 25_000;
  const SECONDS = 200;
  type Flooder = (view: DataView, request: number) => void;
  const CASES: Record<string, [family: Family, flooder: Flooder, victim: string]> = {
    "200 /64s of a /56: a client in another /56 of the /48": [
      6,
      (view, request) => {
        view.setUint32(0, 0x20010db8);
        view.setUint32(4, 0x00010000 + (request % 200));
      },
      "2001:db8:1:100::1",
    ],
    "200 addresses of a /24: another address in it": [
      4,
      (view, request) => view.setUint32(0, 0xc0000200 + (request % 200)),
      "192.0.2.250",
    ],
  };
  test.each(Object.entries(CASES))("%s is served", (_name, [family, flooder, victim]) => {
    const rates = limits(200, 2000);
    const view = new DataView(new ArrayBuffer(16));
    const bytes = new Uint8Array(view.buffer);
    const served = { flood: 0, victim: 0 };
    for (let request = 0; request < SECONDS * FLOOD_RATE; request++) {
      flooder(view, request);
      const now = request / FLOOD_RATE;
      if (rates.judge(bytes, 0, family, now) === RATE_OK) served.flood += 1;
      // Evenly spaced, one a second, and of no second the same part.
      if (request % (FLOOD_RATE + 7) === 0 && judge(rates, victim, now) === RATE_OK) {
        served.victim += 1;
      }
    }
    expect(served.victim).toBe(SECONDS);
    expect(served.flood).toBeLessThan((2 * BURST_SECONDS + SECONDS) * 2000);
  });

  test("a neighbour has 1/256 of the network's rate, and a minute's worth of it at once", () => {
    const rates = limits(2048, 2048);
    for (let i = 0; i < 100; i++) tally(rates, `192.0.2.${i}`, 5000);
    expect(tally(rates, "192.0.2.200", 2000)).toEqual([8 * BURST_SECONDS, 0, 1520]);
    expect(tally(rates, "192.0.2.200", 2000, 1)).toEqual([8, 0, 1992]);
  });
});

test("all parts of a network together get its rate, however many and for how long", () => {
  const rates = limits(200, 2000);
  const bytes = new Uint8Array(16);
  bytes.set([0x20, 0x01, 0x0d, 0xb8, 0, 1]);
  const served = [0, 0];
  const SECONDS = 400;
  for (let request = 0; request < SECONDS * 20_000; request++) {
    // The 64ths of all 56ths in turn.
    bytes[6] = request % PARTS;
    bytes[7] = (request / PARTS) % 256;
    const late = Number(request >= (SECONDS / 2) * 20_000);
    if (rates.judge(bytes, 0, 6, request / 20_000) === RATE_OK) served[late] += 1;
  }
  expect(served[0]).toBeLessThan((2 * BURST_SECONDS + SECONDS / 2) * 2000);
  expect(served[1]).toBeLessThan((SECONDS / 2) * 2000 * 1.01);
});

describe("fetching the cells of a batch", () => {
  const froms = ["192.0.2.1", "2001:db8:1:2::1", "198.51.100.7", "2001:db8:9::1"];
  const bytes = new Uint8Array(4 * 16);
  const families = Uint8Array.from(froms, (from, i) => readAddress(from, bytes, 16 * i));
  const slots = Uint8Array.of(3, 0, 2, 1);

  test("changes no verdict and counts no request", () => {
    const fetched = limits(1, 1000);
    const plain = limits(1, 1000);
    for (let request = 0; request < 80; request++) {
      fetched.fetch(bytes, 16, families, slots, 4);
      for (const from of froms) expect(judge(fetched, from)).toBe(judge(plain, from));
    }
    expect(judge(fetched, froms[0])).toBe(RATE_ADDRESS);
  });

  test("is of no harm if another request is judged in a slot", () => {
    const rates = limits(1, 1000);
    tally(rates, froms[0], 60);
    rates.fetch(bytes, 16, families, slots, 4);
    // Slot 0 has 192.0.2.1, whose words are also those of c000:201::.
    const other = new Uint8Array(16);
    const family = readAddress("c000:201::", other, 0) as Family;
    expect(rates.judge(other, 0, family, 0, 0)).toBe(RATE_OK);
    expect(rates.judge(bytes, 0, 4, 0, 0)).toBe(RATE_ADDRESS);
    expect(rates.judge(bytes, 32, 4, 0, 2)).toBe(RATE_OK);
  });

  test("reads nothing where limits are off", () => {
    const rates = new RateLimits();
    rates.fetch(bytes, 16, families, slots, 4);
    expect(judge(rates, froms[0])).toBe(RATE_OK);
  });
});
