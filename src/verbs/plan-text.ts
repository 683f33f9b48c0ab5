/**
 * A plan as a table for people: a row for each figure, with a column for all trackers and, where
 * there are several, one for each and one for each while another one is away.
 */
import { counted } from "../net/counted.ts";
import { showBytes, showSeconds } from "../config/settings.ts";
import { showMemory } from "../page/view.ts";
import type { Figures } from "./bench-figures.ts";
import { BROWSER_SECONDS, CONNECTIONS_MAX, excesses, fitsConnections } from "./plan.ts";
import { fitsHttpWorkers, fitsMemory, fitsWorkers, type Load } from "./plan.ts";
import { type Plan, type Question, showShare } from "./plan.ts";

const HEADS = ["all", "a node", "one away"];
const COLUMN = 14;

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const MIB = 2 ** 20;

/** More browsers come in an evening than in the mean. */
const CONNECTIONS_ROOM = 1.25;

/** The part of a tracker that a row describes. A plan without this part omits the row. */
type Part = "udp" | "http" | "httpWorkers" | "websocket" | "loop" | "cluster";

/** A row: what is needed, its figure, and the part that needs it. */
type Row = readonly [name: string, show: (load: Load) => string, only?: Part];

/** A figure of a tracker in a cluster; all of them together have none. */
const ofCluster =
  (show: (cluster: NonNullable<Load["cluster"]>) => string) =>
  ({ cluster }: Load): string =>
    cluster === undefined ? "" : show(cluster);

const ROWS: readonly Row[] = [
  ["peers", ({ peers }) => NUMBER.format(peers)],
  ["announces a second", ({ announces_per_second: rate }) => NUMBER.format(rate)],
  ["UDP requests a second", (load) => NUMBER.format(load.udp_requests_per_second), "udp"],
  ["HTTP requests a second", (load) => NUMBER.format(load.http_requests_per_second), "http"],
  ["WebSockets open", ({ websockets }) => WHOLE.format(websockets), "websocket"],
  [
    "announces over them a second",
    ({ websocket_announces_per_second: rate }) => NUMBER.format(rate),
    "websocket",
  ],
  ["packets a second in", ({ packets_per_second: packets }) => NUMBER.format(packets.in)],
  ["packets a second out", ({ packets_per_second: packets }) => NUMBER.format(packets.out)],
  ["bits a second in", ({ bits_per_second: bits }) => showBits(bits.in)],
  ["bits a second out", ({ bits_per_second: bits }) => showBits(bits.out)],
  ["DNS queries a second", (load) => NUMBER.format(load.dns_queries_per_second)],
  ["processors for UDP", ({ processor_cores: cores }) => NUMBER.format(cores.udp), "udp"],
  ["processors for HTTP", ({ processor_cores: cores }) => NUMBER.format(cores.http), "http"],
  [
    "processors for WebSockets",
    ({ processor_cores: cores }) => NUMBER.format(cores.websocket),
    "websocket",
  ],
  ["processors, at least", ({ processors }) => String(processors)],
  ["each UDP worker is busy", ({ used }) => showShare(used.udp), "udp"],
  ["each HTTP worker is busy", ({ used }) => showShare(used.http), "httpWorkers"],
  ["the event loop is busy", ({ used }) => showShare(used.event_loop), "loop"],
  ["memory for swarms", ({ memory_bytes: bytes }) => showMemory(bytes.swarms)],
  ["memory of the process", ({ memory_bytes: bytes }) => showMemory(bytes.process)],
];

/** What a tracker of a cluster tells the others and hears of them. */
const CLUSTER: readonly Row[] = [
  [
    "changes told a second",
    ofCluster(({ deltas_per_second: deltas }) => NUMBER.format(deltas.out)),
    "cluster",
  ],
  [
    "changes heard a second",
    ofCluster(({ deltas_per_second: deltas }) => NUMBER.format(deltas.in)),
    "cluster",
  ],
  ["bits a second told", ofCluster(({ bits_per_second: bits }) => showBits(bits.out)), "cluster"],
  ["bits a second heard", ofCluster(({ bits_per_second: bits }) => showBits(bits.in)), "cluster"],
  [
    "processors for both",
    ofCluster(({ processor_cores: cores }) => NUMBER.format(cores.tracker)),
    "cluster",
  ],
  [
    "and for its nats-server",
    ofCluster(({ processor_cores: cores }) => NUMBER.format(cores.nats_server)),
    "cluster",
  ],
];

const TOO_MUCH = "does not fit";

/** The rows of what is to be set. */
const SETTINGS: readonly Row[] = [
  [
    "TRACKER_MEMORY_MAX",
    (load) => (fitsMemory(load) ? `${load.memory_bytes.memory_max / MIB}MiB` : TOO_MUCH),
  ],
  [
    "TRACKER_UDP_WORKERS",
    (load) => (fitsWorkers(load) ? String(load.udp_workers) : TOO_MUCH),
    "udp",
  ],
  [
    "TRACKER_HTTP_WORKERS",
    (load) => (fitsHttpWorkers(load) ? String(load.http_workers) : TOO_MUCH),
    "http",
  ],
  [
    "TRACKER_WEBSOCKET_CONNECTIONS_MAX",
    (load) => (fitsConnections(load) ? connectionsFor(load.websockets) : TOO_MUCH),
    "websocket",
  ],
  ["TRACKER_UDP_RECEIVE_BUFFER", (load) => showBytes(load.udp_receive_buffer_bytes), "udp"],
  ["net.core.rmem_max", (load) => String(load.udp_receive_buffer_bytes), "udp"],
  ["LimitNOFILE, at least", ({ open_files: files }) => String(files)],
];

