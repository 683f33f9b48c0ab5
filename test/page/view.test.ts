/** How figures are shown to people. */
import { expect, test } from "bun:test";

import type { LiveFigures } from "../../src/page/live.ts";
import { showCount, showDuration, showMemory, showRate, viewOf } from "../../src/page/view.ts";

const FIGURES: LiveFigures = {
  version: "x",
  startedSeconds: 0,
  upSeconds: 274_000,
  announces: [900, 50, 49, 1, 0, 0],
  swarms: 1_310_112,
  peers: 4_000_000,
  seeders: 1_000_000,
  peersIpv6: 1_000_000,
  memoryUsed: 256 * 2 ** 20,
  memoryMax: 2 ** 30,
  drops: 0,
  keptSecondsAgo: 190,
  webSockets: null,
  cluster: null,
  curve: { rates: [0, 450, 900], webSocketRates: [], spanSeconds: 86_400 },
};

test("texts are those of the figures", () => {
  expect(viewOf(FIGURES).text).toEqual({
    rate: "1,000",
    up: "3 d 4 h",
    swarms: "1,310,112",
    peers: "4,000,000",
    seeders: "1,000,000",
    leechers: "3,000,000",
    udp: "95 %",
    http: "5 %",
    webSocketShare: "",
    ipv4: "75 %",
    ipv6: "25 %",
    memory: "256 MiB",
    memoryMax: "1 GiB",
    kept: "3 min ago",
    drops: "0",
    top: "1,000/s",
    half: "500/s",
    webSockets: "",
    cluster: "",
    span: "24 h ago",
  });
});

test("bars are as long as the shares", () => {
  expect(viewOf(FIGURES).bars).toEqual({ udp: 95, webSocket: 0, ipv4: 75, memory: 25 });
});

test("the curve goes from the left edge to the right, the area down to the ground", () => {
  const { line, area } = viewOf(FIGURES);
  expect(line).toBe("M0 200L500 110L1000 20");
  expect(area).toBe("M0 200L500 110L1000 20V200H0Z");
});

test("the scale ends at 1, 2 or 5 times a power of ten", () => {
  const topOf = (rate: number) =>
    viewOf({ ...FIGURES, curve: { rates: [0, rate], webSocketRates: [], spanSeconds: 10 } }).text[
      "top"
    ];
  expect([0, 0.3, 1, 1.1, 3, 10, 11, 49_999, 50_001].map(topOf)).toEqual([
    "1/s",
    "1/s",
    "1/s",
    "2/s",
    "5/s",
    "10/s",
    "20/s",
    "50,000/s",
    "100,000/s",
  ]);
});

test("a tracker without announces has no shares and no curve", () => {
  const nothing = { announces: [0, 0, 0, 0, 0, 0], peers: 0, seeders: 0, peersIpv6: 0 } as const;
  const view = viewOf({
    ...FIGURES,
    ...nothing,
    curve: { rates: [0], webSocketRates: [], spanSeconds: 5 },
  });
  expect(view.text).toMatchObject({ rate: "0", udp: "–", http: "–", ipv4: "–", ipv6: "–" });
  expect(view.bars).toMatchObject({ udp: 0, ipv4: 0 });
  expect([view.line, view.area]).toEqual(["", ""]);
});

test("announces over WebSocket have a share of their own, once there are any", () => {
  const { text, bars } = viewOf({ ...FIGURES, announces: [600, 100, 100, 0, 150, 50] });
  expect(text).toMatchObject({ udp: "70 %", http: "10 %", webSocketShare: "WebSocket 20 %" });
  expect(bars).toMatchObject({ udp: 70, webSocket: 20 });
});

test("a small share is not shown as 0 %, nor a large one as 100 %", () => {
  const { text } = viewOf({ ...FIGURES, announces: [100_000, 0, 1, 0, 0, 0] });
  expect([text["udp"], text["http"]]).toEqual([">99 %", "<1 %"]);
  const { text: all } = viewOf({ ...FIGURES, announces: [100_000, 0, 0, 0, 0, 0] });
  expect([all["udp"], all["http"]]).toEqual(["100 %", "0 %"]);
});

test("dropped datagrams are marked; where the system does not count them they are unknown", () => {
  expect(viewOf({ ...FIGURES, drops: 1 }).dropping).toBe(true);
  expect(viewOf({ ...FIGURES, drops: null })).toMatchObject({
    dropping: false,
    text: { drops: "unknown" },
  });
});

test.each([
  [0, "0 s"],
  [59.9, "59 s"],
  [60, "1 min"],
  [3600, "1 h"],
  [3660, "1 h 1 min"],
  [86_400, "1 d"],
  [86_400 + 7260, "1 d 2 h"],
])("%p seconds are %s", (seconds, text) => {
  expect(showDuration(seconds)).toBe(text);
});

test("numbers are grouped, small rates have a decimal, sizes are whole", () => {
  expect(showCount(1234567.4)).toBe("1,234,567");
  expect([showRate(0.04), showRate(9.96), showRate(10.4), showRate(3)]).toEqual([
    "0.0",
    "10.0",
    "10",
    "3",
  ]);
  expect([showMemory(400_000), showMemory(1_500_000), showMemory(2 ** 30)]).toEqual([
    "391 KiB",
    "1 MiB",
    "1 GiB",
  ]);
});

test("WebSockets have a line on the same scale, and a text, once there are any", () => {
  const curve = { rates: [0, 450, 900], webSocketRates: [0, 100, 500], spanSeconds: 86_400 };
  const announces = [900, 50, 0, 0, 40, 10] as const;
  const webSockets = { connections: 1200, peers: 3400 };
  const view = viewOf({ ...FIGURES, announces, webSockets, curve });
  expect(view.webSocketLine).toBe("M0 200L500 180L1000 100");
  expect(view.text["webSockets"]).toBe("WebSocket 50 per second, 3,400 peers on 1,200 connections");
  const none = viewOf({ ...FIGURES, webSockets: { connections: 0, peers: 0 } });
  expect([none.webSocketLine, none.text["webSockets"]]).toEqual(["", ""]);
});

test("a cluster says how many others there are, what is told, and whether it is whole", () => {
  const cluster = { up: true, nodes: 2, behindSeconds: 0, sent: 1200, received: 2.5 };
  const textOf = (other: Partial<typeof cluster>) =>
    viewOf({ ...FIGURES, cluster: { ...cluster, ...other } }).text["cluster"];
  const rates = "2.5 deltas in and 1,200 out per second";
  expect(textOf({})).toBe(`Cluster: 2 other trackers, ${rates}, whole`);
  expect(textOf({ nodes: 1, behindSeconds: 61.5 })).toBe(
    `Cluster: 1 other tracker, ${rates}, behind for 1 min`,
  );
  expect(textOf({ up: false })).toBe("Cluster: cut off, this tracker goes on alone");
});
