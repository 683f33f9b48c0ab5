import { expect, test } from "bun:test";
import { EVENT_NONE, EVENT_STARTED, type Family } from "../../src/constants.ts";
import { Tallies, Tally, tallyMemory } from "../../src/notes/tally.ts";
import { AnnounceReply, AnnounceRequest } from "../../src/swarm/requests.ts";

const SETTINGS = { tickSeconds: 45, minimumSeconds: 900 };

function noted(tally: Tally, ticks: number, hex = "c0000201", wanted = 50, event = EVENT_NONE) {
  const request = new AnnounceRequest();
  const reply = new AnnounceReply();
  request.peer.set(Uint8Array.fromHex(hex));
  request.family = (hex.length === 8 ? 4 : 6) as Family;
  request.wanted = wanted;
  request.event = event;
  reply.ticksSinceLast = ticks;
  tally.note(request, reply);
}

test("numbers of peers wanted are summed over the threads, 200 and more together", () => {
  const memory = tallyMemory(2);
  noted(new Tally(memory, 0, SETTINGS), -1, "c0000201", 0);
  noted(new Tally(memory, 1, SETTINGS), -1, "c0000201", 0);
  noted(new Tally(memory, 1, SETTINGS), -1, "c0000201", 1000);
  const wanted = new Tallies(memory).wanted();
  expect(wanted).toHaveLength(201);
  expect([wanted[0], wanted[50], wanted[200]]).toEqual([2, 0, 1]);
});

test("a known peer is counted by the minutes since its last announce, a new one is not", () => {
  const memory = tallyMemory(1);
  const tally = new Tally(memory, 0, SETTINGS);
  for (const ticks of [-1, 0, 1, 2, 40, 100]) noted(tally, ticks);
  const renewed = new Tallies(memory).renewed();
  expect(renewed).toHaveLength(45);
  expect([renewed[0], renewed[1], renewed[30], renewed[44]]).toEqual([2, 1, 1, 1]);
});

test("a client that announces before the min interval is counted in its networks", () => {
  const memory = tallyMemory(2);
  for (const thread of [0, 1]) noted(new Tally(memory, thread, SETTINGS), 5, "c00002ff");
  noted(new Tally(memory, 1, SETTINGS), 5, "c0000201");
  noted(new Tally(memory, 1, SETTINGS), 5, "20010db8000a000b0000000000000001");
  const tallies = new Tallies(memory);
  expect(tallies.early(0, 9)).toEqual([
    { high: 0xc00002f0, low: 0, count: 2 },
    { high: 0xc0000200, low: 0, count: 1 },
  ]);
  expect(tallies.early(1, 9)).toEqual([{ high: 0xc0000200, low: 0, count: 3 }]);
  expect(tallies.early(2, 9)).toEqual([{ high: 0x20010db8, low: 0x000a0000, count: 1 }]);
  expect(tallies.early(0, 1)).toHaveLength(1);
});

test.each([
  ["in the same tick", 0, EVENT_NONE],
  ["with an event", 5, EVENT_STARTED],
  ["about when the interval is over", 19, EVENT_NONE],
  ["for the first time", -1, EVENT_NONE],
])("who announces %s is no woodpecker", (_when, ticks, event) => {
  const memory = tallyMemory(1);
  noted(new Tally(memory, 0, SETTINGS), ticks, "c0000201", 50, event);
  expect(new Tallies(memory).early(0, 9)).toEqual([]);
});
