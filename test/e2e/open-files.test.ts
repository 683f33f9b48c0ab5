/**
 * How many files the compiled binary may have open: at no limit and with no number of UDP workers
 * does it run out of them, for then Bun accepts in vain and one core is busy for nothing.
 */
import { expect, test } from "bun:test";
import type { Socket } from "bun";
import { cpuShareOf, vitalsOf } from "../soak/vitals.ts";
import { freePort, startProcess, startTracker } from "./harness.ts";

/** The settings of a tracker: an operator's port, and this number of workers. */
function settings(adminPort: number, workers: number): Record<string, string> {
  return {
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
    TRACKER_UDP_WORKERS: String(workers),
    TRACKER_MEMORY_MAX: "16MiB",
  };
}

/** Connections that stay open with half a request, to be closed together. */
class Idlers implements Disposable {
  readonly #sockets: Socket[] = [];

  async open(port: number, count: number): Promise<void> {
    const quiet = { data() {}, error() {} };
    const one = () => Bun.connect({ hostname: "127.0.0.1", port, socket: quiet });
    for (let i = 0; i < count; i++) {
      // One too many may be closed before we know that it was open.
      const socket = await one().catch(() => undefined);
      if (socket === undefined) continue;
      // The system may leave a connection that says nothing in the queue.
      socket.write("GET");
      this.#sockets.push(socket);
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.terminate();
  }
}

test.each([
  [64, 0],
  [64, 1],
  [256, 32],
  [1024, 32],
  [1024, 64],
])(
  "%p files and %p workers: full of connections, no core is busy and all are served",
  async (files, workers) => {
    const adminPort = freePort();
    await using tracker = await startTracker({ files, env: settings(adminPort, workers) });
    using idlers = new Idlers();
    await idlers.open(adminPort, 60);
    await idlers.open(tracker.port, files + 20);
    expect(vitalsOf(tracker.pid).descriptors).toBeLessThan(files);
    expect(await cpuShareOf(tracker.pid, 2500)).toBeLessThan(0.5);
    // What has waited for two seconds gives way.
    for (const port of [tracker.port, adminPort]) {
      const options = { keepalive: false, signal: AbortSignal.timeout(5000) };
      expect((await fetch(`http://127.0.0.1:${port}/health`, options)).status).toBe(200);
    }
  },
  30_000,
);

test("the operator's port gets an eighth of the files and no more", async () => {
  const adminPort = freePort();
  await using tracker = await startTracker({ files: 256, env: settings(adminPort, 1) });
  // The connection that found it ready may still be open.
  await Bun.sleep(200);
  const before = vitalsOf(tracker.pid).descriptors;
  using idlers = new Idlers();
  await idlers.open(adminPort, 60);
  await Bun.sleep(100);
  expect(vitalsOf(tracker.pid).descriptors - before).toBe(32);
});

test("too few files end the start and check, with the number needed", async () => {
  const env = settings(freePort(), 64);
  const places = { TRACKER_UDP_ADDRESS: "127.0.0.1:0", TRACKER_HTTP_ADDRESS: "127.0.0.1:0" };
  const refused = startProcess({ files: 128, env: { ...places, ...env } });
  expect(await refused.exited()).toBe(78);
  const needed = /^buntracker: error: only 128 files may be open, and these settings need (\d+)$/m;
  const number = Number(needed.exec(refused.stderr)?.[1]);
  expect(refused.stderr.match(/error:/g)).toHaveLength(1);
  const checked = startProcess({ files: 128, args: ["check"], env: { ...places, ...env } });
  expect([await checked.exited(), checked.stderr]).toEqual([78, refused.stderr]);
  await using tracker = await startTracker({ files: number, env });
  expect(tracker.running).toBe(true);
  const short = startProcess({ files: number - 1, env: { ...places, ...env } });
  expect(await short.exited()).toBe(78);
}, 30_000);
