import { expect, test } from "bun:test";
import { Fragments } from "../../src/ws/fragments.ts";
import { Frame, FRAME_OK, MESSAGE_BYTES_MAX } from "../../src/ws/frames.ts";
import { frame } from "./fixture.ts";

const reader = new Frame();

function add(fragments: Fragments, payload: string | Uint8Array): boolean {
  const bytes = frame(payload, { fin: false });
  expect(reader.read(bytes, 0)).toBe(FRAME_OK);
  return fragments.add(reader, bytes);
}

test("fragments of any size are joined in their order", () => {
  for (const sizes of [[1], [0, 0], [1, 1, 1], [64, 65, 0, 300], [1000, 5, 40_000], [65_536]]) {
    const fragments = new Fragments();
    const parts = sizes.map((size, i) => Buffer.alloc(size, `${i}abcdef`));
    for (const part of parts) expect(add(fragments, part)).toBe(true);
    expect(fragments.joined.equals(Buffer.concat(parts))).toBe(true);
  }
});

test("small fragments share one small buffer", () => {
  const fragments = new Fragments();
  expect(fragments.capacity).toBe(0);
  for (let i = 0; i < 64; i++) expect(add(fragments, "x")).toBe(true);
  expect(fragments.capacity).toBe(256);
  expect(fragments.joined.toString()).toBe("x".repeat(64));
});

test("a fragment beyond the 64th is refused, even if it is empty", () => {
  const fragments = new Fragments();
  for (let i = 0; i < 64; i++) expect(add(fragments, "")).toBe(true);
  expect(add(fragments, "")).toBe(false);
});

test("more than a message may have is refused, and takes no memory", () => {
  const fragments = new Fragments();
  expect(add(fragments, Buffer.alloc(MESSAGE_BYTES_MAX - 1))).toBe(true);
  expect(add(fragments, "xx")).toBe(false);
  expect(add(fragments, "x")).toBe(true);
  expect(fragments.capacity).toBe(MESSAGE_BYTES_MAX);
  expect(fragments.joined.length).toBe(MESSAGE_BYTES_MAX);
});
