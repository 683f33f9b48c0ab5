import { describe, expect, test } from "bun:test";
import { Load, type LoadSettings, stretchMax, stretchMemory } from "../../src/limits/load.ts";
import { Intervals } from "../../src/limits/intervals.ts";

const SETTINGS: LoadSettings = {
  targetRate: 10,
  interval: 1800,
  intervalMax: 7200,
  jitterPercent: 10,
};
const HOUR = 3600;

/** Clients that come back when they were told to, second by second. */
class Population {
  readonly memory = stretchMemory();
  readonly load: Load;
  /** Announces of each second so far. */
  readonly rates: number[] = [];
  readonly stretches: number[] = [];
  readonly #intervals: Intervals;
  /** How many announce in each second to come. */
  readonly #due: number[] = [];
  #announces = 0;

  constructor(settings: LoadSettings) {
    this.load = new Load(settings, this.memory);
    const { interval, intervalMax: maximum, jitterPercent } = settings;
    const stretch = this.memory;
    this.#intervals = new Intervals({ interval, maximum, jitterPercent, minimum: 900, stretch });
  }

  /** `count` clients announce for the first time, spread over `seconds` from now. */
  join(count: number, seconds: number): void {
    for (let i = 0; i < count; i++) this.#dueIn(Math.floor((i * seconds) / count));
  }

