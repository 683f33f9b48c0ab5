/** Signals that end the program, and repeats of the first signal. */
import { expect, test } from "bun:test";
import { EventEmitter } from "node:events";

import { ECHO_MILLISECONDS, untilSignal } from "../../src/start/ending-signals.ts";

/** Sends the signals, each after its delay; returns the first one and the number of hurries. */
async function send(...signals: [name: "SIGTERM" | "SIGINT", after: number][]) {
  const source = new EventEmitter();
  let now = 1000;
  let hurried = 0;
  const first = untilSignal(
    ["SIGTERM", "SIGINT"],
    source,
    () => (hurried += 1),
    () => now,
  );
  for (const [name, after] of signals) {
    now += after;
    source.emit(name);
  }
  return [await first, hurried];
}

test("the first signal ends the program", async () => {
  expect(await send(["SIGINT", 0])).toEqual(["SIGINT", 0]);
  expect(await send(["SIGTERM", 0])).toEqual(["SIGTERM", 0]);
});

test("a repeat right after the first signal is the same signal", async () => {
  expect(await send(["SIGTERM", 0], ["SIGTERM", 1], ["SIGTERM", 2])).toEqual(["SIGTERM", 0]);
  expect(await send(["SIGINT", 0], ["SIGINT", ECHO_MILLISECONDS])).toEqual(["SIGINT", 0]);
});

test("a later repeat, or another signal, ends the program at once", async () => {
  expect(await send(["SIGINT", 0], ["SIGINT", ECHO_MILLISECONDS + 1])).toEqual(["SIGINT", 1]);
  expect(await send(["SIGINT", 0], ["SIGTERM", 1])).toEqual(["SIGINT", 1]);
});
