/** Frames judged by ours and by Bun's own server: the same bytes, the same end. */
import { connect } from "node:net";
import { afterAll, expect, test } from "bun:test";
import { HttpServer } from "../../src/http/server.ts";
import { Random } from "../fuzz/random.ts";
import { until } from "../until.ts";
import { frame, framesOf, openEngine } from "./fixture.ts";
import { upgradeText } from "./upgrade.ts";

const HEAD = upgradeText();

const theirs = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("")),
  websocket: { maxPayloadLength: 64 * 1024, message: (socket) => void socket.send("{}") },
});

const { engine } = openEngine();
const server = new HttpServer(
  {
    bodyBytesMax: 1000,
    answer: () => ({
      response: Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
      refusal: Buffer.alloc(0),
      address: new Uint8Array([192, 0, 2, 1]),
      family: 4 as const,
      begin: (line) => engine.open(line, { address: new Uint8Array(4), family: 4, origin: "none" }),
    }),
  },
  { connectionsMax: 1000 },
);
const ours = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  allowHalfOpen: true,
  socket: server.socket,
});

afterAll(() => {
  ours.stop(true);
  server.cut();
  void server.stop();
  void theirs.stop(true);
});

/** The replies and pongs to the bytes, and how the connection ends: a code, or "open". */
async function judge(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let got = Buffer.alloc(0);
  let closed = false;
  socket.on("data", (piece: Buffer) => (got = Buffer.concat([got, piece])));
  socket.on("end", () => (closed = true));
  socket.on("close", () => (closed = true));
  socket.on("error", () => (closed = true));
  socket.write(HEAD);
  await until(() => got.includes("\r\n\r\n"));
  got = got.subarray(got.indexOf("\r\n\r\n") + 4);
  // A last ping shows that all before it has been judged.
  socket.write(Buffer.concat([bytes, frame("last", { opcode: 9 })]));
  await until(() => closed || got.includes("last"));
  socket.destroy();
  const frames = framesOf(got);
  const messages = frames.filter(({ opcode }) => opcode === 1).length;
  const pong = frames.some(({ opcode }) => opcode === 10);
  return closed ? `${messages} messages, closed` : `${messages} messages, open ${pong}`;
}

/** Frames with an end that both must agree on. */
const CASES: [name: string, bytes: Buffer[]][] = [
  ["a text", [frame("{}")]],
  ["an empty text", [frame("")]],
  ["a binary", [frame("{}", { opcode: 2 })]],
  ["fragments", [frame("{", { fin: false }), frame("}", { opcode: 0 })]],
  [
    "a ping between fragments",
    [frame("{", { fin: false }), frame("x", { opcode: 9 }), frame("}", { opcode: 0 })],
  ],
  ["a pong nobody asked for", [frame("x", { opcode: 10 })]],
  ["125 bytes of ping", [frame("x".repeat(125), { opcode: 9 })]],
  ["126 bytes of ping", [frame("x".repeat(126), { opcode: 9 })]],
  ["a ping in fragments", [frame("x", { opcode: 9, fin: false })]],
  ["a reserved bit", [frame("x", { rsv: 0x20 })]],
  ["a reserved opcode", [frame("x", { opcode: 3 })]],
  ["a reserved control opcode", [frame("x", { opcode: 11 })]],
  ["a continuation of nothing", [frame("x", { opcode: 0 })]],
  ["a text within a text", [frame("x", { fin: false }), frame("y")]],
  ["text that is not UTF-8", [frame(Buffer.of(0xc3, 0x28))]],
  ["a close", [frame(Buffer.of(3, 232), { opcode: 8 })]],
  ["a close without a code", [frame("", { opcode: 8 })]],
  ["a long text", [frame(`"${"x".repeat(60_000)}"`)]],
  ["a length of 2^40", [Buffer.of(0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4)]],
];

for (const [name, frames] of CASES) {
  test(`: ${name}`, async () => {
    const bytes = Buffer.concat(frames);
    expect(await judge(ours.port, bytes)).toBe(await judge(theirs.port!, bytes));
  });
}

test("random frames end alike", async () => {
  const random = new Random(20_260_101, "frames");
  for (let round = 0; round < 150; round++) {
    const frames = Array.from({ length: 1 + random.below(5) }, () => {
      const opcode = random.pick([0, 1, 1, 1, 2, 9, 10]);
      const text = random.pick(["{}", "", "é", "x".repeat(125), "y".repeat(300)]);
      const payload = Buffer.from(text).subarray(0, opcode > 8 ? 125 : undefined);
      return frame(payload, { opcode, fin: opcode > 8 || random.below(3) > 0 });
    });
    const bytes = Buffer.concat(frames);
    const verdicts = await Promise.all([ours.port, theirs.port!].map((port) => judge(port, bytes)));
    expect(`${bytes.toString("hex")} ${verdicts[0]}`).toBe(
      `${bytes.toString("hex")} ${verdicts[1]}`,
    );
  }
});
