import { expect, test } from "bun:test";
import { FrameWriter, MESSAGE_BYTES_MAX } from "../../src/ws/frames.ts";
import { Relays } from "../../src/ws/relays.ts";
import { framesOf } from "./fixture.ts";

/** Receivers by name, the writes to each, and the end of the turn. */
function open() {
  const frames = new FrameWriter();
  const writes: string[] = [];
  const turn: (() => void)[] = [];
  const relays = new Relays<{ name: string; ended: boolean }>(
    frames,
    (call) => turn.push(call),
    ({ name }) => {
      const texts = framesOf(Buffer.from(frames.bytes.subarray(0, frames.to)));
      writes.push(`${name}: ${texts.map(({ payload }) => payload.toString()).join(" ")}`);
      frames.to = 0;
    },
  );
  return { relays, writes, endTurn: () => turn.splice(0).forEach((call) => call()) };
}

const NOTHING = new Uint8Array(0);

test("all for one receiver is one write at the end of the turn, in order", () => {
  const { relays, writes, endTurn } = open();
  const [a, b] = ["a", "b"].map((name) => ({ name, ended: false }));
  relays.add(a!, "1", NOTHING, "");
  relays.add(b!, "2", NOTHING, "");
  relays.add(a!, "3", NOTHING, "");
  expect(writes).toEqual([]);
  endTurn();
  expect(writes).toEqual(["a: 1 3", "b: 2"]);
  relays.add(b!, "4", NOTHING, "");
  endTurn();
  expect(writes.slice(2)).toEqual(["b: 4"]);
});

test("nothing is sent to a connection that has ended meanwhile", () => {
  const { relays, writes, endTurn } = open();
  const connection = { name: "a", ended: false };
  relays.add(connection, "1", NOTHING, "");
  connection.ended = true;
  endTurn();
  expect(writes).toEqual([]);
});

test("long messages for one receiver are several writes, so that they have room", () => {
  const { relays, writes, endTurn } = open();
  const connection = { name: "a", ended: false };
  const long = "x".repeat(MESSAGE_BYTES_MAX - 1);
  for (let i = 0; i < 5; i++) relays.add(connection, long, NOTHING, "");
  endTurn();
  expect(writes.join("").split(long).length).toBe(6);
  expect(writes.length).toBeGreaterThan(1);
});

test("what is passed on has its bytes between two texts", () => {
  const { relays, writes, endTurn } = open();
  relays.add({ name: "a", ended: false }, "[", Buffer.from("é😀"), "]\u00ff");
  endTurn();
  expect(writes).toEqual(["a: [é😀]\u00ff"]);
});

test("more than 256 KiB are sent before the turn is over", () => {
  const { relays, writes, endTurn } = open();
  const long = Buffer.alloc(MESSAGE_BYTES_MAX - 1, "x");
  for (let i = 0; i < 9; i++) relays.add({ name: `${i}`, ended: false }, "", long, "");
  expect(writes.length).toBe(8);
  endTurn();
  expect(writes.map((write) => write[0])).toEqual([..."012345678"]);
});
