/**
 * What `make conformance` has found, and the tables that docs/conformance.md shows of it.
 *
 * A tracker's documented choice is no failure: `CHOICES` names each, with where it is written.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

export const RESULTS = resolve(import.meta.dir, "results.json");

export interface Results {
  date: string;
  trackers: { name: string; version: string; absent: string[] }[];
  checks: Row[];
}

interface Row {
  transport: string;
  id: string;
  weight: string;
  says: string;
  /** By tracker: empty if it holds; none if the tracker was not asked. */
  problems: Record<string, string>;
}

interface Choice {
  tracker: string;
  transports: string[];
  ids: RegExp;
  written: string;
}

const CHOICES: Choice[] = [
  {
    tracker: "aquatic",
    transports: ["http", "udp"],
    ids: /completed-once$/,
    written: "its README: it does not track the number of downloads",
  },
  {
    tracker: "aquatic",
    transports: ["http"],
    ids: /^BEP23\.compact-zero$/,
    written: "its README: only compact responses are supported",
  },
  {
    tracker: "aquatic",
    transports: ["udp"],
    ids: /scrape-many$/,
    written: "its configuration: max_scrape_torrents is 70",
  },
  {
    tracker: "chihaya",
    transports: ["udp"],
    ids: /scrape-many$/,
    written: "its example configuration: max_scrape_infohashes is 50",
  },
];

const HEADINGS: Record<string, string> = { http: "HTTP", udp: "UDP", ws: "WebSocket" };
const WEIGHTS = ["must", "should", "custom"];

function choiceOf(tracker: string, { transport, id }: Row): Choice | undefined {
  return CHOICES.find(
    (choice) =>
      choice.tracker === tracker && choice.transports.includes(transport) && choice.ids.test(id),
  );
}

/** What a cell of the table says. */
function verdictOf(tracker: string, row: Row): string {
  const problem = row.problems[tracker];
  if (problem === undefined) return "";
  if (problem === "") return "yes";
  if (choiceOf(tracker, row) !== undefined) return "choice";
  if (problem.startsWith("not tried")) return "–";
  if (problem === "the process ends") return "**ends**";
  if (problem.startsWith("over IPv6")) return "IPv4";
  return row.weight === "must" ? "**no**" : "no";
}

/** All tables, in Markdown. */
export function conformanceTables(): string {
  const results = JSON.parse(readFileSync(RESULTS, "utf8")) as Results;
  const tables = Object.keys(HEADINGS).map((transport) => tableOf(results, transport));
  return `${summaryOf(results)}\n${choicesText()}\n${tables.join("\n")}`;
}

function summaryOf({ date, trackers, checks }: Results): string {
  const rows = trackers.map(({ name, version, absent }) => {
    const asked = checks.filter((row) => row.problems[name] !== undefined);
    const held = asked.filter((row) => row.problems[name] === "").length;
    const verdicts = asked.map((row) => [row.weight, verdictOf(name, row)]);
    const broken = WEIGHTS.map(
      (weight) =>
        verdicts.filter(([w, verdict]) => w === weight && !/yes|choice|–/.test(verdict)).length,
    );
    const notes = absent.length === 0 ? "" : absent.join("; ");
    if (asked.length === 0) return [name, version, "–", "–", "–", "–", "–", notes];
    return [name, version, asked.length, held, ...broken, notes];
  });
  const head = ["Tracker", "Version", "Asked", "Hold", ...WEIGHTS.map((w) => `Not: ${w}`), "Note"];
  return `Run on ${date}.\n\n${markdown(head, rows)}`;
}

function choicesText(): string {
  const lines = CHOICES.map(
    ({ tracker, transports, ids, written }) =>
      `- ${tracker}, ${transports.map((one) => HEADINGS[one]).join(" and ")}, ` +
      `\`${ids.source.replaceAll(/[\\^$]/g, "")}\`: ${written}.`,
  );
  return `\`choice\` is what a tracker documents:\n\n${lines.join("\n")}\n`;
}

function tableOf({ trackers, checks }: Results, transport: string): string {
  const rows = checks.filter((row) => row.transport === transport);
  const names = trackers
    .map(({ name }) => name)
    .filter((name) => rows.some(({ problems }) => problems[name] !== undefined));
  const lines = rows.map((row) => [
    `\`${row.id}\``,
    row.weight,
    row.says.replaceAll("|", "\\|"),
    ...names.map((name) => verdictOf(name, row)),
  ]);
  const head = ["Statement", "Weight", "What is right", ...names];
  return `### ${HEADINGS[transport]}\n\n${markdown(head, lines)}`;
}

function markdown(head: string[], rows: (string | number)[][]): string {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, at) => Math.max(3, ...all.map((row) => row[at].length)));
  const line = (row: string[]) =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(" | ")} |\n`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |\n`;
  return line(all[0]) + rule + all.slice(1).map(line).join("");
}
