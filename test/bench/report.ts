/**
 * What a benchmark leaves behind: the machine it ran on, medians, and tables in plain text.
 */
import { mkdir } from "node:fs/promises";
import { cpus, release, type } from "node:os";
import { join } from "node:path";

/** CPU, kernel, Bun and date, without which figures mean nothing. */
export function machineLines(): string[] {
  const cores = cpus();
  const model = cores[0]?.model.trim() ?? "unknown CPU";
  return [
    `cpu      ${model}, ${cores.length} cores`,
    `kernel   ${type()} ${release()}`,
    `bun      ${Bun.version}+${Bun.revision.slice(0, 9)}`,
    `date     ${new Date().toISOString().slice(0, 10)}`,
  ];
}

/** The middle one, or the mean of the middle two; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Rows, the first of which is the heading; columns after the first `left` are right-aligned. */
export function showTable(rows: readonly string[][], left = 1): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const show = (row: readonly string[]) =>
    row
      .map((cell, i) => (i < left ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  const [heading, ...body] = rows;
  return [show(heading), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(show)];
}

/** Writes a file to test/bench/results/. */
export async function writeResults(name: string, text: string): Promise<void> {
  const folder = join(import.meta.dir, "results");
  await mkdir(folder, { recursive: true });
  await Bun.write(join(folder, name), text);
}
