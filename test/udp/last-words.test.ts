/** What a worker leaves behind, and where it does. */
import { expect, test } from "bun:test";
import { lastWordsMemory, leaveLastWords, readLastWords } from "../../src/udp/last-words.ts";
import type { WorkerTask } from "../../src/udp/messages.ts";

test("they are one line, with the place, cut where there is no more room", () => {
  const memory = lastWordsMemory();
  expect(readLastWords(memory)).toBe("");
  leaveLastWords(memory, "plain");
  expect(readLastWords(memory)).toBe("plain");
  const error = Object.assign(new Error("a bug"), { stack: "Error: a bug\n    at here:1:2\n" });
  leaveLastWords(memory, error);
  expect(readLastWords(memory)).toBe("Error: a bug | at here:1:2 | ");
  leaveLastWords(memory, "x".repeat(5000));
  expect(readLastWords(memory)).toBe("x".repeat(1020));
});

test("a worker that throws writes them before the event loop reads a message", async () => {
  const worker = new Worker(new URL("../../src/udp/worker.ts", import.meta.url).href);
  const reported = new Promise((resolve) => (worker.onerror = resolve));
  const lastWords = lastWordsMemory();
  worker.postMessage({ lastWords, nowSeconds: 1 } as Partial<WorkerTask>);
  for (let tries = 0; readLastWords(lastWords) === ""; tries++) {
    expect(tries).toBeLessThan(5000);
    // Not asleep in the event loop, as one that waits for a lock.
    Bun.sleepSync(1);
  }
  expect(readLastWords(lastWords)).toContain("TypeError");
  await reported;
  worker.terminate();
});
