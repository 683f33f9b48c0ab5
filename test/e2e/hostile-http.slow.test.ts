/** Hostile HTTP that takes the tracker's own time limit to end. */
import { connect } from "node:net";
import { expect, test } from "bun:test";
import { startTracker } from "./harness.ts";

const MINUTE_MILLISECONDS = 60_000;

/** An unfinished request head is closed after 10 s, by a clock of whole seconds. */
const HEAD_MILLISECONDS_MAX = 13_000;

test(
  "a request head that does not end is closed, even if bytes keep arriving",
  async () => {
    await using tracker = await startTracker();
    const start = performance.now();
    const socket = connect({ host: "127.0.0.1", port: tracker.port });
    socket.on("error", () => {});
    socket.write("GET /announce HTTP/1.1\r\nX: ");
    const dripping = setInterval(() => socket.write("a"), 250);
    await new Promise((resolve) => socket.on("close", resolve));
    clearInterval(dripping);
    expect(performance.now() - start).toBeLessThan(HEAD_MILLISECONDS_MAX);
    expect((await fetch(`http://127.0.0.1:${tracker.port}/health`)).status).toBe(200);
  },
  MINUTE_MILLISECONDS,
);
