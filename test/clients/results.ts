/**
 * What a run of the matrix shows: a line for each row, and for a run of all rows a file with a
 * table for each transport and family, which is kept in `results/`.
 */

import { join } from "node:path";
import { machineLines, showTable } from "../bench/report.ts";
import { BINARY } from "../e2e/harness.ts";
import { PROGRAMS, saysCompleted, versionOf } from "./programs.ts";
import { describeOver, OVERS, type Over } from "./rows.ts";
import type { Outcome } from "./transfer.ts";

const FILE = join(import.meta.dir, "results/clients.txt");

const LEGEND = `\
A figure is the seconds from the start of the first client until the leecher had the file.
*  The leecher started first, and the seeder found it: it takes no peers from such a reply.
#  Its download is not counted, because it never says that it is complete.
`;

/** Prints a line for each row, and the numbers. */
export function printOutcomes(outcomes: readonly Outcome[], seconds: number): void {
  console.log(`${"seeder -> leecher".padEnd(30)}${"over".padEnd(12)}result`);
  for (const { row, seconds: took, problem, impossible } of outcomes) {
    const pair = `${row.seeder} -> ${row.leecher}`.padEnd(30);
    const over = describeOver(row).padEnd(12);
    const good =
      impossible === undefined ? `ok, ${took.toFixed(1)} s` : `--, ${impossible.join("; ")}`;
    console.log(`${pair}${over}${problem === undefined ? good : `FAILED: ${problem}`}`);
  }
  console.log(`${numbersOf(outcomes)}, ${seconds.toFixed(0)} s`);
}

/** Writes the file of a run of all rows. */
export async function writeOutcomes(outcomes: readonly Outcome[]): Promise<void> {
  const tracker = Bun.spawnSync([BINARY, "--version"]).stdout.toString().trim();
  const versions = PROGRAMS.map((program) => `${program.padEnd(14)}${versionOf(program)}`);
  const reasons = [...new Set(outcomes.flatMap(({ impossible }) => impossible ?? []))].sort();
  const tables = OVERS.map((over) => tableOf(outcomes, over, reasons));
  const lines = [
    `Real clients that find each other through ${tracker}: ${numbersOf(outcomes)}`,
    "",
    ...machineLines(),
    "",
    ...versions,
    "",
    LEGEND,
    ...tables.flatMap((table) => [...table, ""]),
    ...reasons.map((reason, index) => `(${markOf(index)})  ${reason}`),
  ];
  await Bun.write(FILE, `${lines.join("\n")}\n`);
}

function numbersOf(outcomes: readonly Outcome[]): string {
  const count = (fits: (outcome: Outcome) => boolean): number => outcomes.filter(fits).length;
  const failed = count(({ problem }) => problem !== undefined);
  const impossible = count((outcome) => outcome.impossible !== undefined);
  return `${outcomes.length - failed - impossible} ok, ${failed} failed, ${impossible} impossible`;
}

/** Seeders downwards, leechers to the right. */
function tableOf(outcomes: readonly Outcome[], over: Over, reasons: readonly string[]): string[] {
  const rows = PROGRAMS.map((seeder) => {
    const cells = PROGRAMS.map((leecher) => {
      const outcome = outcomes.find(
        ({ row }) =>
          row.seeder === seeder &&
          row.leecher === leecher &&
          row.transport === over.transport &&
          row.family === over.family,
      );
      return outcome === undefined ? "" : cellOf(outcome, reasons);
    });
    return [seeder, ...cells];
  });
  return showTable([[`${describeOver(over)}: seeder`, ...PROGRAMS], ...rows]);
}

function cellOf(outcome: Outcome, reasons: readonly string[]): string {
  if (outcome.problem !== undefined) return "FAILED";
  if (outcome.impossible !== undefined) {
    const marks = outcome.impossible.map((reason) => markOf(reasons.indexOf(reason)));
    return `(${marks.sort().join(",")})`;
  }
  const first = outcome.leecherFirst ? "*" : "";
  const uncounted = saysCompleted(outcome.row.leecher) ? "" : "#";
  return `${outcome.seconds.toFixed(1)}${first}${uncounted}`;
}

/** a, b, and so on. */
function markOf(index: number): string {
  return String.fromCharCode(97 + index);
}