/** The plan as text, with the figures that it rests on. */
export function planText(question: Question, plan: Plan, figures: Figures): string {
  const { all, node_while_one_is_away: spare } = plan;
  const loads = loadsOf(plan);
  const uses = partsOf(question, loads);
  const used = (rows: readonly Row[]) =>
    rows.filter(([, , only]) => only === undefined || uses[only]);
  const width = Math.max(...used([...ROWS, ...CLUSTER, ...SETTINGS]).map(([name]) => name.length));
  const line = (name: string, cells: string[]) =>
    `  ${name.padEnd(width)}${cells.map((cell) => cell.padStart(COLUMN)).join("")}\n`;
  const heads = loads.length > 1 ? line("", HEADS) : "";
  const needs = used(ROWS).map(([name, show]) => line(name, loads.map(show)));
  const cluster = used(CLUSTER).map(([name, show]) => line(name, loads.map(show)));
  const between = cluster.length > 0 ? "\nBetween the trackers:\n" : "";
  const settings = used(SETTINGS).map(([name, show]) => line(name, [show(spare ?? all)]));
  const title = spare === undefined ? "\nSet:\n" : "\nSet for each, so that one may be away:\n";
  const notes = notesOf(question, plan, figures).map((note) => `- ${note}\n`);
  return [heads, ...needs, between, ...cluster, title, ...settings, "\n", ...notes].join("");
}

function loadsOf({ all, node, node_while_one_is_away: spare }: Plan): Load[] {
  return [all, node, spare].filter((load) => load !== undefined);
}

/** Which parts of a plan there are. */
function partsOf({ announces, nodes }: Question, loads: Load[]): Record<Part, boolean> {
  const { udp, http, https, proxied, ws, wss } = announces;
  const parts = { udp: udp > 0, http: http + https + proxied > 0, websocket: ws + wss > 0 };
  const cluster = nodes > 1;
  const loop = parts.http || parts.websocket || cluster;
  return { ...parts, httpWorkers: loads.some((load) => load.http_workers > 0), cluster, loop };
}

/** What the figures rest on. */
export function notesOf(question: Question, plan: Plan, figures: Figures): string[] {
  const { intervalSeconds, websocketIntervalSeconds, swarms, numwant, nodes } = question;
  const { announces } = question;
  const notes = [
    `Processor time and memory: ${figures.source}.`,
    `Means of clients that announce every ${showSeconds(intervalSeconds)} in ` +
      `${counted(swarms, "swarm", WHOLE.format)} and get ${counted(numwant, "peer")}; ` +
      "bits are those of IP packets.",
    "Packets of HTTP, and DNS, follow what the authors of opentracker counted on theirs.",
  ];
  if (announces.https + announces.wss > 0) {
    notes.push(
      "Each connection of HTTPS and wss:// has a handshake of TLS 1.3 with a key of P-256; with " +
        `RSA 2048 it takes ${NUMBER.format(figures.rsa)} times as much processor time, with its ` +
        "first request (make handshakes).",
    );
  }
  if (announces.ws + announces.wss > 0) {
    notes.push(
      `Browsers announce every ${showSeconds(websocketIntervalSeconds)} with 5 offers of 2,000 ` +
        `characters, all of which are answered, and stay ${showSeconds(BROWSER_SECONDS)}.`,
    );
  }
  notes.push(...notesOfWorkers(loadsOf(plan), announces.wss > 0, figures));
  if (nodes > 1) {
    notes.push(
      "Trackers of a cluster share their peers (TRACKER_CLUSTER_URL): each stores all of them, " +
        "and tells each announce to the others, 28 or 40 bytes each, by a nats-server beside it." +
        (announces.ws + announces.wss > 0 ? " Browsers are each tracker's own." : ""),
    );
  }
  return [...notes, ...excesses(plan).map((excess) => `It does not fit: ${excess}.`)];
}

/** What more threads cost; none if one is enough. */
function notesOfWorkers(loads: Load[], secure: boolean, { twoWorkers }: Figures): string[] {
  const { udp, http, https } = twoWorkers;
  const notes: string[] = [];
  if (loads.some((load) => load.udp_workers > 1)) {
    notes.push(
      `With several UDP workers a request takes ${NUMBER.format(udp)} times the processor time ` +
        "that it takes with one, as was measured with two (make scaling).",
    );
  }
  if (loads.some((load) => load.http_workers > 0)) {
    notes.push(
      `With HTTP workers (Linux) an announce takes ${NUMBER.format(http)} times the processor ` +
        `time that it takes in the event loop, over HTTPS ${NUMBER.format(https)} times, as was ` +
        "measured with two (make http-workers). WebSockets and pages stay in the event loop." +
        (secure ? " Workers pass the bytes of wss:// on, which costs almost as much again." : ""),
    );
  }
  return notes;
}

/** With room, in two figures, so that it can be remembered; as many as there may be at most. */
function connectionsFor(websockets: number): string {
  const wanted = Math.max(1, websockets * CONNECTIONS_ROOM);
  const step = 10 ** Math.max(0, Math.floor(Math.log10(wanted)) - 1);
  return String(Math.min(CONNECTIONS_MAX, Math.ceil(wanted / step) * step));
}

function showBits(bits: number): string {
  const [size, unit] =
    bits >= 1e9
      ? [1e9, "Gbit"]
      : bits >= 1e6
        ? [1e6, "Mbit"]
        : bits >= 1e3
          ? [1e3, "kbit"]
          : [1, "bit"];
  return `${NUMBER.format(bits / size)} ${unit}`;
}
