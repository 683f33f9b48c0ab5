import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HTTP_HEAD_BYTES_MAX } from "../../src/constants.ts";
import {
  HEAD_INCOMPLETE,
  HEAD_MALFORMED,
  HEAD_OK,
  HEAD_TOO_LARGE,
  HEAD_VERSION,
  HEAD_WITHOUT_HOST,
  RequestHead,
} from "../../src/net/head.ts";

const REQUEST = "GET /announce?x=1 HTTP/1.1\r\nHost: a\r\n";

/** The verdict on a text that begins with its head. */
function verdictOf(text: string): number {
  return new RequestHead().read(text, 0);
}

/** The record of a valid head. */
function readHead(text: string, from = 0): RequestHead {
  const head = new RequestHead();
  expect(head.read(text, from)).toBe(HEAD_OK);
  return head;
}

function targetOf(head: RequestHead): string {
  return head.text.slice(head.targetFrom, head.targetTo);
}

function pathOf(head: RequestHead): string {
  return head.text.slice(head.pathFrom, head.targetTo);
}

test("a head is parsed in place, and ends before the bytes that follow it", () => {
  const head = readHead(`junk${REQUEST}\r\nGET /next`, 4);
  expect(head.hasMethod("GET")).toBe(true);
  expect(head.hasMethod("HEAD")).toBe(false);
  expect(head.hasMethod("GE")).toBe(false);
  expect(targetOf(head)).toBe("/announce?x=1");
  expect(head.text.slice(head.hostFrom, head.hostTo)).toBe("a");
  expect(head.text.slice(head.end)).toBe("GET /next");
  expect([head.version11, head.keepAlive, head.bodySize]).toEqual([true, true, 0]);
});

test("every head is incomplete until its last byte", () => {
  const whole = `\r\n${REQUEST}A: b\r\n\r\n`;
  for (let size = 0; size < whole.length; size++) {
    expect([size, verdictOf(whole.slice(0, size))]).toEqual([size, HEAD_INCOMPLETE]);
  }
  expect(verdictOf(whole)).toBe(HEAD_OK);
});

