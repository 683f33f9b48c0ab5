/** The measurement of this machine, with a tracker that it starts and ends. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { figuresHere, measureHere, ownCommand } from "../../src/verbs/plan-here.ts";
import { FIGURES } from "./plan-fixture.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

test("requests over both transports have a cost, and the tracker is ended", async () => {
  const before = performance.now();
  const { udp, http } = await measureHere([process.execPath, MAIN], 300);
  for (const { micros, rate } of [udp, http]) {
    expect(micros).toBeGreaterThan(0.5);
    expect(micros).toBeLessThan(5000);
    expect(rate).toBeCloseTo(1e6 / micros);
  }
  expect(performance.now() - before).toBeLessThan(20_000);
}, 30_000);

test("a program that is no tracker is reported", async () => {
  const measured = measureHere(["true"], 100);
  await expect(measured).rejects.toThrow("the tracker that was started does not answer");
});

test("it starts this program again", () => {
  expect(ownCommand()[0]).toBe(process.execPath);
});

test("what is not measured here is to what is as in the results", () => {
  const measured = { udp: { micros: 8, rate: 125_000 }, http: { micros: 20, rate: 50_000 } };
  const figures = figuresHere(FIGURES, measured, "a machine");
  expect(figures.udp).toEqual({ 4: measured.udp, 6: { micros: 10, rate: 62_500 } });
  expect(figures.kept).toEqual({ micros: 5, rate: 200_000 });
  expect(figures.https).toEqual({ micros: 200, rate: 6250 });
  expect(figures.wss).toEqual({ joinMicros: 200, cycleMicros: 125, idleKib: 8 });
  expect(figures.cluster.heardMicros).toBe(0.5);
  expect(figures.peerBytes).toBe(FIGURES.peerBytes);
  expect(figures.source).toStartWith("requests measured here, on a machine, ");
});
