/**
 * Reads what a plan is asked for: the options of `buntracker plan`. Wrong ones are one sentence.
 *
 *   --peers=1M or --announces=8500    how many peers, or announces a second; k, M and G work
 *   --interval=30m                    between two announces; else that of the settings, which that
 *                                     of WebSockets always is
 *   --transports=udp:80,http:20       percent of the peers, or of the announces; without numbers
 *                                     in equal parts; else UDP alone
 *   --families=ipv4:70,ipv6:30        likewise; else IPv4 alone
 *   --swarms=632k                     how many swarms; else 0.632 for each peer
 *   --nodes=3                         trackers that share the clients; else 1
 */
import type { Config } from "../config/schema.ts";
import { quote, seconds } from "../config/settings.ts";
import type { Question } from "./plan.ts";
import { type PlannedTransport, TRANSPORTS } from "./plan-traffic.ts";

/** The options of the verb, as they were typed. */
export interface PlanOptions {
  peers?: string | undefined;
  announces?: string | undefined;
  interval?: string | undefined;
  transports?: string | undefined;
  families?: string | undefined;
  swarms?: string | undefined;
  nodes?: string | undefined;
}

/** As in the workload of the benchmarks, where most swarms have one or two peers. */
const SWARMS_PER_PEER = 0.632;

const PEERS_MAX = 1e10;
const ANNOUNCES_MAX = 1e8;
const NODES_MAX = 1000;
const DAY_SECONDS = 86_400;

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const MULTIPLES: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

const FAMILY_NAMES = ["ipv4", "ipv6"] as const;

/** A mistake in the options, as a sentence. */
class Mistake extends Error {}

/** The question, or a sentence about the first mistake. */
export function readQuestion(options: PlanOptions, config: Config): Question | string {
  try {
    return question(options, config);
  } catch (error) {
    if (error instanceof Mistake) return error.message;
    throw error;
  }
}

function question(options: PlanOptions, config: Config): Question {
  const peersGiven = amountOf("peers", options.peers, PEERS_MAX);
  const announces = amountOf("announces", options.announces, ANNOUNCES_MAX);
  if (peersGiven === undefined && announces === undefined) {
    throw new Mistake("say how many: --peers=1M, or --announces=8500 a second");
  }
  if (peersGiven !== undefined && announces !== undefined) {
    throw new Mistake("--peers and --announces are both given, but each follows from the other");
  }
  const intervalSeconds = intervalOf(options.interval) ?? config.intervalSeconds;
  const { websocketIntervalSeconds } = config;
  const shares = sharesOf("transports", options.transports ?? "udp", TRANSPORTS);
  const rates = {} as Record<PlannedTransport, number>;
  let peers = 0;
  for (const name of TRANSPORTS) {
    const interval = name === "ws" || name === "wss" ? websocketIntervalSeconds : intervalSeconds;
    rates[name] = shares[name] * (announces ?? peersGiven! / interval);
    peers += rates[name] * interval;
  }
  const swarms = amountOf("swarms", options.swarms, PEERS_MAX) ?? peers * SWARMS_PER_PEER;
  if (swarms > peers * (1 + 1e-9)) {
    throw new Mistake(`--swarms is ${options.swarms}, more than there are peers: choose fewer`);
  }
  const families = sharesOf("families", options.families ?? "ipv4", FAMILY_NAMES);
  return {
    peers: peersGiven ?? peers,
    announcesPerSecond: TRANSPORTS.reduce((sum, name) => sum + rates[name], 0),
    intervalSeconds,
    websocketIntervalSeconds,
    swarms,
    announces: rates,
    families: { 4: families["ipv4"], 6: families["ipv6"] },
    nodes: nodesOf(options.nodes),
    numwant: config.numwantDefault,
  };
}

function intervalOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const read = seconds(1, DAY_SECONDS).schema.safeParse(text);
  if (read.success) return read.data;
  throw new Mistake(`--interval is ${quote(text)}, ${read.error.issues[0].message}`);
}

function nodesOf(text: string | undefined): number {
  const nodes = amountOf("nodes", text, NODES_MAX) ?? 1;
  if (Number.isInteger(nodes)) return nodes;
  throw new Mistake(`--nodes is ${quote(text!)}, which is not a whole number`);
}

/** A number, with a multiple behind it perhaps. */
function amountOf(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, multiple = ""] = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text) ?? [];
  if (digits === undefined) {
    throw new Mistake(
      `--${name} is ${quote(text)}, which is not a number: write 8500, 8.5k or 15M`,
    );
  }
  const value = Number(digits) * MULTIPLES[multiple.toLowerCase()];
  if (value > 0 && value <= most) return value;
  const range = value > 0 ? `at most ${WHOLE.format(most)}` : "more than 0";
  throw new Mistake(`--${name} is ${quote(text)}, which is out of range: write ${range}`);
}

/** Shares that add up to 1, by name: `a:80,b:20` in percent, or `a,b` in equal parts. */
function sharesOf(option: string, text: string, names: readonly string[]): Record<string, number> {
  const shares: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
  const parts = text.split(",").map((part) => part.trim().split(":"));
  const wrong = (why: string): Mistake =>
    new Mistake(`--${option} is ${quote(text)}, ${why}: write ${names[0]}:80,${names[1]}:20`);
  const numbered = parts.some((part) => part.length > 1);
  for (const [written = "", percent, ...rest] of parts) {
    const name = written.toLowerCase();
    if (!names.includes(name)) {
      const known = names.join(", ");
      throw new Mistake(`--${option} has ${quote(written)}, which is unknown: use ${known}`);
    }
    if (shares[name] > 0) throw wrong(`where ${name} is repeated`);
    if (rest.length > 0 || (percent !== undefined) !== numbered) throw wrong("which is not clear");
    if (percent !== undefined && !/^\d+(\.\d+)?$/.test(percent)) {
      throw wrong(`where ${quote(percent)} is no number`);
    }
    shares[name] = percent === undefined ? 1 / parts.length : Number(percent) / 100;
  }
  const sum = Object.values(shares).reduce((total, share) => total + share, 0);
  if (Math.abs(sum - 1) > 0.001) throw wrong(`which adds up to ${Math.round(sum * 100)} percent`);
  return shares;
}