test.each([
  ["empty lines before the request", `\r\n\r\n\r\n${REQUEST}\r\n`],
  [
    "raw bytes above ASCII in target and value",
    "GET /\x80\xff HTTP/1.1\r\nHost: a\r\nB: \xfe\r\n\r\n",
  ],
  [
    "quotes, brackets and a fragment in the target",
    'GET /"<>{}|^`[]\\#? HTTP/1.1\r\nHost: a\r\n\r\n',
  ],
  ["an unknown method", "FOO / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an empty value, and one with tabs around", `${REQUEST}A:\r\nB:\t b \t\r\n\r\n`],
  ["HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n"],
  ["a later HTTP/1", "GET / HTTP/1.7\r\nHost: a\r\n\r\n"],
  ["a host by its number", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:6969\r\n\r\n"],
  ["a host without a name", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
  ["a host with an underscore", "GET / HTTP/1.1\r\nHost: my_tracker:80\r\n\r\n"],
  ["a malformed host", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"],
  ["OPTIONS for the server itself", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
])("%s is accepted", (_name, text) => {
  expect(verdictOf(text)).toBe(HEAD_OK);
});

test.each([
  ["no version", "GET /\r\n"],
  ["an empty target", "GET  HTTP/1.1\r\n"],
  ["two blanks before the version", "GET /  HTTP/1.1\r\n"],
  ["a blank in the target", "GET /a b HTTP/1.1\r\n"],
  ["a tab for a blank", "GET\t/ HTTP/1.1\r\n"],
  ["a control byte in the target", "GET /\x01 HTTP/1.1\r\n"],
  ["NUL in the target", "GET /\0 HTTP/1.1\r\n"],
  ["DEL in the target", "GET /\x7f HTTP/1.1\r\n"],
  ["a blank behind the version", "GET / HTTP/1.1 \r\n"],
  ["another protocol", "GET / HTCPCP/1\r\n"],
  ["a version of two digits", "GET / HTTP/1.10\r\n"],
  ["a lower-case version", "GET / http/1.1\r\n"],
  ["a target that is no path", "GET announce HTTP/1.1\r\n"],
  ["another scheme", "GET ftp://a/ HTTP/1.1\r\n"],
  ["a URL without a host", "GET http:///a HTTP/1.1\r\n"],
  ["an asterisk for what is not OPTIONS", "PRI * HTTP/2.0\r\n"],
  ["CONNECT", "CONNECT a:443 HTTP/1.1\r\n"],
  ["a TLS hello", "\x16\x03\x01"],
  ["another protocol's first line", "SSH-2.0-x\r\n"],
  ["a method without an end", "G".repeat(33)],
  ["a bare CR before the request", "\rGET / HTTP/1.1\r\n"],
  ["five empty lines", "\r\n\r\n\r\n\r\n\r\n"],
  ["LF for CR LF", "GET / HTTP/1.1\nHost: a\n\n"],
  ["an empty line of LF", `\n${REQUEST}`],
  ["LF CR line ends", "GET / HTTP/1.1\n\rHost: a\n\r\n\r"],
])("%s is refused before the fields", (_name, text) => {
  expect(verdictOf(text)).toBe(HEAD_MALFORMED);
});

test("a target may have any byte except control bytes and spaces, at any offset", () => {
  for (let code = 0; code < 256; code++) {
    const isControl = code <= 0x20 || code === 0x7f;
    const char = String.fromCharCode(code);
    for (const target of [`/${char}`, `/${char}/b`, `/${"long".repeat(99)}${char}c`]) {
      const text = `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
      expect([code, verdictOf(text)]).toEqual([code, isControl ? HEAD_MALFORMED : HEAD_OK]);
      if (!isControl) expect(targetOf(readHead(text))).toBe(target);
    }
  }
});

test.each([
  ["a blank in the host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"],
  ["a path behind the host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
  ["a user before the host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"],
  ["a list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
  ["two hosts", `${REQUEST}host: a\r\n\r\n`],
  ["a folded line", `${REQUEST}A: b\r\n c\r\n\r\n`],
  ["a blank before the colon", `${REQUEST}A : b\r\n\r\n`],
  ["a line without a colon", `${REQUEST}A\r\n\r\n`],
  ["a field without a name", `${REQUEST}: b\r\n\r\n`],
  ["a name that is no token", `${REQUEST}A(: b\r\n\r\n`],
  ["a bare LF behind a field", `${REQUEST}A: b\n\r\n`],
  ["a bare LF for the empty line", `${REQUEST}\n`],
  ["a bare CR in a value", `${REQUEST}A: b\rc\r\n\r\n`],
  ["NUL in a value", `${REQUEST}A: \0\r\n\r\n`],
  ["ESC in a value", `${REQUEST}A: \x1b[2J\r\n\r\n`],
  ["a length and a coding", `${REQUEST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ["a coding and a length", `${REQUEST}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`],
  ["two lengths that differ", `${REQUEST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`],
  ["a list of lengths", `${REQUEST}Content-Length: 1, 1\r\n\r\n`],
  ["a length below zero", `${REQUEST}Content-Length: -1\r\n\r\n`],
  ["a length with a sign", `${REQUEST}Content-Length: +1\r\n\r\n`],
  ["an empty length", `${REQUEST}Content-Length:\r\n\r\n`],
  ["a length of 16 digits", `${REQUEST}Content-Length: 0000000000000001\r\n\r\n`],
  ["another coding", `${REQUEST}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ["a coding that is nearly chunked", `${REQUEST}Transfer-Encoding: xchunked\r\n\r\n`],
  ["two codings", `${REQUEST}${"Transfer-Encoding: chunked\r\n".repeat(2)}\r\n`],
  ["a coding in HTTP/1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"],
])("%s is refused: two parsers could understand it differently", (_name, text) => {
  expect(verdictOf(text)).toBe(HEAD_MALFORMED);
});

test("HTTP/1.1 without a Host field has its own verdict", () => {
  expect(verdictOf("GET / HTTP/1.1\r\n\r\n")).toBe(HEAD_WITHOUT_HOST);
  expect(verdictOf("GET / HTTP/1.1\r\nHos")).toBe(HEAD_INCOMPLETE);
});

test("another major version is refused", () => {
  for (const version of ["0.9", "2.0", "3.1"]) {
    expect(verdictOf(`GET / HTTP/${version}\r\n`)).toBe(HEAD_VERSION);
  }
});

test("a head has at most 16 KiB and 100 fields", () => {
  const fill = (size: number) => {
    const start = `${REQUEST}A: `;
    return `${start}${"b".repeat(size - start.length - 4)}\r\n\r\n`;
  };
  expect(verdictOf(fill(HTTP_HEAD_BYTES_MAX))).toBe(HEAD_OK);
  expect(verdictOf(fill(HTTP_HEAD_BYTES_MAX + 1))).toBe(HEAD_TOO_LARGE);
  expect(verdictOf(fill(HTTP_HEAD_BYTES_MAX + 1).slice(0, HTTP_HEAD_BYTES_MAX))).toBe(
    HEAD_TOO_LARGE,
  );
  expect(verdictOf(`${REQUEST}${"A: b\r\n".repeat(99)}\r\n`)).toBe(HEAD_OK);
  expect(verdictOf(`${REQUEST}${"A: b\r\n".repeat(100)}\r\n`)).toBe(HEAD_TOO_LARGE);
});

test.each([
  ["http://h/announce?x", "/announce?x"],
  ["HTTPS://h:1/announce", "/announce"],
  ["http://h?x", "?x"],
  ["http://h", ""],
  ["//announce", "//announce"],
  ["?info_hash=x", "?info_hash=x"],
])("the path of %s is %s", (target, path) => {
  expect(pathOf(readHead(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`))).toBe(path);
});

describe("a connection stays open", () => {
  test.each([
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: close\r\n", false],
    ["HTTP/1.1", "CONNECTION: CLOSE\r\n", false],
    ["HTTP/1.1", "Connection: x, close ,y\r\n", false],
    ["HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false],
    ["HTTP/1.1", "Connection: closed\r\n", true],
    ["HTTP/1.0", "", false],
    ["HTTP/1.0", "Connection: Keep-Alive\r\n", true],
    ["HTTP/1.0", "Connection: keep-alive, close\r\n", false],
  ])("%s %j: %p", (version, fields, keepAlive) => {
    const head = readHead(`GET / ${version}\r\nHost: a\r\n${fields}\r\n`);
    expect(head.keepAlive).toBe(keepAlive);
  });
});

test("a body has a length, the same if repeated, or is chunked", () => {
  const sizeOf = (fields: string) => readHead(`${REQUEST}${fields}\r\n`).bodySize;
  expect(sizeOf("content-length: 65536\r\n")).toBe(65536);
  expect(sizeOf("Content-Length: 007\r\nCONTENT-LENGTH: 7\r\n")).toBe(7);
  expect(sizeOf("Transfer-Encoding: Chunked\r\n")).toBe(-1);
});

test("nothing remains of the head that was read before", () => {
  const head = new RequestHead();
  const fields = "Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n";
  expect(head.read(`${REQUEST}${fields}\r\n`, 0)).toBe(HEAD_OK);
  expect([head.expectsContinue, head.bodySize, head.keepAlive]).toEqual([true, 5, false]);
  expect(head.read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0)).toBe(HEAD_OK);
  expect([head.expectsContinue, head.bodySize, head.keepAlive]).toEqual([false, 0, true]);
  expect(head.hostTo - head.hostFrom).toBe(0);
});

test("a field is found by its name in any case; repeated fields become one list", () => {
  const head = readHead(
    `${REQUEST}X-Forwarded-For: a, b\r\nx-FORWARDED-for:c\t\r\nX:\r\n\r\nX: no`,
  );
  expect(head.get("x-forwarded-for")).toBe("a, b, c");
  expect(head.get("host")).toBe("a");
  expect(head.get("x")).toBe("");
  expect(head.get("x-forwarded")).toBe("");
});

test("a head becomes a Request, even with a host that no URL can have", () => {
  const request = readHead(`POST /a?%ff HTTP/1.1\r\nHost: h:1\r\nA: b\r\na: c\r\n\r\n`).toRequest();
  expect([request.method, request.url]).toEqual(["POST", "http://h:1/a?%ff"]);
  expect(request.headers.get("a")).toBe("b, c");
  const odd = readHead("GET /a HTTP/1.1\r\nHost: [::1\r\n\r\n").toRequest();
  expect(odd.url).toBe("http://localhost/a");
  expect(readHead("GET /a HTTP/1.0\r\n\r\n").toRequest().url).toBe("http://localhost/a");
});

test("an upgrade to WebSocket is asked for by two fields, in any case and in lists", () => {
  const asks = (...fields: string[]): boolean =>
    readHead(["GET / HTTP/1.1", "Host: a", ...fields, "", ""].join("\r\n")).wantsWebSocket;
  expect(asks("Connection: Upgrade", "Upgrade: websocket")).toBe(true);
  expect(asks("connection: keep-alive, UPGRADE", "upgrade: h2c, WebSocket")).toBe(true);
  expect(asks("Upgrade: websocket")).toBe(false);
  expect(asks("Connection: Upgrade")).toBe(false);
  expect(asks("Connection: Upgrade", "Upgrade: h2c")).toBe(false);
  expect(asks("Connection: Upgrade", "Upgrade: websockets")).toBe(false);
});

/** Pieces for random requests, valid and malformed. */
const PIECES = fc.oneof(
  fc.constantFrom("GET ", "/", " HTTP/1.1", "\r\n", "\n", "\r", "Host: a", ": ", REQUEST, "\0"),
  fc.constantFrom("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "A: b\r\n", " "),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) }),
);

test("no text causes an exception, and appending bytes never changes a verdict", () => {
  fc.assert(
    fc.property(fc.array(PIECES, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      const whole = verdictOf(text);
      for (let size = 0; size <= text.length; size++) {
        const verdict = verdictOf(text.slice(0, size));
        if (verdict !== HEAD_INCOMPLETE) {
          expect(verdict).toBe(whole);
          break;
        }
      }
    }),
  );
});
