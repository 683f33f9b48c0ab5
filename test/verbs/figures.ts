/** Figures of a busy tracker, as /live has them. */
import type { LiveFigures } from "../../src/page/live.ts";

export const FIGURES: LiveFigures = {
  version: "buntracker 1.2.3",
  startedSeconds: 1_700_000_000,
  upSeconds: 274_000,
  announces: [31_200, 5200, 1100, 210, 0, 0],
  swarms: 1_310_112,
  peers: 4_204_331,
  seeders: 2_610_000,
  peersIpv6: 620_000,
  memoryUsed: 312 * 2 ** 20,
  memoryMax: 2 ** 30,
  drops: 0,
  keptSecondsAgo: null,
  webSockets: null,
  cluster: null,
  curve: {
    rates: Array.from({ length: 270 }, (_, at) => at),
    webSocketRates: [],
    spanSeconds: 86_400,
  },
};
