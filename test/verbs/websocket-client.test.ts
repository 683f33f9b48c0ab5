/** The client of the self-test against servers that send any bytes. */
import { describe, expect, test } from "bun:test";

import { WebSocketClient } from "../../src/verbs/websocket-client.ts";
import { hostileHttp, type Send } from "./hostile-http.ts";
import { handshakeOf } from "./websocket-answers.ts";

const TIMEOUT = 300;

/** The sentence with which the client ends at a server that sends this. */
async function endOf(answer: (send: Send, asked: string) => void): Promise<string> {
  using server = hostileHttp((send) => answer(send, server.asked.at(-1)!));
  const client = clientAt(server.port);
  const began = performance.now();
  try {
    await client.opened();
    await client.hear(() => false, "nothing that is wanted");
    return "";
  } catch (error) {
    expect(performance.now() - began).toBeLessThan(20 * TIMEOUT);
    return (error as Error).message;
  } finally {
    client.close();
  }
}

function clientAt(port: number): WebSocketClient {
  const question = { address: "127.0.0.1", port, tls: undefined, host: "tracker.test" };
  return new WebSocketClient({ ...question, target: "/announce?key", timeout: TIMEOUT });
}

const raw = (frame: string): Buffer => Buffer.from(frame, "latin1");

/** Frames after a good handshake. */
const framed = (...frames: string[]) =>
  endOf((send, asked) => {
    if (!asked.startsWith("GET")) return;
    send(handshakeOf(asked));
    for (const frame of frames) send(raw(frame));
  });

const text = (payload: string) => `\x81${String.fromCharCode(payload.length)}${payload}`;

describe("the handshake", () => {
  test("names path, host and version, and a key of 16 bytes", async () => {
    using server = hostileHttp("");
    const client = clientAt(server.port);
    await client.opened().catch(() => {});
    client.close();
    expect(server.asked[0]).toMatch(/^GET \/announce\?key HTTP\/1\.1\r\nHost: tracker\.test\r\n/);
    expect(server.asked[0]).toMatch(/\r\nSec-WebSocket-Version: 13\r\n/);
    expect(server.asked[0]).toMatch(/\r\nSec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n/);
  });

  const changed = (from: RegExp, to: string) =>
    endOf((send, asked) => void send(handshakeOf(asked).replace(from, to)));

  test.each<[string, RegExp, string]>([
    ["Sec-WebSocket-Accept does not fit the key", /Accept: .{4}/, "Accept: AAAA"],
    ["the answer upgrades to something else", /Upgrade: websocket/, "Upgrade: h2c"],
    ["the answer is no upgrade", /Connection: Upgrade/, "Connection: close"],
    ["it uses an extension that was not offered", /$/, "Sec-WebSocket-Extensions: x"],
    ["it uses a protocol that was not offered", /$/, "Sec-WebSocket-Protocol: x"],
    ["the answer is not HTTP/1.1", /HTTP\/1\.1/, "ICY"],
    ["the status is 426, not 101: is that a tracker for browsers, and its path?", /101/, "426"],
  ])("%s", async (sentence, from, to) => {
    const at = from.source === "$" ? /\r\n\r\n$/ : from;
    expect(await changed(at, from.source === "$" ? `\r\n${to}\r\n\r\n` : to)).toBe(sentence);
  });

  test("an endless head is cut, and a byte at a time does not prolong the timeout", async () => {
    expect(await endOf((send) => void send(`HTTP/1.1 101 ${"x".repeat(20_000)}`))).toBe(
      "the answer is too long",
    );
    const slow = await endOf((send) => {
      const timer = setInterval(() => send("x") < 0 && clearInterval(timer), 20);
    });
    expect(slow).toBe("no answer in 0.3 s");
  });
});

