/**
 * `buntracker top`: the figures of the running tracker in a terminal, every second.
 *
 *   tracker.example…                                    up 3 d 4 h
 *   37,710 announces per second                     ▂▃▅▆▇▇▆▅
 *   Swarms … Peers … Seeders … Leechers             the last 24 hours
 *   UDP ▇▇▇▇▇▇▇ 97 %   IPv4 ▇▇▇▇▇ 85 %   Memory ▇▇ 29 %
 *
 * They come from /live on the operator's address, which needs no token: they are sums only. Without
 * a terminal they are printed once. The screen is restored in every case.
 *
 * While no tracker runs, any program of this machine may listen on that port. So figures that are
 * not numbers in their ranges are refused, and the version is made printable.
 */
import * as z from "zod/mini";

import type { LiveFigures } from "../page/live.ts";
import { showCount, showDuration, showRate, viewOf } from "../page/view.ts";
import type { Listener } from "../config/settings.ts";
import { askOverHttp } from "./http-client.ts";
import { printable } from "./printable.ts";
import type { Terminal } from "./terminal.ts";

const REFRESH_MILLISECONDS = 1000;
const TIMEOUT_MILLISECONDS = 2000;

/** Keys that end the program: q, Escape, Ctrl-C, Ctrl-D. */
const QUIT = ["q", "Q", "\x1b", "\x03", "\x04"];

const BOLD = "\x1b[1m";
const FAINT = "\x1b[2m";
const GREEN = "\x1b[32m";
const RED = "\x1b[31m";
const PLAIN = "\x1b[0m";

const EIGHTHS = " ▁▂▃▄▅▆▇█";
const CURVE_ROWS_MAX = 12;
/** Lines of everything except the curve. */
const OTHER_LINES = 14;
const COLUMNS_MAX = 120;

/** Rates of a curve: the tracker sends at most 288. */
const RATES_MAX = 1024;

const AMOUNT = z.number().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));
const RATES = z.array(AMOUNT).check(z.maxLength(RATES_MAX));
const FIGURES: z.ZodMiniType<LiveFigures> = z.object({
  version: z.string(),
  startedSeconds: AMOUNT,
  upSeconds: AMOUNT,
  announces: z.tuple([AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT]),
  swarms: AMOUNT,
  peers: AMOUNT,
  seeders: AMOUNT,
  peersIpv6: AMOUNT,
  memoryUsed: AMOUNT,
  memoryMax: AMOUNT,
  drops: z.nullable(AMOUNT),
  keptSecondsAgo: z.nullable(AMOUNT),
  webSockets: z.nullable(z.object({ connections: AMOUNT, peers: AMOUNT })),
  cluster: z.nullable(
    z.object({
      up: z.boolean(),
      nodes: AMOUNT,
      behindSeconds: AMOUNT,
      sent: AMOUNT,
      received: AMOUNT,
    }),
  ),
  curve: z.object({ rates: RATES, webSocketRates: RATES, spanSeconds: AMOUNT }),
});

/** The figures of the tracker at this address. Rejects with a sentence if it does not answer. */
export async function askForFigures({ host, port }: Listener): Promise<LiveFigures> {
  const question = { address: host, port, host: "localhost", target: "/live" };
  const answer = await askOverHttp({ ...question, timeout: TIMEOUT_MILLISECONDS });
  if (answer.status !== 200) throw new Error(`the answer has status ${answer.status}`);
  const figures = readFigures(new TextDecoder().decode(answer.body));
  if (figures === undefined) throw new Error("the answer is not the figures of a tracker");
  return figures;
}

