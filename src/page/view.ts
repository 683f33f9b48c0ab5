/**
 * The figures as people read them: texts, bars and the curve, made in one place for the page and
 * its feed, so that the script of the page need not format anything.
 */
import { counted } from "../net/counted.ts";
import { showBytes } from "../config/settings.ts";
import type { Curve } from "./history.ts";
import type { LiveFigures } from "./live.ts";

/** Size of the drawing of the curve, in its own units. */
export const CURVE_WIDTH = 1000;
export const CURVE_HEIGHT = 200;

const KIB = 1024;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The parts of the page that show figures. */
export interface View {
  /** Texts, by the name of their place on the page. */
  text: Record<string, string>;
  /** Lengths of the bars in percent, by name. */
  bars: Record<string, number>;
  /** SVG paths; empty without a curve. */
  line: string;
  area: string;
  /** The part of WebSocket; empty without any. */
  webSocketLine: string;
  /** Whether the kernel dropped datagrams. */
  dropping: boolean;
}

/** Formats the figures. */
export function viewOf(figures: LiveFigures): View {
  const [udpIpv4, udpIpv6, httpIpv4, httpIpv6, webSocketIpv4, webSocketIpv6] = figures.announces;
  const rate = figures.announces.reduce((sum, kind) => sum + kind, 0);
  const shareOf = (part: number): number => (rate > 0 ? part / rate : 0);
  const udp = shareOf(udpIpv4 + udpIpv6);
  const http = shareOf(httpIpv4 + httpIpv6);
  const webSocket = shareOf(webSocketIpv4 + webSocketIpv6);
  const ipv4 = figures.peers > 0 ? 1 - figures.peersIpv6 / figures.peers : 0;
  const memory = figures.memoryUsed / figures.memoryMax;
  const top = niceCeiling(Math.max(0, ...figures.curve.rates));
  return {
    text: {
      rate: showRate(rate),
      up: showDuration(figures.upSeconds),
      swarms: showCount(figures.swarms),
      peers: showCount(figures.peers),
      seeders: showCount(figures.seeders),
      leechers: showCount(figures.peers - figures.seeders),
      udp: rate > 0 ? showPercent(udp) : "–",
      http: rate > 0 ? showPercent(http) : "–",
      webSocketShare: webSocket > 0 ? `WebSocket ${showPercent(webSocket)}` : "",
      ipv4: figures.peers > 0 ? showPercent(ipv4) : "–",
      ipv6: figures.peers > 0 ? showPercent(1 - ipv4) : "–",
      memory: showMemory(figures.memoryUsed),
      memoryMax: showMemory(figures.memoryMax),
      kept: figures.keptSecondsAgo === null ? "" : `${showDuration(figures.keptSecondsAgo)} ago`,
      drops: figures.drops === null ? "unknown" : showCount(figures.drops),
      top: `${showRate(top)}/s`,
      half: `${showRate(top / 2)}/s`,
      webSockets: showWebSockets(figures),
      cluster: showCluster(figures),
      span: showSpan(figures.curve.spanSeconds),
    },
    bars: {
      udp: percent(udp),
      webSocket: percent(webSocket),
      ipv4: percent(ipv4),
      memory: percent(memory),
    },
    ...drawCurve(figures.curve, top),
    webSocketLine: lineOf(figures.curve.webSocketRates, top),
    dropping: (figures.drops ?? 0) > 0,
  };
}

/** A line through all rates, and the area under it; `top` is the rate at the upper edge. */
function drawCurve({ rates }: Curve, top: number): { line: string; area: string } {
  const line = lineOf(rates, top);
  return { line, area: line === "" ? "" : `${line}V${CURVE_HEIGHT}H0Z` };
}

/** A line through the rates; empty without two of them. */
function lineOf(rates: readonly number[], top: number): string {
  if (rates.length < 2) return "";
  const points = rates.map((rate, at) => {
    const x = Math.round((at / (rates.length - 1)) * CURVE_WIDTH);
    return `${x} ${Math.round((1 - rate / top) * CURVE_HEIGHT)}`;
  });
  return `M${points.join("L")}`;
}

/** `WebSocket 12 per second, 340 peers on 120 connections`; empty if nobody has connected. */
function showWebSockets({ announces, webSockets }: LiveFigures): string {
  if (webSockets === null) return "";
  const { connections, peers } = webSockets;
  const rate = announces[4] + announces[5];
  if (connections === 0 && rate === 0) return "";
  const on = counted(connections, "connection", showCount);
  return `WebSocket ${showRate(rate)} per second, ${counted(peers, "peer", showCount)} on ${on}`;
}

/** `Cluster: 2 other trackers, 12 deltas in and 10 out per second, whole`; empty without one. */
function showCluster({ cluster }: LiveFigures): string {
  if (cluster === null) return "";
  const { up, nodes, behindSeconds, sent, received } = cluster;
  if (!up) return "Cluster: cut off, this tracker goes on alone";
  const others = nodes === 1 ? "1 other tracker" : `${showCount(nodes)} other trackers`;
  const rates = `${showRate(received)} deltas in and ${showRate(sent)} out per second`;
  const state = behindSeconds === 0 ? "whole" : `behind for ${showDuration(behindSeconds)}`;
  return `Cluster: ${others}, ${rates}, ${state}`;
}

/** The smallest of 1, 2, 5, 10, 20, 50 … that is at least the value. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 1;
}

/** A whole number in groups of three digits. */
export function showCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** A rate; below 10 with one digit after the point. */
export function showRate(value: number): string {
  return value >= 10 || Number.isInteger(value) ? showCount(value) : value.toFixed(1);
}

/** A duration in its two largest units: `3 d 4 h`, `12 min`. */
export function showDuration(seconds: number): string {
  const [days, hours] = [Math.floor(seconds / DAY), Math.floor((seconds % DAY) / HOUR)];
  const minutes = Math.floor((seconds % HOUR) / MINUTE);
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

/** The text at the begin of the curve. A day is written as 24 hours. */
function showSpan(seconds: number): string {
  if (seconds === 0) return "";
  return `${seconds === DAY ? "24 h" : showDuration(seconds)} ago`;
}

/** A size in whole MiB, or in GiB where that is shorter: `312 MiB`. */
export function showMemory(bytes: number): string {
  const whole = Math.round(bytes / KIB ** 2) * KIB ** 2;
  if (whole === 0) return `${Math.ceil(bytes / KIB)} KiB`;
  return showBytes(whole).replace(/([KMG]iB)$/, " $1");
}

function showPercent(part: number): string {
  const shown = percent(part);
  if (shown === 0 && part > 0) return "<1 %";
  if (shown === 100 && part < 1) return ">99 %";
  return `${shown} %`;
}

function percent(part: number): number {
  return Math.round(Math.min(1, Math.max(0, part)) * 100);
}