describe("a wrong frame ends the connection", () => {
  test.each<[string, string[]]>([
    ["a frame uses an extension that was not offered", ["\xc1\x00"]],
    ["a frame has the unknown opcode 3", ["\x83\x00"]],
    ["a frame is masked, which only those of clients are", ["\x81\x80aaaa"]],
    ["a control frame is in fragments, or too long", ["\x09\x00"]],
    ["a control frame is in fragments, or too long", ["\x89\x7e\x01\x00"]],
    ["a frame is too long", ["\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00"]],
    ["a frame is too long", ["\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"]],
    ["a frame continues no message, or begins one within another", ["\x80\x01x"]],
    ["a frame continues no message, or begins one within another", ["\x01\x01x", text("{}")]],
    ["a message is not JSON", [text("{")]],
    ["a message is not JSON", [text('"\xff"')]],
    ["a message is not a JSON object", [text("[1]")]],
    ["a message is not a JSON object", [text("null")]],
    ["a message is nested too deeply", [text(`{"a":${"[".repeat(33)}${"]".repeat(33)}}`)]],
    ["the connection was closed without a code", ["\x88\x00"]],
    ["the connection was closed with code 1008: no?]0;x", ["\x88\x09\x03\xf0no\x1b]0;x"]],
  ])("%s", async (sentence, frames) => {
    expect(await framed(...frames)).toBe(sentence);
  });

  test("endless frames are cut, small or large, whole or not", async () => {
    const endless = (text: string, piece = raw(text)) =>
      endOf((send, asked) => {
        if (!asked.startsWith("GET")) return;
        send(handshakeOf(asked));
        const timer = setInterval(() => {
          for (let i = 0; i < 50; i++) if (send(piece) < piece.length) break;
          if (send("") < 0) clearInterval(timer);
        }, 1);
      });
    expect(await endless(text("{}").repeat(100))).toBe("it sends too many frames");
    expect(await endless("\x01\x00".repeat(100))).toMatch(/continues no message/);
    expect(await endless("\x89\x00".repeat(1000))).toBe("it sends too many frames");
    expect(await endless(`\x81\x7e\xff\xf0${" ".repeat(0xfff0 - 2)}{}`)).toBe("it sends too much");
  });
});

describe("what it sends", () => {
  test("is masked; fragments are joined, pings answered, and closes said", async () => {
    using server = hostileHttp((send) => {
      const asked = server.asked.at(-1)!;
      if (!asked.startsWith("GET")) return;
      send(handshakeOf(asked));
      send(raw('\x01\x05{"a":\x89\x02hi\x80\x021}'));
    });
    const client = clientAt(server.port);
    await client.opened();
    expect(await client.hear((message) => message["a"] === 1, "nothing")).toEqual({ a: 1 });
    client.send({ long: "x".repeat(200) });
    client.close();
    const sent = () => Buffer.from(server.asked.slice(1).join(""), "latin1");
    for (let i = 0; i < 200 && sent().length < 8 + 219 + 8; i++) await Bun.sleep(5);
    expect(unmasked(sent())).toEqual([
      [0x8a, "hi"],
      [0x81, JSON.stringify({ long: "x".repeat(200) })],
      [0x88, "\x03\xe8"],
    ]);
  });

  test("a connection ends after five timeouts, whatever it hears", async () => {
    using server = hostileHttp((send) => {
      const asked = server.asked.at(-1)!;
      if (asked.startsWith("GET")) send(handshakeOf(asked));
      else send(raw(text("{}")));
    });
    const client = clientAt(server.port);
    await client.opened();
    let end = "";
    for (let i = 0; i < 100 && end === ""; i++) {
      await Bun.sleep(TIMEOUT / 4);
      client.send({});
      await client.hear(() => true, "nothing").catch((error: Error) => (end = error.message));
    }
    expect(end).toBe("it is not done in 1.5 s");
  });
});

/** First byte and payload of each frame of a client. */
function unmasked(bytes: Buffer): [number, string][] {
  const frames: [number, string][] = [];
  for (let at = 0; at < bytes.length;) {
    expect(bytes[at + 1] & 0x80).toBe(0x80);
    const short = bytes[at + 1] & 0x7f;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
    const key = at + (short === 126 ? 4 : 2);
    const from = key + 4;
    const payload = bytes
      .subarray(from, from + length)
      .map((byte, i) => byte ^ bytes[key + (i % 4)]);
    frames.push([bytes[at], Buffer.from(payload).toString("latin1")]);
    at = from + length;
  }
  return frames;
}
