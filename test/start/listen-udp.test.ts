/** UDP threads that cannot go on. Linux only: elsewhere there are none. */
import { expect, test } from "bun:test";
import { listenUdp } from "../../src/start/listen-udp.ts";
import type { Program } from "../../src/start/program.ts";
import { LOCK_LOST, watchLocks } from "../../src/swarm/locks.ts";
import { SHARD_WORDS } from "../../src/swarm/memory.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { openLibc } from "../../src/host/libc.ts";
import { sharedBy } from "../udp/fixture.ts";

const libc = openLibc();
const WORKER = new URL("../../src/udp/worker.ts", import.meta.url).href;

const shared = sharedBy(2);

/** A worker that has a lock of the swarms and fails, with these last words, before its socket. */
function workerThatFails(words: string): string {
  const path = (name: string) => JSON.stringify(import.meta.resolve(`../../src/${name}`));
  const program = `
    import { lock } from ${path("swarm/locks.ts")};
    import { leaveLastWords } from ${path("udp/last-words.ts")};
    self.onmessage = ({ data: { shared, lastWords } }) => {
      const shards = new Int32Array(shared.memory.shards);
      postMessage("ready");
      for (let shard = 0; shard < 256; shard++) lock(shards, shard * 16);
      if (${words !== ""}) leaveLastWords(lastWords, ${JSON.stringify(words)});
      throw new Error("nobody hears it");
    };`;
  return URL.createObjectURL(new Blob([program], { type: "application/typescript" }));
}

/** What the program says at its end when the event loop needs a lock of a worker that is gone. */
async function reasonOfEnd(words: string): Promise<string> {
  const own = sharedBy(2);
  own.memory.settings.threads = true;
  const workers: Worker[] = [];
  const program = {
    config: { udpWorkers: 1, udpReceiveBufferBytes: 65_536 },
    libc: Object.assign(Object.create(libc!), {
      bindUdp: () => -1,
      setReceiveBuffer: () => 65_536,
      setReceiveTimeout: () => {},
      ignoreUnreachable: () => {},
    }),
    shared: own,
    workers: [],
    spawn: () => (workers[0] = new Worker(workerThatFails(words))),
    fail: (reason: string) => {
      throw new Error(reason);
    },
  };
  await listenUdp({ host: "127.0.0.1", port: 1 }, program as unknown as Program);
  workers[0].onerror = () => {};
  const shards = new Int32Array(own.memory.shards);
  while (Atomics.load(shards, 255 * SHARD_WORDS) === 0) Bun.sleepSync(1);
  const tracker = new Tracker(own.memory, new ArrayBuffer(65_536));
  try {
    tracker.scrape();
    return "";
  } catch (error) {
    return (error as Error).message;
  } finally {
    watchLocks();
    workers[0].terminate();
  }
}

test.if(libc !== undefined)(
  "a thread that fails with a lock ends the program, and its reason is told though it is not heard",
  async () => {
    expect(await reasonOfEnd("a bug | at here")).toBe("a UDP worker failed: a bug | at here");
  },
);

test.if(libc !== undefined)(
  "a lock of a thread that is gone or stopped ends the program after seconds",
  async () => expect(await reasonOfEnd("")).toBe(LOCK_LOST),
  60_000,
);

test.if(libc !== undefined)(
  "a thread whose socket is of no use ends the program, and one line says what the system said",
  async () => {
    const { promise: reason, resolve } = Promise.withResolvers<string>();
    const threads: Worker[] = [];
    const spawn = (): Worker => {
      threads.push(new Worker(WORKER));
      return threads[0];
    };
    const config = { udpWorkers: 1, udpReceiveBufferBytes: 65_536 };
    // Numbers of sockets are never negative: this one is none.
    const withoutSocket = Object.assign(Object.create(libc!), {
      bindUdp: () => -1,
      setReceiveBuffer: () => 65_536,
      setReceiveTimeout: () => {},
      ignoreUnreachable: () => {},
    });
    const program = { config, libc: withoutSocket, shared, workers: [], spawn, fail: resolve };
    await listenUdp({ host: "127.0.0.1", port: 1 }, program as unknown as Program);
    expect(await reason).toBe("a UDP worker failed: recvmmsg: errno 9");
    threads[0].terminate();
  },
);
