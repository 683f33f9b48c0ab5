/**
 * Tells millions of announces by an outbox, and prints how many bytes of memory each takes. It is
 * run without a garbage collector (BUN_JSC_useGC=0), so that whatever is allocated stays: an object
 * takes 16 bytes at least. `--keep 1` keeps an object for each, to see that this would be noticed.
 */
import { Outbox, Outboxes, outboxMemory } from "../../src/cluster/outbox.ts";
import { EVENT_STARTED } from "../../src/constants.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { readOptions } from "../bench/options.ts";
import { someMemory } from "../swarm/some-memory.ts";

const { keep } = readOptions({ keep: 0 });
const WARM = 300_000;
const MEASURED = 1_000_000;
const A_DRAIN = 10_000;

const store = new Store(someMemory());
const tracker = new Tracker(store, new ArrayBuffer(4096));
const memory = outboxMemory(1);
const outbox = new Outbox(memory, 0, store.peerTicks);
const outboxes = new Outboxes(memory);
const out = new Uint16Array(16 * 1024);
const kept: object[] = [];
let told = 0;

/** A peer that is told each time, for its event; each second one has IPv6. */
function announce(number: number): void {
  const { request, reply } = tracker;
  request.infoHash[0] = number;
  request.peer[0] = number >>> 8;
  request.peer[4] = 9;
  request.peer[16] = 9;
  request.family = (number & 1) === 0 ? 4 : 6;
  request.event = EVENT_STARTED;
  request.wanted = 0;
  tracker.announce(1);
  outbox.tell(request, reply, 1);
  if (keep !== 0) kept[number & 7] = { number };
}

function run(announces: number): void {
  for (let number = 0; number < announces; number++) {
    announce(number);
    if (number % A_DRAIN === 0) for (let halves = 1; halves > 0; told += halves) halves = take();
  }
}

const take = (): number => outboxes.take(out);

run(WARM);
const before = process.memoryUsage.rss();
run(MEASURED);
const bytes = (process.memoryUsage.rss() - before) / MEASURED;
if (told < MEASURED * 14) throw new Error("not all were told");
console.log(bytes.toFixed(2));
