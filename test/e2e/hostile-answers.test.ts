/**
 * The verbs of the compiled binary against servers that try to block them, fill the memory or
 * control the operator's terminal: each ends in time, small, with exit code 1 and a sentence.
 */
import { describe, expect, test } from "bun:test";

import { MIB, vitalsOf } from "../soak/vitals.ts";
import { CHUNKED, type HostileAnswer, hostileHttp, OK, type Send } from "../verbs/hostile-http.ts";
import { FIGURES } from "../verbs/figures.ts";
import { handshakeOf } from "../verbs/websocket-answers.ts";
import { startProcess } from "./harness.ts";

const TIMEOUT_MILLISECONDS = 30_000;
/** `selftest` gives an answer 4 s, the others less; the rest is for a busy machine. */
const VERB_MILLISECONDS_MAX = 12_000;
const RESIDENT_BYTES_MAX = 200 * MIB;
const LINUX = process.platform === "linux";

const TITLE = "\x1b]0;title\x07\x1b]52;c;ZWNobw==\x07\u202e";
const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";

/** Sends a beginning, and then the same bytes again and again. */
function endless(begin: string, piece: string | Uint8Array, milliseconds = 1, times = 50) {
  return (send: Send) => {
    send(begin);
    const timer = setInterval(() => {
      for (let i = 0; i < times; i++) if (send(piece) < piece.length) break;
      if (send("") < 0) clearInterval(timer);
    }, milliseconds);
  };
}

const withLength = (body: string, status = "200 OK", fields = "") =>
  `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** A short message in one frame. */
const textOf = (message: object, text = JSON.stringify(message)) =>
  `\x81${String.fromCharCode(text.length)}${text}`;

/** An answer after which the connection is closed. */
const ended = (text: string) => (send: Send, end: () => void) => {
  send(text);
  end();
};

const ANSWERS: [string, HostileAnswer][] = [
  ["a chunk of negative size", ended(`${CHUNKED}-6\r\n\r\n`)],
  ["a chunk of negative size, unfinished", `${CHUNKED}-6\r\n\r\n`],
  ["a huge chunk", `${CHUNKED}fffffffffffffff\r\nx`],
  ["endless fields", endless(OK, `a: ${"b".repeat(1000)}\r\n`)],
  ["an endless field", endless(OK, "x".repeat(1000))],
  ["an endless body", endless(`${OK}\r\n`, "x".repeat(65_536))],
  ["endless chunks", endless(CHUNKED, "1\r\nx\r\n".repeat(1000))],
  ["a byte at a time, for ever", endless(`${OK}\r\n`, "x", 300, 1)],
  ["a field, a byte at a time", endless(`${OK}x: `, "x", 300, 1)],
  ["a length that lies", `${OK}Content-Length: 1000\r\n\r\nshort`],
  ["a huge length", `${OK}Content-Length: 99999999999999\r\n\r\nx`],
  ["a redirect", withLength("", "302 Found", "Location: http://127.0.0.1:1/\r\n")],
  ["escape sequences as a body", withLength(`${TITLE}\nnext line\n`, "401 Unauthorized")],
  [
    "escape sequences as a failure",
    withLength(`d14:failure reason${Buffer.byteLength(TITLE)}:${TITLE}e`),
  ],
  ["escape sequences in the status", `HTTP/1.1 500 ${TITLE}\r\n${TITLE}: x\r\n\r\n`],
  ["brackets that nest", withLength("l".repeat(500_000))],
  ["brackets of JSON that nest", withLength("[".repeat(500_000))],
];

/** Runs a verb against a port; returns its output. Throws if it does not end in time. */
async function run(args: string[], port: number) {
  const child = startProcess({
    args,
    env: {
      TRACKER_HTTP_ADDRESS: `127.0.0.1:${args[0] === "health" ? port : 1}`,
      TRACKER_UDP_ADDRESS: "",
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${args[0] === "health" ? 2 : port}`,
      TRACKER_ADMIN_TOKEN: "0123456789abcdef",
    },
  });
  let peak = 0;
  const timer = setInterval(() => {
    if (LINUX && child.running) peak = Math.max(peak, vitalsOf(child.pid).residentBytes);
  }, 50);
  try {
    const code = await child.exited(VERB_MILLISECONDS_MAX);
    return { code, text: child.stdout + child.stderr, peak };
  } finally {
    clearInterval(timer);
  }
}

