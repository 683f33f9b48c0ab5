/** The sweep's timer: it goes round in the time set, and keeps no process alive. */
import { expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import { now } from "../src/ops/clock.ts";
import { takeCensus } from "../src/swarm/census.ts";
import { reserveSwarmMemory } from "../src/swarm/memory.ts";
import { Tracker } from "../src/swarm/tracker.ts";
import { startSweeping } from "../src/upkeep.ts";
import { announce } from "./swarm/fixture.ts";

test("every old peer is forgotten within an eighth of the timeout, and no other", async () => {
  const memory = reserveSwarmMemory({
    memoryMax: 16 * 2 ** 20,
    peerTimeout: 40,
    downloadsTimeout: 4,
    threads: false,
  });
  const tracker = new Tracker(memory, new ArrayBuffer(65536));
  for (let infoHash = 1; infoHash <= 2000; infoHash++) {
    announce(tracker, { infoHash, peer: 1, wanted: 0 }, now() - (infoHash % 2 === 0 ? 100 : 0));
  }
  let turn = (): void => {};
  const timer = { unref: 0 };
  const spy = spyOn(globalThis, "setInterval").mockImplementation(((handler: () => void) => {
    turn = handler;
    return { unref: () => (timer.unref += 1) };
  }) as never);
  try {
    startSweeping(tracker, 4);
    expect(spy.mock.calls[0][1]).toBeLessThanOrEqual(100);
  } finally {
    spy.mockRestore();
  }
  expect(timer.unref).toBe(1);
  turn();
  expect(takeCensus(memory).leechersIpv4).toBeGreaterThan(1500);
  // Half a second is a round; a busy machine may need a few of them.
  const deadline = now() + 3;
  while (takeCensus(memory).leechersIpv4 > 1000 && now() < deadline) {
    await Bun.sleep(10);
    turn();
  }
  expect(takeCensus(memory)).toMatchObject({ leechersIpv4: 1000, swarms: 1000 });
});

test("a process that has nothing else to do ends", async () => {
  const program = `
    import { reserveSwarmMemory } from "./src/swarm/memory.ts";
    import { Tracker } from "./src/swarm/tracker.ts";
    import { startSweeping } from "./src/upkeep.ts";
    const memory = reserveSwarmMemory({
      memoryMax: 16 * 2 ** 20, peerTimeout: 60, downloadsTimeout: 60, threads: false,
    });
    startSweeping(new Tracker(memory, new ArrayBuffer(4096)), 60);
  `;
  const child = Bun.spawn([process.execPath, "-e", program], {
    cwd: join(import.meta.dir, ".."),
    timeout: 4000,
    stderr: "pipe",
  });
  expect(await child.exited).toBe(0);
  expect(child.signalCode).toBeNull();
});
