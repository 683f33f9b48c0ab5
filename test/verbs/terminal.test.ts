/** The terminal is switched and restored; without a terminal there are defaults. */
import { expect, test } from "bun:test";

import { Terminal, type TerminalStreams } from "../../src/verbs/terminal.ts";

function fake(isTTY: boolean) {
  const log: string[] = [];
  const handlers = new Set<(bytes: Buffer) => void>();
  const streams: TerminalStreams = {
    stdin: {
      isTTY,
      on: (_event: string, handler: (bytes: Buffer) => void) => handlers.add(handler),
      off: (_event: string, handler: (bytes: Buffer) => void) => handlers.delete(handler),
      resume: () => log.push("resume"),
      pause: () => log.push("pause"),
      setRawMode: (raw: boolean) => log.push(`raw ${raw}`),
    },
    stdout: { isTTY, write: (text: string) => log.push(text) },
  };
  return { terminal: new Terminal(streams), log, handlers };
}

test("the terminal is restored once", () => {
  const { terminal, log, handlers } = fake(true);
  const keys: string[] = [];
  terminal.open((key) => keys.push(key));
  for (const handler of handlers) handler(Buffer.from("q"));
  terminal.close();
  terminal.close();
  expect(keys).toEqual(["q"]);
  expect(handlers.size).toBe(0);
  expect(log).toEqual([
    "\x1b[?1049h\x1b[?25l",
    "raw true",
    "resume",
    "raw false",
    "pause",
    "\x1b[?25h\x1b[?1049l",
  ]);
});

test("drawing replaces the whole screen", () => {
  const { terminal, log } = fake(true);
  terminal.draw(["one", "two"]);
  expect(log).toEqual(["\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J"]);
});

test("a terminal that does not tell its size has the default size", () => {
  const { terminal } = fake(false);
  expect([terminal.columns, terminal.rows, terminal.interactive]).toEqual([80, 24, false]);
  expect(fake(true).terminal.interactive).toBe(true);
});
