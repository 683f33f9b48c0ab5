/** What announces tell to other trackers, and the rings it goes through. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Outbox, Outboxes, outboxMemory } from "../../src/cluster/outbox.ts";
import {
  DELTA_COMPLETED,
  DELTA_DOWNLOAD,
  DELTA_IPV6,
  DELTA_SEEDER,
  DELTA_STOPPED,
} from "../../src/cluster/wire.ts";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
} from "../../src/constants.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { someMemory } from "../swarm/some-memory.ts";

const OUT = new Uint16Array(16 * 1024);
const TICK_SECONDS = 45;
const GROUP_SECONDS = 4 * TICK_SECONDS;

interface Asked {
  event?: number;
  seeder?: boolean;
  family?: 4 | 6;
  port?: number;
  now?: number;
  earlyTicks?: number;
}

/** A core whose announces are told, and what came out since the last look. */
function open() {
  const store = new Store(someMemory());
  const tracker = new Tracker(store, new ArrayBuffer(4096));
  const memory = outboxMemory(1);
  const outbox = new Outbox(memory, 0, store.peerTicks);
  const outboxes = new Outboxes(memory);
  const { request, reply } = tracker;
  const take = (): number[][] => {
    const halves = outboxes.take(OUT);
    const deltas: number[][] = [];
    for (let at = 0; at < halves;) {
      const size = (OUT[at] & DELTA_IPV6) === 0 ? 14 : 20;
      deltas.push([...OUT.subarray(at, at + size)]);
      at += size;
    }
    return deltas;
  };
  /** The flags that the announce tells, or nothing. */
  const announce = (asked: Asked = {}): number | undefined => {
    const { event = EVENT_NONE, seeder = false, family = 4, port = 7000 } = asked;
    request.infoHash.fill(0xab);
    request.peer.fill(9);
    const portAt = family === 4 ? 4 : 16;
    request.peer[portAt] = port >>> 8;
    request.peer[portAt + 1] = port;
    Object.assign(request, { event, seeder, family, wanted: 0 });
    request.earlyTicks = asked.earlyTicks ?? 0;
    tracker.announce(asked.now ?? 0);
    outbox.tell(request, reply, asked.now ?? 0);
    const deltas = take();
    expect(deltas.length).toBeLessThan(2);
    return deltas[0]?.[0];
  };
  return { announce, outbox, outboxes, take, tracker };
}

describe("an announce is told", () => {
  test("if the peer is new, and not again while nothing has changed", () => {
    const { announce } = open();
    expect(announce()).toBe(0);
    expect(announce()).toBeUndefined();
    expect(announce({ family: 6, seeder: true })).toBe(DELTA_IPV6 | DELTA_SEEDER);
    expect(announce({ family: 6, seeder: true })).toBeUndefined();
  });

  test("if the peer has another role, in either direction", () => {
    const { announce } = open();
    announce();
    expect(announce({ seeder: true })).toBe(DELTA_SEEDER);
    expect(announce({ seeder: true })).toBeUndefined();
    expect(announce()).toBe(0);
  });

  test("if it has an event, but not because a partial seed says so each time", () => {
    const { announce } = open();
    announce();
    expect(announce({ event: EVENT_STARTED })).toBe(0);
    const completed = DELTA_SEEDER | DELTA_COMPLETED;
    expect(announce({ event: EVENT_COMPLETED, seeder: true })).toBe(completed);
    expect(announce({ event: EVENT_PAUSED })).toBe(0); // It was a seeder.
    expect(announce({ event: EVENT_PAUSED })).toBeUndefined();
  });

  test("if others would forget the peer: once in each group of four ticks", () => {
    const { announce } = open();
    announce();
    const told: number[] = [];
    for (let now = 30; now <= 4 * GROUP_SECONDS; now += 30) {
      if (announce({ now }) !== undefined) told.push(now);
    }
    expect(told).toEqual([1, 2, 3, 4].map((group) => group * GROUP_SECONDS));
  });

  test("not if it was too early to renew the peer here", () => {
    const { announce } = open();
    announce();
    expect(announce({ now: GROUP_SECONDS, earlyTicks: 10 })).toBeUndefined();
    expect(announce({ now: GROUP_SECONDS, earlyTicks: 10, seeder: true })).toBe(DELTA_SEEDER);
  });

  test("if it stops, also where it was not known", () => {
    const { announce } = open();
    announce();
    expect(announce({ event: EVENT_STOPPED })).toBe(DELTA_STOPPED);
    expect(announce({ event: EVENT_STOPPED })).toBe(DELTA_STOPPED);
    expect(announce({ event: EVENT_STOPPED, port: 0 })).toBeUndefined();
  });

  test("not if its address is claimed by another, not even its stop", () => {
    const { announce, outbox, take, tracker } = open();
    const { request, reply } = tracker;
    announce();
    request.claimed = true;
    for (const event of [EVENT_STARTED, EVENT_STOPPED]) {
      request.event = event;
      Object.assign(reply, { stored: true, ticksSinceLast: -1 });
      outbox.tell(request, reply, 0);
      expect(take()).toEqual([]);
    }
    request.claimed = false;
    expect(announce({ event: EVENT_STOPPED })).toBe(DELTA_STOPPED);
  });

  test("not if it was not stored", () => {
    const { announce } = open();
    expect(announce({ port: 0 })).toBeUndefined();
    expect(announce({ port: 0, event: EVENT_STARTED })).toBeUndefined();
  });
});

