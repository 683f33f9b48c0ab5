/**
 * `make churn`: browsers come and go for a set time. Afterwards no connection, swarm or peer may be
 * left, and memory must not have grown.
 *
 *   bun test/soak/churn.ts [--minutes N] [--out FILE]
 *
 * Each second 100 WebSockets open. Each announces with offers in one of 40 swarms, answers the
 * offers that come, and is there for 1 to 10 s. Of ten:
 *
 *   5   say `stopped`, then close
 *   4   are cut without goodbye
 *   1   falls silent: it reads nothing, so it answers no ping; the tracker has to find out
 *
 * A full run writes test/soak/results/churn.txt.
 */
import { cpus } from "node:os";
import { readOptions } from "../bench/options.ts";
import { freePort, startTracker } from "../e2e/harness.ts";
import { WsClient } from "../e2e/ws-client.ts";
import { frame, type Json, offersOf } from "../ws/fixture.ts";
import { wordOf } from "../ws/some-words.ts";
import { upgradeText } from "../ws/upgrade.ts";
import { growthOf, MIB, vitalsOf } from "./vitals.ts";

/** A shorter run shows less, so it does not replace the outcome of a whole one. */
const MINUTES_TOLD = 20;
const options = readOptions({ minutes: MINUTES_TOLD, out: "" });
const out =
  options.out !== "" || options.minutes < MINUTES_TOLD
    ? options.out
    : `${import.meta.dir}/results/churn.txt`;

const NEW_A_SECOND = 100;
const TICK_MILLISECONDS = 50;
const SWARMS = 40;
const STAY_MILLISECONDS_MAX = 10_000;
const SAMPLE_SECONDS = 5;
const PING_SECONDS = 10;
/** Twice the time of a ping, and some: by then a silent one must be found. */
const FOUND_MILLISECONDS = 30_000;
/** All must be gone after this time. */
const LEFT_MILLISECONDS = 60_000;

const UPGRADE = upgradeText();

const adminPort = freePort();
const env = {
  TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
  TRACKER_WEBSOCKET_PING: `${PING_SECONDS}s`,
};
await using tracker = await startTracker({ env });
const url = `ws://127.0.0.1:${tracker.port}/announce`;

const tally = { stopped: 0, cut: 0, silent: 0, answers: 0, refused: 0 };
const lines: string[] = [];
let number = 0;

/** What every message of the client of that number has. */
function membersOf(n: number): Json {
  return { action: "announce", info_hash: wordOf("h", n % SWARMS), peer_id: wordOf("-", n) };
}

/** Answers the offers among the messages that came. */
function answerAll(client: WsClient, n: number): void {
  for (const { offer, offer_id, peer_id } of client.heard.splice(0)) {
    if (offer === undefined) continue;
    tally.answers += 1;
    client.send({
      ...membersOf(n),
      ...{ to_peer_id: peer_id, offer_id, answer: { type: "answer", sdp: "v=0" } },
    });
  }
}

async function comeAndGo(n: number): Promise<void> {
  const client = await WsClient.open(url, wordOf("-", n));
  const answering = setInterval(() => answerAll(client, n), 200);
  try {
    client.send({ ...membersOf(n), left: n % 3, event: "started", offers: offersOf(5) });
    await Bun.sleep(1000 + Math.random() * (STAY_MILLISECONDS_MAX - 1000));
    if (n % 10 < 5) {
      client.send({ ...membersOf(n), left: n % 3, event: "stopped" });
      await Bun.sleep(100);
      client.close();
      tally.stopped += 1;
    } else {
      client.cut();
      tally.cut += 1;
    }
  } finally {
    clearInterval(answering);
  }
}

async function fallSilent(n: number): Promise<void> {
  const message = JSON.stringify({ ...membersOf(n), left: 1, event: "started" });
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: tracker.port,
    socket: { data: (each) => void each.pause(), error: () => {} },
  });
  socket.write(UPGRADE);
  socket.write(frame(message));
  tally.silent += 1;
  await Bun.sleep(FOUND_MILLISECONDS);
  socket.terminate();
}

async function figuresOf(): Promise<(name: string) => number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return (name) =>
    text
      .split("\n")
      .filter((line) => line.startsWith(name) && " {".includes(line[name.length]!))
      .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

function tell(line: string): void {
  lines.push(line);
  console.log(line);
}

const memory: number[] = [];

async function sample(seconds: number): Promise<void> {
  const figure = await figuresOf();
  const { residentBytes, descriptors, cpuSeconds } = vitalsOf(tracker.pid);
  memory.push(residentBytes);
  const columns = [
    Math.round(seconds),
    (residentBytes / MIB).toFixed(1),
    descriptors,
    cpuSeconds.toFixed(1),
    ...["connections", "swarms", "peers"].map((name) => figure(`tracker_websocket_${name}`)),
  ];
  tell(columns.map((value) => String(value).padStart(9)).join(""));
}

/** Waits until nobody is left; returns what is, as a sentence. */
async function leftOver(): Promise<string[]> {
  const until = performance.now() + LEFT_MILLISECONDS;
  for (;;) {
    const figure = await figuresOf();
    const names = ["connections", "swarms", "peers"];
    const left = names.map((name) => `${figure(`tracker_websocket_${name}`)} ${name}`);
    if (left.every((each) => each.startsWith("0 "))) return [];
    if (performance.now() > until) return [`${left.join(", ")} are left`];
    await Bun.sleep(500);
  }
}

const start = performance.now();
const end = start + options.minutes * 60_000;
const under = new Set<Promise<void>>();
tell("     time  RSS MiB      fds    CPU s  sockets   swarms    peers");
let sampled = start;
for (let now = start; now < end; now = performance.now()) {
  for (const due = ((now - start) / 1000) * NEW_A_SECOND; number < due; number++) {
    const one = (number % 10 === 9 ? fallSilent : comeAndGo)(number);
    const noted = one.catch(() => void (tally.refused += 1)).finally(() => under.delete(noted));
    under.add(noted);
  }
  if (now - sampled >= SAMPLE_SECONDS * 1000) {
    sampled = now;
    await sample((now - start) / 1000);
  }
  await Bun.sleep(TICK_MILLISECONDS);
}
await Promise.all(under);
const failures = await leftOver();
await sample((performance.now() - start) / 1000);
const grown = growthOf(memory.slice(0, -1));
if (grown !== "") failures.push(grown);
if (tally.refused > 0) failures.push(`${tally.refused} connections failed`);
const figure = await figuresOf();
const found = figure("tracker_websocket_connections_closed_total");
const { stopped, cut, silent, answers } = tally;
tell(`${stopped} said goodbye, ${cut} were cut, ${silent} fell silent; ${answers} answers`);
tell(`${found} connections were closed by the tracker`);
if (found < silent) failures.push(`${silent - found} silent ones were not found`);
const verdict = failures.length === 0 ? "passed" : `FAILED: ${failures.join("; ")}`;
const head = [
  `Churn of ${options.minutes} minutes, ${new Date().toISOString().slice(0, 10)}: ${verdict}`,
  `Bun ${Bun.version}, ${process.platform} ${process.arch}, ${cpus().length} cores shared with the`,
  `clients; ${NEW_A_SECOND} WebSockets open each second; TRACKER_WEBSOCKET_PING=${PING_SECONDS}s`,
];
if (out !== "") await Bun.write(out, `${[...head, "", ...lines].join("\n")}\n`);
console.log(verdict);
process.exitCode = failures.length === 0 ? 0 : 1;
