/** What waits in the outboxes goes out in numbered batches, or its number is missing. */
import { expect, test } from "bun:test";
import { Outbox, Outboxes, outboxMemory } from "../../src/cluster/outbox.ts";
import { Sending } from "../../src/cluster/sending.ts";
import { KIND_DELTAS, readMessage } from "../../src/cluster/wire.ts";

const ORIGIN = "0123456789abcdef";
const TICKS = { at: () => 0, between: () => 0 };

function open() {
  const memory = outboxMemory(1);
  const outbox = new Outbox(memory, 0, TICKS);
  const sent: { number: number; bytes: number }[] = [];
  const link = { up: true, takes: true };
  const sending = new Sending(ORIGIN, new Outboxes(memory), {
    get up() {
      return link.up;
    },
    sendAll(bytes) {
      const message = readMessage(bytes);
      if (typeof message === "string" || message.kind !== KIND_DELTAS)
        throw new Error("unreadable");
      expect(message.origin).toBe(ORIGIN);
      if (link.takes) sent.push({ number: message.number, bytes: message.records.length });
      return link.takes;
    },
  });
  const put = (count: number): void => {
    for (let i = 0; i < count; i++) outbox.tellDownload(new Uint16Array(10));
  };
  return { put, sent, sending, link };
}

test("a turn without news sends nothing and uses no number", () => {
  const { sending, sent } = open();
  expect(sending.turn()).toBe(false);
  expect([sent, sending.number]).toEqual([[], 0]);
});

test("batches are full, numbered from 1, and hold every delta", () => {
  const { put, sending, sent } = open();
  put(3000);
  sending.turn();
  expect(sent.map(({ number }) => number)).toEqual([1, 2, 3]);
  expect(sent.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(3000 * 28);
  expect(sent[0]!.bytes).toBeGreaterThan(32 * 1024 - 28);
  expect(sending.counts).toMatchObject({ deltas: 3000, lostAway: 0, lostSlow: 0, lostRing: 0 });
});

test("after a turn with much news the next one is left out, unless a ring fills up", () => {
  const { put, sending, sent } = open();
  put(300);
  for (let turn = 0; turn < 3; turn++) {
    sending.turn();
    put(1);
  }
  expect(sent.map(({ bytes }) => bytes / 28)).toEqual([300, 2]);
  put(300);
  sending.turn();
  put(40_000);
  sending.turn();
  expect(sent.reduce((sum, { bytes }) => sum + bytes / 28, 0)).toBe(40_603);
  put(1);
  sending.send();
  expect(sent.at(-1)!.bytes).toBe(28);
});

test("a batch that cannot be sent is gone, and so is its number", () => {
  const { put, sending, sent, link } = open();
  link.up = false;
  put(5);
  sending.turn();
  link.up = true;
  link.takes = false;
  put(6);
  sending.turn();
  link.takes = true;
  put(7);
  sending.turn();
  expect(sent).toEqual([{ number: 3, bytes: 7 * 28 }]);
  expect(sending.counts).toMatchObject({ deltas: 7, lostAway: 5, lostSlow: 6 });
});

test("a number is passed over for what found no room in a ring", () => {
  const { put, sending, sent } = open();
  put(80_000);
  // What a turn leaves waits for the next one.
  for (let turn = 0; turn < 3; turn++) sending.turn();
  const { lostRing, deltas } = sending.counts;
  expect(lostRing + deltas).toBe(80_000);
  expect(lostRing).toBeGreaterThan(0);
  expect(sent[0]!.number).toBe(2);
  expect(sent.map(({ number }) => number)).toEqual(sent.map((_, i) => i + 2));
});
