import { isUtf8 } from "node:buffer";
import { describe, expect, test } from "bun:test";
import {
  CLOSE_NONE,
  closeCode,
  Frame,
  FRAME_INCOMPLETE,
  FRAME_OK,
  FRAME_TOO_LONG,
  FRAME_WRONG,
  FrameWriter,
  MESSAGE_BYTES_MAX,
  OPCODE_PING,
} from "../../src/ws/frames.ts";
import { frame, framesOf } from "./fixture.ts";

const reader = new Frame();
const verdictOf = (bytes: number[] | Uint8Array): number => reader.read(Uint8Array.from(bytes), 0);

describe("a frame of a client", () => {
  for (const size of [0, 1, 2, 3, 4, 5, 125, 126, 127, 1000, 65_535, 65_536]) {
    test(`of ${size} bytes is read and its mask taken off`, () => {
      const text = Buffer.alloc(size, "abcdefg");
      const bytes = Buffer.concat([Buffer.from("before"), frame(text), Buffer.from("after")]);
      expect(reader.read(bytes, 6)).toBe(FRAME_OK);
      expect(reader.payload(bytes).equals(text)).toBe(true);
      const target = Buffer.alloc(size + 2, ".");
      reader.payloadInto(bytes, target, 1);
      expect(target.toString()).toBe(`.${text.toString()}.`);
      expect(reader.payloadTo).toBe(bytes.length - 5);
      expect([reader.opcode, reader.isLast]).toEqual([1, true]);
    });
  }

  test("is incomplete until its last byte", () => {
    for (const size of [3, 200, 65_536]) {
      const bytes = frame(Buffer.alloc(size, "x"));
      for (let to = 0; to < bytes.length; to += to < 20 ? 1 : 997) {
        expect(reader.read(bytes.subarray(0, to), 0)).toBe(FRAME_INCOMPLETE);
      }
      expect(reader.read(bytes, 0)).toBe(FRAME_OK);
    }
  });

  test("without a mask is wrong [RFC 6455 5.1]", () => {
    expect(verdictOf(frame("a", { masked: false }))).toBe(FRAME_WRONG);
  });

  test("with a reserved bit is wrong, as no extension is agreed on [5.2]", () => {
    for (const rsv of [0x10, 0x20, 0x40]) expect(verdictOf(frame("a", { rsv }))).toBe(FRAME_WRONG);
  });

  test("of a reserved opcode is wrong at its first byte", () => {
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
      expect(verdictOf([0x80 | opcode])).toBe(FRAME_WRONG);
    }
  });

  test("that controls is neither long nor a fragment [5.5]", () => {
    for (const opcode of [8, 9, 10]) {
      expect(verdictOf(frame("x".repeat(125), { opcode }))).toBe(FRAME_OK);
      expect(verdictOf(frame("x".repeat(126), { opcode }))).toBe(FRAME_WRONG);
      expect(verdictOf(frame("x", { opcode, fin: false }))).toBe(FRAME_WRONG);
    }
  });

  test("longer than a message may be is refused by its head alone", () => {
    expect(verdictOf([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0])).toBe(FRAME_TOO_LONG);
    const [high, low] = [(MESSAGE_BYTES_MAX + 1) >>> 16, (MESSAGE_BYTES_MAX + 1) & 0xff];
    expect(verdictOf([0x81, 0xff, 0, 0, 0, 0, 0, high, 0, low])).toBe(FRAME_TOO_LONG);
  });

  test("whose 64-bit length has its top bit is wrong", () => {
    expect(verdictOf([0x81, 0xff, 0x80])).toBe(FRAME_WRONG);
  });
});

describe("a frame of ours", () => {
  test("has the shortest head for its size, and no mask", () => {
    for (const size of [0, 125, 126, 65_535, 65_536, 100_000]) {
      const writer = new FrameWriter();
      writer.text("é".repeat(Math.floor(size / 2)) + (size % 2 === 0 ? "" : "x"));
      const bytes = writer.bytes.subarray(0, writer.to);
      const [only, ...more] = framesOf(bytes);
      expect(more).toEqual([]);
      expect(only!.payload.length).toBe(size);
      expect(writer.to - size).toBe(size < 126 ? 2 : size < 65_536 ? 4 : 10);
    }
  });

  test("lies behind those before it", () => {
    const writer = new FrameWriter();
    writer.text("one");
    writer.control(OPCODE_PING, Buffer.from("two"));
    writer.close(1001);
    writer.close(CLOSE_NONE);
    const frames = framesOf(writer.bytes.subarray(0, writer.to));
    expect(frames.map(({ opcode, payload }) => [opcode, payload.toString("hex")])).toEqual([
      [1, "6f6e65"],
      [9, "74776f"],
      [8, "03e9"],
      [8, ""],
    ]);
  });

  test("fits although the buffer is not sent yet", () => {
    const writer = new FrameWriter();
    while (!writer.isFull) writer.text("x".repeat(60_000));
    writer.text("x".repeat(MESSAGE_BYTES_MAX));
    expect(framesOf(writer.bytes.subarray(0, writer.to)).at(-1)!.payload.length).toBe(65_536);
  });
});

test("a close is answered with its own code, or with the reason why it is wrong [7.4]", () => {
  const codeOf = (code: number, text = ""): number => {
    const bytes = Buffer.concat([
      Buffer.from([code >> 8, code & 0xff]),
      Buffer.from(text, "latin1"),
    ]);
    return closeCode(bytes, isUtf8);
  };
  for (const code of [1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999]) {
    expect(codeOf(code, "bye")).toBe(code);
  }
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) {
    expect(codeOf(code)).toBe(1002);
  }
  expect(codeOf(1000, "\xff")).toBe(1007);
  expect(closeCode(Buffer.alloc(0), isUtf8)).toBe(CLOSE_NONE);
  expect(closeCode(Buffer.alloc(1), isUtf8)).toBe(1002);
});
