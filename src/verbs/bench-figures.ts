/**
 * What a request costs and a peer takes, from the results of the benchmarks in the tree.
 *
 * The results become part of the program when it is built, as they are in test/bench/results: so a
 * plan never says more than was measured, and follows each new measurement. They are texts with
 * tables, whose columns two blanks or more keep apart:
 *
 *                           rps  cpu_us  …
 *   buntracker           281045    3.49  …
 */
import compareText from "../../test/bench/results/compare.txt" with { type: "text" };
import coreText from "../../test/bench/results/core.txt" with { type: "text" };
import costsText from "../../test/bench/results/costs.txt" with { type: "text" };
import handshakesText from "../../test/bench/results/handshakes.txt" with { type: "text" };
import httpWorkersText from "../../test/bench/results/http-workers.txt" with { type: "text" };
import regressText from "../../test/bench/results/regress.txt" with { type: "text" };
import scalingText from "../../test/bench/results/scaling.txt" with { type: "text" };
import type { Family } from "../constants.ts";

/** What one kind of request costs, and how many a second were answered at most. */
export interface RequestFigures {
  /** Microseconds of processor time. */
  micros: number;
  /** Answered a second, by one thread. */
  rate: number;
}

/** What WebSockets cost the event loop, and an open one the memory. */
export interface WebSocketFigures {
  /** Connection, upgrade and first announce. */
  joinMicros: number;
  /** An announce with 5 offers that are all answered. */
  cycleMicros: number;
  idleKib: number;
}

/** What a change costs in a cluster: who tells it, who hears it, and the server between them. */
export interface ClusterFigures {
  toldMicros: number;
  heardMicros: number;
  serverMicros: number;
}

/** The figures that a plan is made from. */
export interface Figures {
  /** Where they come from, as a sentence. */
  source: string;
  /** UDP requests by family, of which an announce needs two; announces over HTTP. */
  udp: Record<Family, RequestFigures>;
  http: RequestFigures;
  /** Announces over connections that stay open, as those of a proxy. */
  kept: RequestFigures;
  /** Announces over HTTPS, with a connection each. */
  https: RequestFigures;
  /** Processor time of a request with two workers, as a multiple of that with one thread. */
  twoWorkers: { udp: number; http: number; https: number };
  /** Processor time of a handshake with RSA 2048, as a multiple of one with P-256. */
  rsa: number;
  ws: WebSocketFigures;
  wss: WebSocketFigures;
  cluster: ClusterFigures;
  /** Bytes of memory for a peer, by how many a swarm has. */
  peerBytes: Record<Family, readonly PeerBytes[]>;
  /** Bytes of the process without peers. */
  idleBytes: number;
  /** Of the machine, if a plan is for this one. */
  processors?: number;
}

/** Bytes that a peer takes in swarms of this size. */
export interface PeerBytes {
  peersEach: number;
  bytes: number;
}

const KIB = 1024;

/** The figures of the results in the tree. Throws if a figure is missing: the results changed. */
export function measuredFigures(): Figures {
  const udp = tableBelow(compareText, "UDP: connect 50");
  const http = tableBelow(compareText, "HTTP: announces");
  const idle = cellsOf(lineOf(regressText, "idle, KiB"))[2];
  const cpu = headOf(compareText, "cpu");
  const dates = [compareText, coreText, costsText].map((text) => headOf(text, "date"));
  const from = ["compare", "bench", "costs"].map((name, at) => `make ${name} (${dates[at]})`);
  return {
    source: `measured by ${from.slice(0, -1).join(", ")} and ${from.at(-1)} on ${cpu}`,
    udp: { 4: requestsOf(udp, "buntracker"), 6: requestsOf(udp, "buntracker, IPv6") },
    http: requestsOf(http, "buntracker, one-shot"),
    kept: requestsOf(http, "buntracker, kept"),
    https: atFullLoad(costOf("HTTPS, one-shot")),
    twoWorkers: {
      udp: barOf(scalingText, "UDP, zipf: CPU of 2 workers"),
      http: barOf(httpWorkersText, "HTTP, 2 workers: CPU"),
      https: barOf(httpWorkersText, "HTTPS, 2 workers: CPU"),
    },
    rsa: handshakeOf("RSA 2048") / handshakeOf("P-256"),
    ws: webSocketsOf("ws", 0),
    wss: webSocketsOf("wss", costOf("TLS, KiB more")),
    cluster: {
      toldMicros: costOf("a change told"),
      heardMicros: costOf("a change heard"),
      serverMicros: costOf("a change through nats-server"),
    },
    peerBytes: { 4: peerBytesOf("IPv4"), 6: peerBytesOf("IPv6") },
    idleBytes: numberOf(idle) * KIB,
  };
}

