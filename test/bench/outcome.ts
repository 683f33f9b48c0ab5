/**
 * What a comparison comes to: bars and whether they are reached, tables of medians, remarks.
 */
import type { Report } from "./options.ts";
import { median, showTable } from "./report.ts";

/** A line of the table that counts. */
interface Bar {
  what: string;
  bar: string;
  reached: string;
  good: boolean;
}

const bars: Bar[] = [];
const tables: string[] = [];
const remarks = new Set<string>();

export function atMost(what: string, bar: number, reached: number): void {
  bars.push({ what, bar: `at most ${bar}`, reached: show(reached), good: reached <= bar });
}

export function below(what: string, bar: number, reached: number): void {
  bars.push({ what, bar: `under ${bar}`, reached: show(reached), good: reached < bar });
}

export function atLeast(what: string, bar: number, reached: number): void {
  bars.push({ what, bar: `at least ${bar}`, reached: show(reached), good: reached >= bar });
}

/** Says something once, however often it is said. */
export function remark(text: string): void {
  remarks.add(text);
}

export function show(value: number): string {
  if (Number.isNaN(value)) return "not measured";
  return value >= 1000 ? Math.round(value).toString() : value.toFixed(2);
}

/** The median of a field over the rounds. NaN if there is none. */
export function middleOf(reports: Report[] | undefined, field: string): number {
  return median((reports ?? []).map((report) => report[field]));
}

/** A line that stands on its own, or a table of another kind. */
export function addLine(text: string): void {
  tables.push(text, "");
}

/** A table: the medians of the fields that both generators report. */
export function addTable(heading: string, names: string[], reports: Report[][]): void {
  const fields = ["rps", "cpu_us", "own_cpu_us", "lost", "p50_us", "p99_us", "p999_us"];
  const first = reports.find((each) => each.length > 0)?.[0] ?? {};
  const extra = ["peers_per_announce", "failed"].filter((name) => name in first);
  const columns = [...fields, ...extra].filter((name) => name in first);
  const body = names.map((name, i) => [name, ...columns.map((c) => show(middleOf(reports[i], c)))]);
  tables.push(heading, ...showTable([["", ...columns], ...body]), "");
}

/** All of it, below these lines. */
export function outcome(head: string[]): string {
  const verdicts = bars.map(({ what, bar, reached, good }) => {
    const verdict = reached === "not measured" ? "-" : good ? "yes" : "no";
    return [what, bar, reached, verdict];
  });
  const table = showTable([["what", "bar", "reached", ""], ...verdicts], 2);
  return [...head, "", ...table, "", ...tables, ...remarks, ""].join("\n");
}
