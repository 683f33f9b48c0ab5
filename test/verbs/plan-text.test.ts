/** A plan as a table. */
import { expect, test } from "bun:test";
import { makePlan } from "../../src/verbs/plan.ts";
import { notesOf, planText } from "../../src/verbs/plan-text.ts";
import { asking, by, FIGURES, QUESTION } from "./plan-fixture.ts";

test("a row has one figure for each tracker, and what is to be set is below", () => {
  const text = planText(QUESTION, makePlan(QUESTION, FIGURES), FIGURES);
  expect(text).toMatch(/^ {2}peers +1,800,000\n {2}announces a second +1,000\n/);
  expect(text).toContain("\nSet:\n  TRACKER_MEMORY_MAX");
  expect(text).toMatch(/^ {2}bits a second out +3\.14 Mbit$/m);
  expect(text).toContain("\n- Processor time and memory: made up.\n");
});

test("rows of a transport that is not used are left out", () => {
  const question = { ...QUESTION, announces: by({ http: 1000 }) };
  const overHttp = planText(question, makePlan(question, FIGURES), FIGURES);
  expect(overHttp).not.toContain("UDP requests");
  expect(overHttp).not.toContain("TRACKER_UDP_WORKERS");
  expect(overHttp).toContain("LimitNOFILE");
  // Files are open whatever the transport.
  expect(planText(QUESTION, makePlan(QUESTION, FIGURES), FIGURES)).toContain("LimitNOFILE");
  expect(planText(QUESTION, makePlan(QUESTION, FIGURES), FIGURES)).not.toContain("HTTP requests");
});

test("several trackers have a column each for all, for one, and for one while one is away", () => {
  const question = { ...QUESTION, nodes: 3 };
  const text = planText(question, makePlan(question, FIGURES), FIGURES);
  const peers = /^ +all +a node +one away\n {2}peers +1,800,000 +1,800,000 +1,800,000\n/;
  expect(text).toMatch(peers);
  expect(text).toContain("\nSet for each, so that one may be away:\n");
  expect(text).toContain("\n- Trackers of a cluster share their peers (TRACKER_CLUSTER_URL): each");
});

test("HTTP workers are named in what to set, and what more threads cost in the notes", () => {
  const textOf = (rates: Parameters<typeof asking>[0]) => {
    const question = { ...QUESTION, ...asking(rates) };
    return planText(question, makePlan(question, FIGURES), FIGURES);
  };
  const one = textOf({ udp: 1000, http: 1000 });
  expect(one).toMatch(/^ {2}TRACKER_HTTP_WORKERS +0$/m);
  expect(one).not.toMatch(/each HTTP worker|UDP workers a request|With HTTP workers/);
  const more = textOf({ udp: 100_000, https: 2000, wss: 1 });
  expect(more).toMatch(/^ {2}TRACKER_HTTP_WORKERS +2$/m);
  expect(more).toMatch(/^ {2}each HTTP worker is busy +48 %$/m);
  expect(more).toContain("- With several UDP workers a request takes 1.1 times the processor time");
  expect(more).toContain("the event loop, over HTTPS 1.2 times, as was measured with two");
  expect(more).toContain("Workers pass the bytes of wss:// on");
  expect(more).toContain("with RSA 2048 it takes 3 times as much processor time");
  expect(textOf({ https: 100_000 })).toMatch(/^ {2}TRACKER_HTTP_WORKERS +does not fit$/m);
});

test("no line is wider than a terminal, but for the notes", () => {
  const announces = by({ udp: 200, http: 200, https: 200, ws: 200, wss: 200 });
  const question = { ...QUESTION, nodes: 3, announces };
  const table = planText(question, makePlan(question, FIGURES), FIGURES).split("\n- ")[0]!;
  expect(Math.max(...table.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("what does not fit is a note", () => {
  const question = { ...QUESTION, peers: 400_000_000 };
  const notes = notesOf(question, makePlan(question, FIGURES), FIGURES);
  expect(notes.at(-1)).toStartWith("It does not fit: the peers are more than one tracker stores");
});

test("a setting that the tracker would refuse is not proposed", () => {
  const rates = asking({ udp: 1e7, ws: 1000 });
  const question = { ...QUESTION, peers: 400_000_000, ...rates };
  const text = planText(question, makePlan(question, FIGURES), FIGURES);
  expect(text).toMatch(/^ {2}TRACKER_MEMORY_MAX +does not fit$/m);
  expect(text).toMatch(/^ {2}TRACKER_UDP_WORKERS +does not fit$/m);
  expect(text).toMatch(/^ {2}TRACKER_WEBSOCKET_CONNECTIONS_MAX +does not fit$/m);
});

test("what a tracker of a cluster tells and hears has rows, but not for all of them", () => {
  const question = { ...QUESTION, nodes: 3 };
  const text = planText(question, makePlan(question, FIGURES), FIGURES);
  expect(text).toMatch(/\nBetween the trackers:\n {2}changes told a second {2,}333 +500\n/);
  expect(text).toMatch(/^ {2}bits a second heard +\d/m);
  expect(planText(QUESTION, makePlan(QUESTION, FIGURES), FIGURES)).not.toContain("Between");
});

test("browsers have rows of their own, and amounts of one are singular", () => {
  const question = { ...QUESTION, peers: 12_000, swarms: 1, numwant: 1, ...asking({ wss: 100 }) };
  const text = planText(question, makePlan(question, FIGURES), FIGURES);
  expect(text).toMatch(/^ {2}WebSockets open +12,000$/m);
  expect(text).toMatch(/^ {2}TRACKER_WEBSOCKET_CONNECTIONS_MAX +15000$/m);
  expect(text).toContain("- Browsers announce every 2m with 5 offers");
  expect(text).toContain(" in 1 swarm");
  expect(text).not.toContain("UDP");
});
