/**
 * Options of the load generators and their one-line reports.
 *
 * A report is a line of key=value, for people and for `compare.ts` alike.
 */
import { parseArgs } from "node:util";

/**
 * Reads `--name value` for each default given; the type of the default decides. Ends the process
 * with 2 and a sentence if one makes no sense.
 */
export function readOptions<T extends Record<string, string | number>>(defaults: T): T {
  const names = Object.keys(defaults);
  const values = readTexts(names);
  const read = names.map((name) => {
    const text = values[name] as string | undefined;
    if (text === undefined) return [name, defaults[name]];
    if (typeof defaults[name] === "string") return [name, text];
    if (Number.isFinite(Number(text))) return [name, Number(text)];
    return refuse(`--${name} must be a number, not ${text}`);
  });
  return Object.fromEntries(read) as T;
}

function readTexts(names: string[]): Record<string, unknown> {
  try {
    const options = names.map((name) => [name, { type: "string" as const }]);
    return parseArgs({ options: Object.fromEntries(options) }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}

/** Ends the process with 2 and a sentence. */
export function refuse(problem: string): never {
  console.error(problem);
  return process.exit(2);
}

export type Report = Record<string, number>;

export function showReport(report: Report): string {
  const round = (value: number) => (Number.isInteger(value) ? value : value.toFixed(2));
  return Object.entries(report)
    .map(([name, value]) => `${name}=${round(value)}`)
    .join(" ");
}

/** Prints the report, or the sentence of why there is none; then the process ends with 1. */
export function tellReport(measure: () => Report): void {
  try {
    console.log(showReport(measure()));
  } catch (error) {
    console.error(`error: ${(error as Error).message}`);
    process.exit(1);
  }
}

/** The last line of a generator's output. */
export function parseReport(output: string): Report {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  const pairs = [...line.matchAll(/(\w+)=(-?[\d.]+)/g)];
  return Object.fromEntries(pairs.map(([, name, value]) => [name, Number(value)]));
}
