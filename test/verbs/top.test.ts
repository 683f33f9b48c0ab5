/** The screen of `top`: it fits, shows the figures, and warns. */
import { describe, expect, test } from "bun:test";

import { Terminal, type TerminalStreams } from "../../src/verbs/terminal.ts";
import { askForFigures, readFigures, renderTop, runTop } from "../../src/verbs/top.ts";
import { FIGURES } from "./figures.ts";

const PLAIN = { colour: false };

describe("the screen", () => {
  test.each([
    [80, 24],
    [200, 60],
    [60, 20],
    [40, 20],
    [41, 16],
    [30, 10],
    [9, 4],
    [3, 1],
  ])("fits %d columns and %d rows", (columns, rows) => {
    for (const failure of [undefined, "x".repeat(300)]) {
      const lines = renderTop(FIGURES, { columns, rows }, { ...PLAIN, failure });
      expect(lines.length).toBeLessThanOrEqual(rows);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  test("shows everything on a terminal of 80 by 24", () => {
    const text = renderTop(FIGURES, { columns: 80, rows: 24 }, PLAIN).join("\n");
    for (const part of [
      "buntracker 1.2.3",
      "up 3 d 4 h",
      "37,710 announces per second",
      "UDP 36,400, HTTP 1,310, IPv6 5,410",
      "24 h ago",
      "Swarms 1,310,112",
      "Peers 4,204,331",
      "Seeders 2,610,000",
      "Leechers 1,594,331",
      "97 %",
      "85 %",
      "312 MiB of 1 GiB",
      "0 datagrams dropped by the kernel",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain("\x1b");
  });

  test("tells when the swarms were kept, where they are, and then fits too", () => {
    const lines = renderTop({ ...FIGURES, keptSecondsAgo: 200 }, { columns: 80, rows: 24 }, PLAIN);
    expect(lines).toContain(" swarms kept, 3 min ago");
    expect(lines.length).toBeLessThanOrEqual(24);
    const without = renderTop(FIGURES, { columns: 80, rows: 24 }, PLAIN).join("\n");
    expect(without).not.toContain("swarms kept");
  });

  test("shows all four counts uncut on half of that", () => {
    const text = renderTop(FIGURES, { columns: 40, rows: 20 }, PLAIN).join("\n");
    for (const count of ["Swarms 1,310,112", "Peers 4,204,331", "97 %", "312 MiB of 1 GiB"]) {
      expect(text).toContain(count);
    }
    expect(text).toMatch(/Seeders 2,610,000 +Leechers 1,594,331\n/);
    const narrow = renderTop(FIGURES, { columns: 30, rows: 24 }, PLAIN);
    expect(narrow).toContain(" Seeders 2,610,000");
    expect(narrow).toContain(" Leechers 1,594,331");
  });

  test("shows on few rows too that figures are old, and has the same width in colour", () => {
    const size = { columns: 30, rows: 10 };
    const lines = renderTop(FIGURES, size, { colour: true, failure: "x".repeat(99) });
    expect(lines.join("\n")).toContain("no new figures: xxx");
    for (const line of lines) {
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(size.columns);
    }
  });

  test("has a curve that rises to the right edge", () => {
    const size = { columns: 80, rows: 24 };
    const curve = renderTop(FIGURES, size, PLAIN).slice(4, 13);
    expect(curve[0]).toEndWith("█");
    expect(curve.at(-1)!.length).toBe(79);
    expect(curve[0].trim().length).toBeLessThan(curve.at(-1)!.trim().length);
  });

  test("has a blank curve at the start", () => {
    const curve = { rates: [], webSocketRates: [], spanSeconds: 0 };
    const lines = renderTop({ ...FIGURES, curve }, { columns: 80, rows: 24 }, PLAIN);
    expect(lines.join("\n")).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("has a curve as wide as the screen, also soon after the start", () => {
    const curve = { rates: [1, 2], webSocketRates: [], spanSeconds: 10 };
    const lines = renderTop({ ...FIGURES, curve }, { columns: 80, rows: 24 }, PLAIN);
    expect(lines[12]).toBe(` ${"█".repeat(78)}`);
    expect(lines[4]).toBe(" ".repeat(40) + "█".repeat(39));
  });

  test("shows drops in red, and why figures are old", () => {
    const size = { columns: 80, rows: 24 };
    const lines = renderTop({ ...FIGURES, drops: 7 }, size, { colour: true, failure: "gone" });
    expect(lines.join("\n")).toContain("\x1b[31m7 datagrams dropped by the kernel\x1b[0m");
    expect(lines.join("\n")).toContain("\x1b[31mno new figures: gone\x1b[0m");
  });
});

test("figures come from /live, and everything else is an error", async () => {
  let status = 200;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) =>
      new URL(url).pathname === "/live" ? Response.json(FIGURES, { status }) : new Response(""),
  });
  const listener = { host: "0.0.0.0", port: server.port! };
  expect(await askForFigures(listener)).toEqual(FIGURES);
  status = 404;
  expect(askForFigures(listener)).rejects.toThrow("the answer has status 404");
  await server.stop(true);
});

test("other texts are refused, and a version cannot control the terminal", () => {
  const changed = (changes: object) => readFigures(JSON.stringify({ ...FIGURES, ...changes }));
  expect(changed({})).toEqual(FIGURES);
  for (const wrong of [
    { peers: "\x1b]0;x\x07" },
    { peers: -1 },
    { swarms: null },
    { announces: [1, 2, 3] },
    { version: 5 },
    { curve: { rates: Array.from({ length: 200_000 }, () => 1), spanSeconds: 1 } },
    { curve: { rates: ["\x1b"], spanSeconds: 1 } },
  ]) {
    expect(changed(wrong)).toBeUndefined();
  }
  for (const text of ["", "null", "[]", "{", "[".repeat(1e6)]) {
    expect(readFigures(text)).toBeUndefined();
  }
  const version = "\x1b]0;title\x07\x1b]52;c;ZWNobw==\x07";
  const failure = "\x1b[2Jgone";
  const lines = renderTop(
    { ...FIGURES, version },
    { columns: 80, rows: 24 },
    { ...PLAIN, failure },
  );
  expect(lines.join("")).not.toMatch(/\p{C}/u);
});

test("it runs until q is pressed, and restores the terminal", async () => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => Response.json(FIGURES),
  });
  let written = "";
  const raw: boolean[] = [];
  let press = (_key: Buffer): void => {};
  const streams: TerminalStreams = {
    stdin: {
      isTTY: true,
      on: (_event: string, handler: typeof press) => (press = handler),
      off: () => {},
      resume() {},
      pause() {},
      setRawMode: (on: boolean) => raw.push(on),
    },
    stdout: { isTTY: true, columns: 80, rows: 24, write: (text: string) => (written += text) },
  };
  const ended = runTop({ host: "127.0.0.1", port: server.port! }, new Terminal(streams), () => {});
  while (!written.includes("q quits")) await Bun.sleep(5);
  expect(written).toStartWith("\x1b[?1049h\x1b[?25l");
  press(Buffer.from("x"));
  press(Buffer.from("q"));
  await ended;
  expect(written).toEndWith("\x1b[?25h\x1b[?1049l");
  expect(raw).toEqual([true, false]);
  await server.stop(true);
});

test("WebSockets have a line once a browser has connected", () => {
  const webSockets = { connections: 1200, peers: 3400 };
  const announces = [900, 50, 0, 0, 40, 10] as const;
  const size = { columns: 80, rows: 24 };
  const drawn = renderTop({ ...FIGURES, announces, webSockets }, size, PLAIN).join("\n");
  expect(drawn).toContain("WebSocket 50 per second, 3,400 peers on 1,200 connections");
  expect(renderTop(FIGURES, size, PLAIN).join("\n")).not.toContain("WebSocket");
});

test("a cluster has a line, which fits, and a tracker that is alone has none", () => {
  const cluster = { up: true, nodes: 2, behindSeconds: 0, sent: 12_000, received: 24_000 };
  const size = { columns: 80, rows: 24 };
  const webSockets = { connections: 1200, peers: 3400 };
  const figures = { ...FIGURES, cluster, webSockets, keptSecondsAgo: 9 };
  const lines = renderTop(figures, size, PLAIN);
  const line = "Cluster: 2 other trackers, 24,000 deltas in and 12,000 out per second, whole";
  expect(lines).toContain(` ${line}`);
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(renderTop(FIGURES, size, PLAIN).join("\n")).not.toContain("Cluster");
  expect(readFigures(JSON.stringify(figures))).toEqual(figures);
});
