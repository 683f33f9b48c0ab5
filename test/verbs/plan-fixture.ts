/** Figures and a question that are easy to reckon with. */
import type { Figures } from "../../src/verbs/bench-figures.ts";
import type { Question } from "../../src/verbs/plan.ts";
import { type PlannedTransport, TRANSPORTS } from "../../src/verbs/plan-traffic.ts";

const MIB = 2 ** 20;
const each = (bytes: number) => [
  { peersEach: 1, bytes },
  { peersEach: 1000, bytes },
];

export const FIGURES: Figures = {
  source: "made up",
  udp: { 4: { micros: 4, rate: 200_000 }, 6: { micros: 5, rate: 100_000 } },
  http: { micros: 40, rate: 20_000 },
  kept: { micros: 10, rate: 80_000 },
  https: { micros: 400, rate: 2500 },
  twoWorkers: { udp: 1.1, http: 1.05, https: 1.2 },
  rsa: 3,
  ws: { joinMicros: 50, cycleMicros: 200, idleKib: 2 },
  wss: { joinMicros: 400, cycleMicros: 250, idleKib: 8 },
  cluster: { toldMicros: 0.1, heardMicros: 1, serverMicros: 0.2 },
  peerBytes: { 4: each(10), 6: each(20) },
  idleBytes: 70 * MIB,
};

/** So many announces a second by each transport, and none by the others. */
export function by(
  rates: Partial<Record<PlannedTransport, number>>,
): Record<PlannedTransport, number> {
  const none = Object.fromEntries(TRANSPORTS.map((name) => [name, 0]));
  return { ...none, ...rates } as Record<PlannedTransport, number>;
}

/** A question about these announces a second. */
export function asking(rates: Partial<Record<PlannedTransport, number>>): Partial<Question> {
  const announces = by(rates);
  const announcesPerSecond = TRANSPORTS.reduce((sum, name) => sum + announces[name], 0);
  return { announces, announcesPerSecond };
}

export const QUESTION: Question = {
  peers: 1_800_000,
  announcesPerSecond: 1000,
  intervalSeconds: 1800,
  websocketIntervalSeconds: 120,
  swarms: 900_000,
  announces: by({ udp: 1000 }),
  families: { 4: 1, 6: 0 },
  nodes: 1,
  numwant: 50,
};