/** The figures in a text; undefined if it has none. */
export function readFigures(text: string): LiveFigures | undefined {
  try {
    return FIGURES.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/**
 * Shows the figures until a key or a signal ends it; prints them once without a terminal. Rejects
 * if the first request fails; later failures are shown.
 */
export async function runTop(
  listener: Listener,
  terminal: Terminal,
  write: (text: string) => void,
): Promise<void> {
  let figures = await askForFigures(listener);
  if (!terminal.interactive) {
    write(`${renderTop(figures, terminal, { colour: false }).join("\n")}\n`);
    return;
  }
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const signals = ["SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, end);
  let failure: string | undefined;
  const draw = () => terminal.draw(renderTop(figures, terminal, { colour: true, failure }));
  let running = true;
  void ended.then(() => (running = false));
  terminal.open((key) => (QUIT.includes(key) ? end() : draw()));
  try {
    while (running) {
      draw();
      await Promise.race([ended, Bun.sleep(REFRESH_MILLISECONDS)]);
      try {
        figures = await askForFigures(listener);
        failure = undefined;
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
      }
    }
  } finally {
    terminal.close();
    for (const signal of signals) process.off(signal, end);
  }
}

/** Options of the drawing. */
export interface TopOptions {
  colour: boolean;
  /** Why the figures are old, if they are. */
  failure?: string | undefined;
}

/** The screen, as lines that fit it. */
export function renderTop(
  figures: LiveFigures,
  size: { columns: number; rows: number },
  { colour, failure }: TopOptions,
): string[] {
  // One column stays free on either side; lines are cut to fit before they are coloured.
  const width = Math.max(1, Math.min(size.columns - 2, COLUMNS_MAX));
  const paint = (code: string, line: string) => {
    const shown = printable(line).slice(0, width);
    return colour ? code + shown + PLAIN : shown;
  };
  const { text, bars } = viewOf(figures);
  const up = `up ${showDuration(figures.upSeconds)}`;
  const name = figures.version.slice(0, Math.max(0, width - up.length - 2));
  const rate = `${text["rate"]} announces per second`.slice(0, width);
  const counts = countsOf(width, [
    ["Swarms", text["swarms"]],
    ["Peers", text["peers"]],
    ["Seeders", text["seeders"]],
    ["Leechers", text["leechers"]],
  ]);
  const kept = figures.keptSecondsAgo === null ? [] : [`swarms kept, ${text["kept"]}`];
  for (const key of ["webSockets", "cluster"]) if (text[key] !== "") kept.unshift(`${text[key]}`);
  const curveRows = size.rows - OTHER_LINES - counts.length - kept.length;
  const lines = [
    paint(BOLD, name) + up.slice(0, width).padStart(width - name.length),
    // Near the top, so that it is visible with few rows.
    failure === undefined ? "" : paint(RED, `no new figures: ${failure}`),
    paint(BOLD + GREEN, rate) + paint(FAINT, kindsOf(figures, width - rate.length)),
    "",
    ...curveOf(figures, width, curveRows).map((line) => paint(GREEN, line)),
    paint(FAINT, text["span"].padEnd(width - 3) + "now"),
    "",
    ...counts,
    "",
    barOf("UDP", bars["udp"], `${text["udp"]}`, width),
    barOf("IPv4", bars["ipv4"], `${text["ipv4"]}`, width),
    barOf("Memory", bars["memory"], `${text["memory"]} of ${text["memoryMax"]}`, width),
    "",
    figures.drops === null
      ? paint(FAINT, "the system does not count dropped datagrams")
      : paint(
          figures.drops > 0 ? RED : FAINT,
          `${showCount(figures.drops)} datagrams dropped by the kernel`,
        ),
    ...kept.map((line) => paint(FAINT, line)),
    "",
    colour ? paint(FAINT, "q quits") : "",
  ];
  while (lines.at(-1) === "") lines.pop();
  return lines.slice(0, size.rows).map((line) => ` ${line}`.trimEnd());
}

/** The rates by transport and family; empty if they do not fit. */
function kindsOf({ announces }: LiveFigures, room: number): string {
  const [udpIpv4, udpIpv6, httpIpv4, httpIpv6, wsIpv4, wsIpv6] = announces;
  const udp = `UDP ${showRate(udpIpv4 + udpIpv6)}`;
  const http = `HTTP ${showRate(httpIpv4 + httpIpv6)}`;
  const browsers = wsIpv4 + wsIpv6 > 0 ? `, WebSocket ${showRate(wsIpv4 + wsIpv6)}` : "";
  const text = `  ${udp}, ${http}${browsers}, IPv6 ${showRate(udpIpv6 + httpIpv6 + wsIpv6)}`;
  return text.length <= room ? text : "";
}

/** The curve in blocks of eighths of a line; blank lines without a curve. */
function curveOf({ curve }: LiveFigures, width: number, rows: number): string[] {
  const height = Math.max(1, Math.min(rows, CURVE_ROWS_MAX));
  const values = resample(curve.rates, width);
  const top = Math.max(...values, Number.MIN_VALUE);
  return Array.from({ length: height }, (_, row) => {
    const floor = height - 1 - row;
    const line = values.map((value) => {
      const eighths = Math.round((value / top) * height * 8) - floor * 8;
      return EIGHTHS[Math.max(0, Math.min(8, eighths))];
    });
    return line.join("").padStart(width);
  });
}

/** A rate for each column: the mean of its rates, or the rate of which it is a part. */
function resample(rates: readonly number[], columns: number): number[] {
  if (rates.length < 2) return [];
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * rates.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * rates.length) / columns));
    return rates.slice(from, to).reduce((sum, rate) => sum + rate, 0) / (to - from);
  });
}

/** Labels and values side by side, as many in a line as fit uncut: a cut number would be wrong. */
function countsOf(width: number, counts: readonly (readonly [string, string])[]): string[] {
  const cells = counts.map(([label, value]) => `${label} ${value}`);
  const longest = Math.max(...cells.map((cell) => cell.length));
  const perLine = [4, 2].find((many) => longest < Math.floor(width / many)) ?? 1;
  const each = Math.floor(width / perLine);
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += perLine) {
    const line = cells.slice(at, at + perLine).map((cell) => cell.padEnd(each));
    lines.push(line.join("").slice(0, width));
  }
  return lines;
}

/** A bar in the room that label and text leave. */
function barOf(label: string, percent: number, text: string, width: number): string {
  const room = Math.max(0, width - 8 - text.length - 2);
  const full = Math.round((percent / 100) * room);
  const bar = `${"█".repeat(full)}${"░".repeat(room - full)}`;
  return `${label.padEnd(8)}${bar}  ${text}`.slice(0, width);
}