/** Bytes for a peer in swarms of this size; between two sizes by the line between their powers. */
export function bytesAt(sizes: readonly PeerBytes[], peersEach: number): number {
  const above = sizes.findIndex((size) => size.peersEach >= peersEach);
  if (above < 0) return sizes.at(-1)!.bytes;
  if (above === 0) return sizes[0].bytes;
  const [low, high] = [sizes[above - 1], sizes[above]];
  const share = Math.log(peersEach / low.peersEach) / Math.log(high.peersEach / low.peersEach);
  return low.bytes * (high.bytes / low.bytes) ** share;
}

function requestsOf(table: Map<string, Map<string, string>>, name: string): RequestFigures {
  const row = table.get(name);
  return { micros: numberOf(row?.get("cpu_us")), rate: numberOf(row?.get("rps")) };
}

/** What asked was slower than the tracker, so the rate is what its processor time would allow. */
function atFullLoad(micros: number): RequestFigures {
  return { micros, rate: 1e6 / micros };
}

function webSocketsOf(scheme: string, kibMore: number): WebSocketFigures {
  return {
    joinMicros: costOf(`${scheme}, joins`),
    cycleMicros: costOf(`${scheme}, 5 offers`),
    idleKib: costOf("ws, KiB") + kibMore,
  };
}

/** The median of a row of costs.txt. */
function costOf(name: string): number {
  return numberOf(cellsOf(lineOf(costsText, `${name}  `))[1]);
}

/** What was reached where the table of bars has a line that begins so. */
function barOf(text: string, start: string): number {
  return numberOf(cellsOf(lineOf(text, start))[2]);
}

/** Microseconds of a connection with one request. */
function handshakeOf(key: string): number {
  const rows = handshakesText.split("\n").map(cellsOf);
  return numberOf(rows.find(([name, kind]) => name === key && kind === "TLS 1.3")?.[2]);
}

/** Of each size of swarms the row with the most of them: tables and pages weigh least there. */
function peerBytesOf(family: string): PeerBytes[] {
  const rows = coreText
    .split("\n")
    .map(cellsOf)
    .filter(([name]) => name === family);
  const bySize = new Map<number, { swarms: number; bytes: number }>();
  for (const [, swarmsCell, eachCell, , , bytesCell] of rows) {
    const [swarms, each] = [numberOf(swarmsCell), numberOf(eachCell)];
    if ((bySize.get(each)?.swarms ?? 0) >= swarms) continue;
    bySize.set(each, { swarms, bytes: numberOf(bytesCell) });
  }
  if (bySize.size < 2) throw new Error(`core.txt has no bytes for peers of ${family}`);
  return [...bySize]
    .map(([peersEach, { bytes }]) => ({ peersEach, bytes }))
    .sort((a, b) => a.peersEach - b.peersEach);
}

/** The rows of the table below a heading, by their names, each by the names of its columns. */
function tableBelow(text: string, heading: string): Map<string, Map<string, string>> {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith(heading));
  if (at < 0) throw new Error(`compare.txt has no table ${JSON.stringify(heading)}`);
  const columns = cellsOf(lines[at + 1]);
  const end = lines.indexOf("", at);
  const rows = lines.slice(at + 3, end < 0 ? undefined : end).map(cellsOf);
  return new Map(
    rows.map(([name, ...cells]) => [name, new Map(cells.map((cell, i) => [columns[i], cell]))]),
  );
}

function cellsOf(line: string): string[] {
  return line.trim().split(/\s{2,}/);
}

function lineOf(text: string, start: string): string {
  return text.split("\n").find((line) => line.startsWith(start)) ?? "";
}

function headOf(text: string, name: string): string {
  return lineOf(text, `${name} `).slice(name.length).trim();
}

function numberOf(cell: string | undefined): number {
  const value = Number((cell ?? "").replaceAll(",", ""));
  if (cell === undefined || !(value > 0)) throw new Error(`a result has no figure: ${cell}`);
  return value;
}