describe.each(ANSWERS)("%s", (_name, answer) => {
  test.each([
    ["selftest", ["selftest"]],
    ["health", ["health"]],
    ["top", ["top"]],
  ])(
    "neither blocks %s nor controls a terminal",
    async (verb, args) => {
      using server = hostileHttp(answer);
      const url = `http://127.0.0.1:${server.port}/announce`;
      const { code, text, peak } = await run(
        verb === "selftest" ? [...args, url] : args,
        server.port,
      );
      // Every answer with status 200 is healthy.
      if (verb !== "health") expect(code).toBe(1);
      expect(text).not.toMatch(/(?!\n)\p{C}/u);
      expect(text.split("\n").length).toBeLessThan(8);
      expect(peak).toBeLessThan(RESIDENT_BYTES_MAX);
    },
    TIMEOUT_MILLISECONDS,
  );
});

test.each<[string, HostileAnswer]>([
  ["a sentence", withLength(`${TITLE}\nbuntracker: hint: do this\n`, "409 Conflict")],
  ["a chunk of negative size", ended(`${CHUNKED}-6\r\n\r\n`)],
  ["an endless body", endless(`${OK}\r\n`, "x".repeat(65_536))],
])(
  "%s that deny is answered does not hang it, nor drive a terminal",
  async (_name, answer) => {
    using server = hostileHttp(answer);
    const { code, text, peak } = await run(["deny", HASH], server.port);
    expect(code).toBe(1);
    expect(text).not.toMatch(/(?!\n)\p{C}/u);
    expect(text).not.toMatch(/^buntracker: hint: do this/m);
    expect(peak).toBeLessThan(RESIDENT_BYTES_MAX);
  },
  TIMEOUT_MILLISECONDS,
);

/** A handshake, and then the same bytes again and again. */
const upgraded = (piece: string, milliseconds = 1, times = 50): HostileAnswer => {
  const bytes = Buffer.from(piece, "latin1");
  return (send, _end, asked) => {
    if (!asked.startsWith("GET")) return;
    endless(handshakeOf(asked), bytes, milliseconds, times)(send);
  };
};

test.each<[string, HostileAnswer]>([
  ...ANSWERS,
  ["endless messages", upgraded("\x81\x02{}".repeat(100))],
  ["endless pings", upgraded("\x89\x00".repeat(100))],
  ["endless fragments", upgraded("\x01\x01{", 1, 1)],
  ["large messages", upgraded(`\x81\x7e\xff\xf0${" ".repeat(0xfff0 - 2)}{}`)],
  ["a huge frame", upgraded(`\x82\x7f\x00\x00\x01${"\0".repeat(5)}`)],
  ["a byte of a message at a time", upgraded("\x81", 300, 1)],
  ["escape sequences as a failure", upgraded(textOf({ "failure reason": "\x1b]0;title\x07" }))],
  ["escape sequences as a close", upgraded("\x88\x07\x03\xf0\x1b]0;x")],
  ["messages that nest", upgraded(`\x81\x7e\xea\x60${"[".repeat(60_000)}`)],
])(
  "%s over WebSocket neither blocks selftest nor controls a terminal",
  async (_name, answer) => {
    using server = hostileHttp(answer);
    const url = `ws://127.0.0.1:${server.port}/announce`;
    const { code, text, peak } = await run(["selftest", url], server.port);
    expect(code).toBe(1);
    expect(text).not.toMatch(/(?!\n)\p{C}/u);
    expect(text.split("\n").length).toBeLessThan(8);
    expect(peak).toBeLessThan(RESIDENT_BYTES_MAX);
  },
  TIMEOUT_MILLISECONDS,
);

test("the version in the figures does not control the terminal of top", async () => {
  const body = JSON.stringify({ ...FIGURES, version: TITLE });
  using server = hostileHttp(withLength(body));
  const { code, text } = await run(["top"], server.port);
  expect(code).toBe(0);
  expect(text).not.toMatch(/(?!\n)\p{C}/u);
});
