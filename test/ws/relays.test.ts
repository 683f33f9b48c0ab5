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

test("all for one receiver is one write at the end of the turn, in order", () => {
  const { relays, writes, endTurn } = open();
  const [a, b] = ["a", "b"].map((name) => ({ name, ended: false }));
  relays.add(a!, "1");
  relays.add(b!, "2");
  relays.add(a!, "3");
  expect(writes).toEqual([]);
  endTurn();
  expect(writes).toEqual(["a: 1 3", "b: 2"]);
  relays.add(b!, "4");
  endTurn();
  expect(writes.slice(2)).toEqual(["b: 4"]);
});

test("nothing is sent to a connection that has ended meanwhile", () => {
  const { relays, writes, endTurn } = open();
  const connection = { name: "a", ended: false };
  relays.add(connection, "1");
  connection.ended = true;
  endTurn();
  expect(writes).toEqual([]);
});

test("long messages for one receiver are several writes, so that they have room", () => {
  const { relays, writes, endTurn } = open();
  const connection = { name: "a", ended: false };
  const long = "x".repeat(MESSAGE_BYTES_MAX - 1);
  for (let i = 0; i < 5; i++) relays.add(connection, long);
  endTurn();
  expect(writes.join("").split(long).length).toBe(6);
  expect(writes.length).toBeGreaterThan(1);
});
