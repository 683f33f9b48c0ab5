/** UDP threads that fail. Linux only: other systems have no UDP threads. */
import { expect, test } from "bun:test";
import { listenUdp, type UdpNeeds } from "../../src/start/listen-udp.ts";
import { Threads } from "../../src/start/threads.ts";
import { openToAll } from "../../src/access/access.ts";
import { COUNT, Counters } from "../../src/counters/counters.ts";
import { shareRules } from "../../src/limits/request-rules.ts";
import { LOCK_LOST, watchLocks } from "../../src/swarm/locks.ts";
import { SHARD_WORDS } from "../../src/swarm/memory.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { openLibc } from "../../src/host/libc.ts";
import { sharedBy } from "../udp/fixture.ts";

const libc = openLibc();
const WORKER = new URL("../../src/udp/worker.ts", import.meta.url).href;

/** The C library, with descriptors that are not sockets. */
const withoutSockets = (): UdpNeeds["libc"] =>
  Object.assign(Object.create(libc!), {
    bindUdp: () => -1,
    setReceiveBuffer: () => 65_536,
    setReceiveTimeout: () => {},
    setBlocking: () => {},
    setWhole: () => {},
    ignoreUnreachable: () => {},
    forbiddenCalls: () => [],
  });

/** No socket is inherited. */
const kept: UdpNeeds["kept"] = { take: () => ({ sockets: [], surplus: [] }), note: () => {} };

/** One address of a tracker with one UDP worker. */
const CONFIG: UdpNeeds["config"] = {
  udpListeners: [{ host: "127.0.0.1", port: 1 }],
  udpWorkers: 1,
  udpReceiveBufferBytes: 65_536,
};

/** A worker that takes the locks of all shards and then fails, with this reason if it has one. */
function workerThatFails(words: string): string {
  const path = (name: string) => JSON.stringify(import.meta.resolve(`../../src/${name}`));
  const program = `
    import { lock } from ${path("swarm/locks.ts")};
    import { writeFailure } from ${path("udp/worker-failure.ts")};
    self.onmessage = ({ data: { shared, failure } }) => {
      const shards = new Int32Array(shared.memory.shards);
      postMessage("ready");
      for (let shard = 0; shard < 256; shard++) lock(shards, shard * 16);
      if (${words !== ""}) writeFailure(failure, ${JSON.stringify(words)});
      throw new Error("nobody hears it");
    };`;
  return URL.createObjectURL(new Blob([program], { type: "application/typescript" }));
}

/** The last message when the event loop needs a lock of a worker that has ended. */
async function reasonOfEnd(words: string): Promise<string> {
  const own = sharedBy(2);
  own.memory.settings.threads = true;
  const workers: Worker[] = [];
  const threads = new Threads(own, (reason) => {
    throw new Error(reason);
  });
  const spawnUdpWorker = () => (workers[0] = new Worker(workerThatFails(words)));
  await listenUdp({ config: CONFIG, libc: withoutSockets(), threads, kept, spawnUdpWorker });
  workers[0].onerror = () => {};
  const shards = new Int32Array(own.memory.shards);
  while (Atomics.load(shards, 255 * SHARD_WORDS) === 0) Bun.sleepSync(1);
  const tracker = new Tracker(new Store(own.memory), new ArrayBuffer(65_536));
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
  "a worker that fails with a lock ends the program, which says why although no message arrives",
  async () => {
    expect(await reasonOfEnd("a bug | at here")).toBe("a UDP worker failed: a bug | at here");
  },
);

test.if(libc !== undefined)(
  "a lock of a worker that is gone or stopped ends the program after seconds",
  async () => expect(await reasonOfEnd("")).toBe(LOCK_LOST),
  60_000,
);

test.if(libc !== undefined)(
  "a worker whose socket fails ends the program, and one line has the error of the system",
  async () => {
    const { promise: reason, resolve } = Promise.withResolvers<string>();
    const workers: Worker[] = [];
    const spawnUdpWorker = () => (workers[0] = new Worker(WORKER));
    const threads = new Threads(sharedBy(2), resolve as (reason: string) => never);
    await listenUdp({ config: CONFIG, libc: withoutSockets(), threads, kept, spawnUdpWorker });
    expect(await reason).toBe("a UDP worker failed: recvmmsg: errno 9");
    workers[0].terminate();
    watchLocks();
  },
);

test.if(libc !== undefined)("a worker gets new lists and rules, but no certificate", async () => {
  const seen: unknown[] = [];
  const worker = new (class {
    onmessage: ((event: { data: string }) => void) | null = null;
    onerror = null;
    postMessage(message: unknown): void {
      seen.push(message);
      queueMicrotask(() => this.onmessage?.({ data: "updated" }));
    }
  })();
  const threads = new Threads(sharedBy(2), (reason) => {
    throw new Error(reason);
  });
  const spawnUdpWorker = () => worker as Partial<Worker> as Worker;
  const needs = { config: CONFIG, libc: withoutSockets(), threads, kept, spawnUdpWorker };
  const udp = await listenUdp(needs);
  const access = openToAll(new Int32Array(40));
  const rules = shareRules([], 2);
  await threads.tell({ certificate: { cert: "", key: "secret" } });
  await threads.tell({ access, rules });
  await udp.stop();
  watchLocks();
  expect<unknown[]>(seen.slice(1)).toEqual([{ access, rules }, "stop"]);
  expect(udp.receiveBufferBytes).toBe(65_536);
  const row = new Counters(threads.shared.counters, 1).row;
  row[COUNT.udpTurns] += 3;
  expect(threads.workers.map((one) => one.turns())).toEqual([3]);
});