  /** Lets time go by; of those who come, `leaving` of all do not come back. */
  run(seconds: number, leaving = 0): void {
    for (const end = this.rates.length + seconds; this.rates.length < end;) {
      const now = this.rates.length;
      const coming = this.#due[now] ?? 0;
      this.#announces += coming;
      this.rates.push(coming);
      for (let i = 0; i < coming; i++) {
        if (leaving === 0 || (this.#announces + i) % Math.round(1 / leaving) !== 0) {
          this.#dueIn(this.#intervals.draw());
        }
      }
      this.load.update(this.#announces, now);
      this.stretches.push(this.load.stretch);
    }
  }

  /** Announces a second, five minutes at a time, between two moments. */
  ratesBetween(from: number, to: number): number[] {
    const means: number[] = [];
    for (let at = from; at < to; at += 300) {
      means.push(this.rates.slice(at, at + 300).reduce((sum, rate) => sum + rate, 0) / 300);
    }
    return means;
  }

  #dueIn(seconds: number): void {
    const at = this.rates.length + seconds;
    this.#due[at] = (this.#due[at] ?? 0) + 1;
  }
}

/** 36,000 clients are twice the target rate, so they should come every hour. */
function settled(population: Population): void {
  const later = population.stretches.slice(2 * HOUR);
  expect(Math.min(...later)).toBeGreaterThan(1.9);
  expect(Math.max(...later)).toBeLessThan(2.1);
  for (const rate of population.ratesBetween(2 * HOUR, 8 * HOUR)) {
    expect(rate).toBeGreaterThan(8.5);
    expect(rate).toBeLessThan(11.5);
  }
}

describe("twice as many clients as the target", () => {
  test("that come evenly are at the target after an interval, and stay there", () => {
    const population = new Population(SETTINGS);
    population.join(36_000, 1800);
    population.run(8 * HOUR);
    settled(population);
  });

  test("that come in one wave of ten minutes are spread over the longer interval", () => {
    const population = new Population(SETTINGS);
    population.join(36_000, 600);
    population.run(8 * HOUR);
    settled(population);
  });

  test("lengthen intervals smoothly, by some seconds each second", () => {
    const population = new Population(SETTINGS);
    population.join(36_000, 1800);
    population.run(3 * HOUR);
    const { stretches } = population;
    const steps = stretches.map((stretch, at) => Math.abs(stretch - (stretches[at - 1] ?? 1)));
    // The clients draw at random: about 2 seconds of interval a second, and never ten.
    expect(Math.max(...steps) * 1800).toBeLessThan(5);
  });

  test("that leave let intervals return to the usual ones", () => {
    const population = new Population(SETTINGS);
    population.join(36_000, 1800);
    population.run(4 * HOUR);
    population.run(4 * HOUR, 0.5);
    expect(population.load.stretch).toBe(1);
  });
});

test("clients below the target rate keep the usual interval", () => {
  const population = new Population(SETTINGS);
  population.join(16_000, 1800);
  population.run(4 * HOUR);
  expect(Math.max(...population.stretches)).toBeLessThan(1.03);
});

test("far too many clients get the longest interval and no more", () => {
  const population = new Population(SETTINGS);
  population.join(144_000, 1800);
  population.run(6 * HOUR);
  expect(population.load.stretch).toBe(4);
  expect(stretchMax(SETTINGS)).toBe(4);
});

describe("peers", () => {
  test("are kept as long as the longest recent interval", () => {
    const load = new Load(SETTINGS, stretchMemory());
    let now = 0;
    let announces = 0;
    const run = (seconds: number, rate: number): void => {
      for (const end = now + seconds; now < end; now++) {
        load.update((announces += rate), now);
        expect(load.kept).toBeGreaterThanOrEqual(load.stretch);
      }
    };
    run(2000, 20);
    const highest = load.stretch;
    expect(highest).toBeGreaterThan(2);
    // The last of them may come back 2 * 1980 seconds later, when nobody else has come.
    run(2 * 1980, 0);
    expect(load.stretch).toBe(1);
    expect(load.kept).toBeGreaterThan(2);
    run(16_000, 0);
    expect(load.kept).toBe(1);
  });
});

describe("the rate", () => {
  test("is that of the last seconds, smoothed", () => {
    const load = new Load({ ...SETTINGS, targetRate: 0 }, stretchMemory());
    load.update(1000, 5);
    expect(load.rate).toBe(0);
    for (let second = 1; second <= 60; second++) load.update(1000 + 50 * second, 5 + second);
    expect(load.rate).toBeCloseTo(50, 0);
  });

  test("without a target changes nothing", () => {
    const memory = stretchMemory();
    const load = new Load({ ...SETTINGS, targetRate: 0 }, memory);
    for (let second = 0; second < 100; second++) load.update(1e6 * second, second);
    expect([load.stretch, load.kept, new Float64Array(memory)[0]]).toEqual([1, 1, 1]);
  });

  test("is not confused by a clock that stands still", () => {
    const load = new Load(SETTINGS, stretchMemory());
    load.update(0, 5);
    load.update(500, 5);
    expect(load.rate).toBe(0);
    load.update(500, 6);
    expect(load.rate).toBeGreaterThan(0);
  });
});

describe("after a restart that keeps the peers", () => {
  const resumed = (stretch: number, kept: number, elapsed: number, settings = SETTINGS) => {
    const memory = stretchMemory();
    const load = new Load(settings, memory);
    load.resume(stretch, kept, elapsed);
    return { load, published: new Float64Array(memory)[0] };
  };

  test("intervals are as long as they were, less the time in between", () => {
    const { load, published } = resumed(3, 3.5, 360);
    expect(load.stretch).toBeCloseTo(3 - 360 / 1800);
    expect(published).toBe(load.stretch);
    expect(load.kept).toBe(3.5);
  });

  test("peers are kept longer until all of them could come back", () => {
    const { load } = resumed(1, 3, 60);
    load.update(0, 0.1);
    for (let now = 1; now < 7900; now += 60) load.update(0, now);
    expect(load.kept).toBe(3);
    for (let now = 7900; now < 8000; now += 10) load.update(0, now);
    expect(load.kept).toBe(1);
  });

  test("nothing is longer once the longest interval is over, or was not before", () => {
    expect(resumed(4, 4, 3 * HOUR).load).toMatchObject({ stretch: 1, kept: 1 });
    expect(resumed(1, 1, 0).load).toMatchObject({ stretch: 1, kept: 1 });
  });

  test("nothing is longer than the settings allow, whatever the file says", () => {
    expect(resumed(1e6, 1e6, 0).load).toMatchObject({ stretch: 4, kept: 4 });
    expect(resumed(0, 0, 0).load).toMatchObject({ stretch: 1, kept: 1 });
    const steady = { ...SETTINGS, targetRate: 0 };
    expect(resumed(3, 3, 0, steady).load).toMatchObject({ stretch: 1, kept: 1 });
  });
});
