/**
 * The verb `plan`: reads the question, measures if it is asked to, and prints the plan as a table
 * or as JSON. Loaded only when it is called.
 */
import { counted } from "../net/counted.ts";
import { cpus } from "node:os";

import type { Config } from "../config/schema.ts";
import { showSeconds } from "../config/settings.ts";
import { EXIT_FAILED, EXIT_OK } from "../constants.ts";
import { type Figures, measuredFigures } from "./bench-figures.ts";
import { fail, type Output, say } from "./output.ts";
import { excesses, makePlan, THREAD_SHARE_MAX } from "./plan.ts";
import { figuresHere, type Measured, measureHere } from "./plan-here.ts";
import { type PlanOptions, readQuestion } from "./plan-question.ts";
import { notesOf, planText } from "./plan-text.ts";

const HINT = "such as: buntracker plan --peers=15M --transports=udp:80,http:20";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PRECISE = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** The options of the verb. */
export interface PlanVerbOptions extends PlanOptions {
  here?: boolean | undefined;
  format?: "text" | "json" | undefined;
}

/** Prints the plan. Returns the exit code: failed also if the plan does not fit one tracker. */
export async function planVerb(
  options: PlanVerbOptions,
  config: Config,
  output: Output,
  measure: () => Promise<Measured> = measureHere,
): Promise<number> {
  const { here = false } = options;
  const sized = options.peers !== undefined || options.announces !== undefined;
  const question = here && !sized ? undefined : readQuestion(options, config);
  if (typeof question === "string") return fail(output, question, HINT);
  const results = measuredFigures();
  let measured: Measured | undefined;
  try {
    if (here) measured = await measure();
  } catch (error) {
    return fail(output, error instanceof Error ? error.message : String(error));
  }
  const figures =
    measured === undefined
      ? results
      : { ...figuresHere(results, measured, processorName()), processors: cpus().length };
  const carried = measured && carriedBy(measured, config);
  const plan = question && makePlan(question, figures);
  if (options.format === "json") {
    const notes = plan && notesOf(question, plan, figures);
    const fits = plan && excesses(plan).length === 0;
    say(output, `${JSON.stringify({ here: carried, question, plan, fits, notes }, null, 2)}\n`);
  } else {
    const parts = [
      carried && hereText(carried, results, config),
      plan && planText(question, plan, figures),
    ];
    say(output, parts.filter((part) => part !== undefined).join("\n"));
  }
  return plan !== undefined && excesses(plan).length > 0 ? EXIT_FAILED : EXIT_OK;
}

/** What one thread of each transport carries here. */
function carriedBy({ udp, http }: Measured, { intervalSeconds }: Config) {
  const threadOf = (micros: number, requestsEach: number) => ({
    microseconds_a_request: micros,
    announces_per_second: 1e6 / micros / requestsEach,
    peers: Math.floor((1e6 / micros / requestsEach) * THREAD_SHARE_MAX * intervalSeconds),
  });
  return {
    processor: processorName(),
    udp: threadOf(udp.micros, 2),
    http: threadOf(http.micros, 1),
  };
}

function hereText(
  { processor, udp, http }: ReturnType<typeof carriedBy>,
  results: Figures,
  { intervalSeconds }: Config,
): string {
  const line = (name: string, { microseconds_a_request: micros, ...carried }: typeof udp) =>
    `  ${name.padEnd(6)}${PRECISE.format(micros)} µs of processor time a request: ` +
    `${WHOLE.format(carried.announces_per_second)} announces a second at most, ` +
    `${PRECISE.format(carried.peers / 1e6)} million peers\n`;
  const share = Math.round(THREAD_SHARE_MAX * 100);
  return (
    `One thread here, ${processor}, against itself on loopback:\n` +
    line("UDP", udp) +
    line("HTTP", http) +
    `Peers that announce every ${showSeconds(intervalSeconds)}, with ${share} % of the thread. ` +
    "TRACKER_UDP_WORKERS and TRACKER_HTTP_WORKERS give more threads. " +
    "A request costs more below full load.\n" +
    `In the results: UDP ${PRECISE.format(results.udp[4].micros)} µs, ` +
    `HTTP ${PRECISE.format(results.http.micros)} µs, ${results.source}.\n`
  );
}

function processorName(): string {
  const all = cpus();
  return `${all[0]?.model ?? "an unknown processor"}, ${counted(all.length, "processor")}`;
}