test("a delta has the info hash and the peer as they came", () => {
  const { announce, take, outbox, tracker } = open();
  announce();
  const { infoHashHalves, peerHalves } = tracker.request;
  outbox.tell(tracker.request, { ...tracker.reply, roleChanged: true } as never, 0);
  expect(take()).toEqual([[0, ...infoHashHalves, ...peerHalves.subarray(0, 3)]]);
  outbox.tellDownload(infoHashHalves);
  expect(take()).toEqual([[DELTA_DOWNLOAD, ...infoHashHalves, 0, 0, 0]]);
});

describe("a ring", () => {
  /** A tracker's request whose peer has a number. */
  function numbered() {
    const { tracker, outbox, outboxes } = open();
    const { request, reply } = tracker;
    request.event = EVENT_STARTED;
    reply.stored = true;
    const put = (number: number): void => {
      request.family = number % 3 === 0 ? 6 : 4;
      request.peerHalves[0] = number >>> 16;
      request.peerHalves[1] = number;
      outbox.tell(request, reply, 0);
    };
    const numbersIn = (halves: number): number[] => {
      const found: number[] = [];
      for (let at = 0; at < halves; at += (OUT[at] & DELTA_IPV6) === 0 ? 14 : 20) {
        found.push((OUT[at + 11] << 16) | OUT[at + 12]);
      }
      return found;
    };
    return { put, outboxes, numbersIn };
  }

  test("gives what was put in order, over many rounds, in batches of whole deltas", () => {
    const { put, outboxes, numbersIn } = numbered();
    let wanted = 0;
    for (let number = 0; number < 200_000;) {
      for (let i = 0; i < 777; i++) put(number++);
      for (let halves = outboxes.take(OUT); halves > 0; halves = outboxes.take(OUT)) {
        for (const found of numbersIn(halves)) if (found !== wanted++) throw new Error("order");
      }
    }
    expect(wanted).toBe(200_000 - (200_000 % 777) + 777);
    expect(outboxes.takeDropped()).toBe(0);
  });

  test("that is full drops what comes, counts it, and goes on when there is room", () => {
    const { put, outboxes, numbersIn } = numbered();
    const count = 80_000;
    expect(outboxes.hurries).toBe(false);
    for (let number = 0; number < count; number++) put(number);
    expect(outboxes.hurries).toBe(true);
    const found: number[] = [];
    for (let halves = outboxes.take(OUT); halves > 0; halves = outboxes.take(OUT)) {
      found.push(...numbersIn(halves));
    }
    const dropped = outboxes.takeDropped();
    expect(found.length + dropped).toBe(count);
    expect(dropped).toBeGreaterThan(0);
    expect(found.slice(0, 60_000)).toEqual(Array.from({ length: 60_000 }, (_, number) => number));
    expect(outboxes.takeDropped()).toBe(0);
    put(count);
    expect(numbersIn(outboxes.take(OUT))).toEqual([count]);
  });

  test("is read by another thread while it is written", async () => {
    const memory = outboxMemory(2);
    const urlOf = (path: string): string => JSON.stringify(import.meta.resolve(path));
    const program = `
      import { Outbox } from ${urlOf("../../src/cluster/outbox.ts")};
      import { AnnounceReply, AnnounceRequest } from ${urlOf("../../src/swarm/requests.ts")};
      self.onmessage = ({ data: memory }) => {
        const outbox = new Outbox(memory, 1, { at: () => 0, between: () => 0 });
        const request = new AnnounceRequest();
        const reply = new AnnounceReply();
        reply.stored = true;
        for (let number = 1; number <= 300000; number++) {
          request.family = number % 3 === 0 ? 6 : 4;
          request.peerHalves[0] = number >>> 16;
          request.peerHalves[1] = number;
          outbox.tell(request, reply, 0);
        }
        postMessage("done");
      };`;
    const url = URL.createObjectURL(new Blob([program], { type: "application/typescript" }));
    const worker = new Worker(url);
    let done = false;
    worker.onmessage = () => (done = true);
    worker.postMessage(memory);
    const outboxes = new Outboxes(memory);
    let last = 0;
    let found = 0;
    for (let idle = false; !idle;) {
      const wasDone = done;
      const halves = outboxes.take(OUT);
      for (let at = 0; at < halves; at += (OUT[at] & DELTA_IPV6) === 0 ? 14 : 20) {
        const number = (OUT[at + 11] << 16) | OUT[at + 12];
        if (number <= last) throw new Error(`${number} after ${last}`);
        last = number;
        found += 1;
      }
      idle = halves === 0 && wasDone;
      if (halves === 0) await Bun.sleep(0);
    }
    expect(found + outboxes.takeDropped()).toBe(300_000);
    worker.terminate();
  });
});

test("an announce that is told allocates nothing on the thread that answers it", async () => {
  const program = join(import.meta.dir, "tell-many.ts");
  const bytesEach = async (keep: number): Promise<number> => {
    const env = { ...process.env, BUN_JSC_useGC: "0" };
    const command = [process.execPath, program, "--keep", String(keep)];
    return Number(await Bun.spawn(command, { env, stderr: "inherit" }).stdout.text());
  };
  // What is compiled while it runs takes some memory.
  expect(await bytesEach(0)).toBeLessThan(8);
  expect(await bytesEach(1)).toBeGreaterThan(15);
});
