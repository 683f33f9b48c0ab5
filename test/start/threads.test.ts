/** The owner of threads: every thread gets an update, and later threads begin with it. */
import { afterEach, expect, test } from "bun:test";
import { openToAll } from "../../src/access/access.ts";
import { shareRules } from "../../src/limits/request-rules.ts";
import { readRules } from "../../src/limits/rule-lines.ts";
import { Threads, type Update, type WorkerThread } from "../../src/start/threads.ts";
import { HELD_SECONDS_MAX, LOCK_LOST, watchLocks } from "../../src/swarm/locks.ts";
import { SHARD_WORDS } from "../../src/swarm/memory.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { reserveRateLimits } from "../../src/limits/rate-limits.ts";
import type { UdpShared } from "../../src/udp/answering.ts";
import { until } from "../until.ts";
import { sharedBy } from "../udp/fixture.ts";

afterEach(() => watchLocks());

const access = openToAll(new Int32Array(40));
const rules = shareRules(readRules("drop port=1").rules, 3);
const certificate = { cert: "chain", key: "key" };

function makeThreads(shared: UdpShared = sharedBy(3)): Threads {
  const limits = {
    rates: reserveRateLimits({ mode: "off", addressRate: 200, networkRate: 2000 }),
    rules: shareRules([], 3),
    settings: { portMin: 1, refuseEarly: false, minimumSeconds: 0, tickSeconds: 1 },
  };
  return new Threads({ ...shared, limits }, (reason) => {
    throw new Error(reason);
  });
}

/** A worker that uses an update only after it is released. */
function makeWorker(failure?: string) {
  const held: Update[] = [];
  const waiting: (() => void)[] = [];
  const worker: WorkerThread = {
    ready: Promise.resolve(),
    async take(update) {
      await new Promise<void>((resolve) => waiting.push(resolve));
      held.push(update);
    },
    stop: () => Promise.resolve(),
    turns: () => 0,
    failure: () => failure,
  };
  return { worker, held, goOn: () => waiting.shift()!() };
}

test("tell resolves when every thread uses the update, including the event loop", async () => {
  const threads = makeThreads();
  const here: Update[] = [];
  threads.addPart({ take: (update) => void here.push(update) });
  const [one, two] = [makeWorker(), makeWorker()];
  const numbers: number[] = [];
  for (const { worker } of [one, two]) {
    threads.addWorker((thread) => {
      numbers.push(thread);
      return worker;
    });
  }
  let told = false;
  const telling = threads.tell({ access, rules }).then(() => (told = true));
  expect(here).toEqual([{ access, rules }]);
  one.goOn();
  await Bun.sleep(1);
  expect(told).toBe(false);
  two.goOn();
  await telling;
  expect([one.held, two.held]).toEqual([[{ access, rules }], [{ access, rules }]]);
  expect(numbers).toEqual([1, 2]);
});

test("a list is released once no thread uses it, and lists that stay are not", async () => {
  const [first, second, networks] = [64, 64, 64].map((size) => new SharedArrayBuffer(size));
  const released: SharedArrayBuffer[] = [];
  const threads = new Threads(
    { ...sharedBy(3), access: { ...access, deny: first, networks } },
    (reason) => {
      throw new Error(reason);
    },
    (memory) => released.push(memory),
  );
  const { worker, goOn } = makeWorker();
  threads.addWorker(() => worker);
  const telling = threads.tell({ access: { ...access, deny: second, networks } });
  await Bun.sleep(1);
  expect(released).toEqual([]);
  goOn();
  await telling;
  expect(released).toHaveLength(1);
  expect(released[0]).toBe(first);
  const again = threads.tell({ access: { ...access, deny: second, networks, maintenance: true } });
  goOn();
  await again;
  expect(released).toHaveLength(1);
});

test("a thread that starts later begins with the last update", async () => {
  const threads = makeThreads();
  await threads.tell({ access, rules });
  await threads.tell({ certificate });
  expect(threads.certificate).toBe(certificate);
  expect(threads.shared).toMatchObject({ access, limits: { rules } });
  threads.addWorker((_, shared) => {
    expect(shared).toBe(threads.shared);
    return makeWorker().worker;
  });
});

test("a certificate that the event loop cannot use reaches no worker", async () => {
  const threads = makeThreads();
  threads.addPart({
    take() {
      throw new Error("no socket");
    },
  });
  const other = makeWorker();
  threads.addWorker(() => other.worker);
  await expect(threads.tell({ certificate })).rejects.toThrow("no socket");
  expect(threads.certificate).toBeUndefined();
  expect(other.goOn).toThrow();
});

test("a certificate that a worker cannot use is that of no thread", async () => {
  const threads = makeThreads();
  const here: Update[] = [];
  threads.addPart({ take: (update) => void here.push(update) });
  await threads.tell({ certificate });
  here.length = 0;
  const [good, bad] = [makeWorker(), makeWorker()];
  threads.addWorker(() => good.worker);
  let fails = true;
  const take = (update: Update): Promise<void> => {
    bad.held.push(update);
    const refused = fails;
    fails = false;
    return refused ? Promise.reject(new Error("no file is left")) : Promise.resolve();
  };
  threads.addWorker(() => ({ ...bad.worker, take }));
  const next = { ...certificate, cert: "next" };
  const telling = threads.tell({ certificate: next });
  telling.catch(() => {});
  good.goOn();
  await until(() => bad.held.length > 1);
  good.goOn();
  await expect(telling).rejects.toThrow("no file is left");
  expect(threads.certificate).toBe(certificate);
  for (const { held } of [good, bad]) {
    expect(held.at(-1)).toEqual({ certificate });
  }
  expect(here.at(-1)).toEqual({ certificate });
});

/** The reason that ends the program when the event loop waits for a lost lock. */
function reasonAtLostLock(...failures: (string | undefined)[]): string {
  const shared = sharedBy(2);
  const threads = makeThreads(shared);
  for (const failure of failures) threads.addWorker(() => makeWorker(failure).worker);
  const shards = new Int32Array(shared.memory.shards);
  for (let shard = 0; shard < 256; shard++) shards[shard * SHARD_WORDS] = 2;
  try {
    new Tracker(new Store(shared.memory), new ArrayBuffer(65_536)).scrape();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

test("the event loop that waits for a lock learns which worker has failed", () => {
  expect(reasonAtLostLock(undefined, "a worker failed")).toBe("a worker failed");
});

test(
  "a lock whose owner says nothing is given up after seconds",
  () => expect(reasonAtLostLock(undefined)).toBe(LOCK_LOST),
  6000 * HELD_SECONDS_MAX,
);
