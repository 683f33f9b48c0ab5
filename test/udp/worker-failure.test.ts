/** The reason of a worker's failure, in shared memory. */
import { expect, test } from "bun:test";
import { failureMemory, readFailure, writeFailure } from "../../src/udp/worker-failure.ts";
import type { WorkerTask } from "../../src/udp/messages.ts";

test("a reason is read as one line, with the stack, cut to the size of the memory", () => {
  const memory = failureMemory();
  expect(readFailure(memory)).toBe("");
  writeFailure(memory, "plain");
  expect(readFailure(memory)).toBe("plain");
  const error = Object.assign(new Error("a bug"), { stack: "Error: a bug\n    at here:1:2\n" });
  writeFailure(memory, error);
  expect(readFailure(memory)).toBe("Error: a bug | at here:1:2 | ");
  writeFailure(memory, "x".repeat(5000));
  expect(readFailure(memory)).toBe("x".repeat(1020));
});

test("a worker that throws writes its reason before the event loop reads a message", async () => {
  const worker = new Worker(new URL("../../src/udp/worker.ts", import.meta.url).href);
  const reported = new Promise((resolve) => (worker.onerror = resolve));
  const failure = failureMemory();
  worker.postMessage({ failure, nowSeconds: 1 } as Partial<WorkerTask>);
  for (let tries = 0; readFailure(failure) === ""; tries++) {
    expect(tries).toBeLessThan(5000);
    // Blocks the event loop, as waiting for a lock does.
    Bun.sleepSync(1);
  }
  expect(readFailure(failure)).toContain("TypeError");
  await reported;
  worker.terminate();
});
