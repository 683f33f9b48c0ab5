/** Figures and a question that are easy to reckon with. */
import type { Figures } from "../../src/verbs/bench-figures.ts";
import type { Question } from "../../src/verbs/plan.ts";

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
  peerBytes: { 4: each(10), 6: each(20) },
  idleBytes: 70 * MIB,
};

export const QUESTION: Question = {
  peers: 1_800_000,
  announcesPerSecond: 1000,
  intervalSeconds: 1800,
  swarms: 900_000,
  transports: { udp: 1, http: 0, proxied: 0 },
  families: { 4: 1, 6: 0 },
  nodes: 1,
  numwant: 50,
};
