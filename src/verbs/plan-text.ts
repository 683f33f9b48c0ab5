/**
 * A plan as a table for people: a row for each figure, with a column for all trackers and, where
 * there are several, one for each and one for each while another one is away.
 */
import { counted } from "../net/counted.ts";
import { showBytes, showSeconds } from "../config/settings.ts";
import { showMemory } from "../page/view.ts";
import { excesses, type Load, type Plan, type Question, showPercent } from "./plan.ts";

const HEADS = ["all", "a node", "one away"];
const COLUMN = 14;

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const MIB = 2 ** 20;

/** A row: what is needed, its figure, and the transport that needs it, if it is one alone. */
type Row = readonly [name: string, show: (load: Load) => string, only?: "udp" | "http"];

const ROWS: readonly Row[] = [
  ["peers", ({ peers }) => NUMBER.format(peers)],
  ["announces a second", ({ announces_per_second: rate }) => NUMBER.format(rate)],
  ["UDP requests a second", (load) => NUMBER.format(load.udp_requests_per_second), "udp"],
  ["HTTP requests a second", (load) => NUMBER.format(load.http_requests_per_second), "http"],
  ["packets a second in", ({ packets_per_second: packets }) => NUMBER.format(packets.in)],
  ["packets a second out", ({ packets_per_second: packets }) => NUMBER.format(packets.out)],
  ["bits a second in", ({ bits_per_second: bits }) => showBits(bits.in)],
  ["bits a second out", ({ bits_per_second: bits }) => showBits(bits.out)],
  ["DNS queries a second", (load) => NUMBER.format(load.dns_queries_per_second)],
  ["processors for UDP", ({ processor_cores: cores }) => NUMBER.format(cores.udp), "udp"],
  ["processors for HTTP", ({ processor_cores: cores }) => NUMBER.format(cores.http), "http"],
  ["each UDP worker is busy", ({ used }) => showPercent(used.udp), "udp"],
  ["the HTTP thread is busy", ({ used }) => showPercent(used.http), "http"],
  ["memory for swarms", ({ memory_bytes: bytes }) => showMemory(bytes.swarms)],
  ["memory of the process", ({ memory_bytes: bytes }) => showMemory(bytes.process)],
];

/** The rows of what is to be set. */
const SETTINGS: readonly Row[] = [
  ["TRACKER_MEMORY_MAX", ({ memory_bytes: bytes }) => `${bytes.memory_max / MIB}MiB`],
  ["TRACKER_UDP_WORKERS", ({ udp_workers: workers }) => String(workers), "udp"],
  ["TRACKER_UDP_RECEIVE_BUFFER", (load) => showBytes(load.udp_receive_buffer_bytes), "udp"],
  ["net.core.rmem_max", (load) => String(load.udp_receive_buffer_bytes), "udp"],
  ["LimitNOFILE, at least", ({ open_files: files }) => String(files), "http"],
];

/** The plan as text; `source` says where the figures come from. */
export function planText(question: Question, plan: Plan, source: string): string {
  const { all, node, node_while_one_is_away: spare } = plan;
  const loads = [all, node, spare].filter((load) => load !== undefined);
  const uses = { udp: question.transports.udp > 0, http: question.transports.udp < 1 };
  const used = (rows: readonly Row[]) =>
    rows.filter(([, , only]) => only === undefined || uses[only]);
  const width = Math.max(...[...ROWS, ...SETTINGS].map(([name]) => name.length));
  const line = (name: string, cells: string[]) =>
    `  ${name.padEnd(width)}${cells.map((cell) => cell.padStart(COLUMN)).join("")}\n`;
  const heads = loads.length > 1 ? line("", HEADS) : "";
  const needs = used(ROWS).map(([name, show]) => line(name, loads.map(show)));
  const settings = used(SETTINGS).map(([name, show]) => line(name, [show(spare ?? all)]));
  const title = spare === undefined ? "\nSet:\n" : "\nSet for each, so that one may be away:\n";
  const notes = notesOf(question, plan, source).map((note) => `- ${note}\n`);
  return [heads, ...needs, title, ...settings, "\n", ...notes].join("");
}

/** What the figures rest on. */
export function notesOf(question: Question, plan: Plan, source: string): string[] {
  const { intervalSeconds, swarms, numwant, nodes, transports } = question;
  const notes = [
    `Processor time and memory: ${source}.`,
    `Means of clients that announce every ${showSeconds(intervalSeconds)} in ` +
      `${counted(swarms, "swarm", WHOLE.format)} and get ${counted(numwant, "peer")}; ` +
      "bits are those of IP packets.",
    "Packets of HTTP, and DNS, follow what the authors of opentracker counted on theirs.",
  ];
  if (transports.udp > 0) {
    notes.push(
      "A further UDP worker is taken to carry as much as the first, on its own processor.",
    );
  }
  if (nodes > 1) {
    notes.push(
      "Trackers of a cluster share their peers (TRACKER_CLUSTER_URL): each stores all of them, " +
        "and the announces told between them, 28 or 40 bytes each, come on top.",
    );
  }
  return [...notes, ...excesses(plan).map((excess) => `It does not fit: ${excess}.`)];
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
