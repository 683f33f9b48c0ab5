/**
 * Examines this tracker and others with the conformance suite, and writes the results, from which
 * `make docs` makes the table in docs/conformance.md.
 *
 * Checks run one after another, in turn for each tracker: one that ends a tracker's process is
 * noted, the tracker is started again, and the others are not hurt.
 *
 *   --install        first build or fetch the other trackers into .tools
 *   --tracker NAME   examine this one alone, and keep the results of the others
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { examineUrls } from "../../src/verbs/conformance/conformance.ts";
import { HTTP_CHECKS } from "../../src/verbs/conformance/http-checks.ts";
import { SCRAPE_CHECKS } from "../../src/verbs/conformance/scrape-checks.ts";
import type { Manners } from "../../src/verbs/conformance/statements.ts";
import { UDP_CHECKS } from "../../src/verbs/conformance/udp-checks.ts";
import { WEBSOCKET_CHECKS } from "../../src/verbs/conformance/websocket-checks.ts";
import { endAll, installAll } from "../bench/contenders.ts";
import { RESULTS, type Results } from "./results.ts";
import {
  HASHES_MAX,
  hashOf,
  type Running,
  type StartProgram,
  type Tracker,
  TRACKERS,
} from "./trackers.ts";

const CHECKS = {
  http: [...HTTP_CHECKS, ...SCRAPE_CHECKS],
  udp: UDP_CHECKS,
  ws: WEBSOCKET_CHECKS,
};
type Transport = keyof typeof CHECKS;

function mannersFromNow(): Manners {
  let n = 0;
  return {
    ...{ answer: 2000, silence: 250, pause: 2, whole: 60_000 },
    infoHash: (first) => hashOf(n++ % HASHES_MAX, first),
  };
}

function isAlive({ pid }: Running): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A sentence without paths of this machine, which some trackers tell, in two lines at most. */
function withoutPaths(sentence: string): string {
  return sentence.replaceAll(/(\/[\w.@-]+){3,}/g, "…").slice(0, 160);
}

/** What came of each check at one program, for one family. */
async function examine(
  start: StartProgram,
  family: 4 | 6,
  note: (transport: Transport, id: string, outcome: string) => void,
): Promise<string | undefined> {
  let running = await start(family);
  if ("absent" in running) return running.absent;
  const manners = mannersFromNow();
  for (const at of running.urls.keys()) {
    const transport = running.urls[at].split(":")[0] as Transport;
    for (const { id, family: only = family } of CHECKS[transport]) {
      if (only !== family) continue;
      const [report] = await examineUrls([running.urls[at]], {
        manners,
        only: new Set([id]),
        meets: false,
      });
      const [{ outcome, problem }] = report.results;
      let told: string = outcome === "held" ? "" : problem;
      if (outcome === "not tried") told = `not tried: ${problem}`;
      // A process that ends is gone a moment later.
      if (outcome !== "held") await Bun.sleep(100);
      if (!isAlive(running)) {
        told = "the process ends";
        const again: Awaited<ReturnType<StartProgram>> = await start(family);
        if ("absent" in again) return again.absent;
        running = again;
      }
      note(transport, id, withoutPaths(told));
    }
  }
  await running.end();
  return undefined;
}

async function examineTracker(tracker: Tracker, results: Results): Promise<void> {
  const absent: string[] = [];
  for (const start of tracker.programs) {
    for (const family of [4, 6] as const) {
      const why = await examine(start, family, (transport, id, problem) => {
        const row = results.checks.find((one) => one.id === id && one.transport === transport)!;
        const before = row.problems[tracker.name];
        // What holds over one family alone does not hold.
        if (before === undefined) row.problems[tracker.name] = problem;
        else if (before === "" && problem !== "") {
          row.problems[tracker.name] = `over IPv${family}: ${problem}`;
        }
      });
      if (why !== undefined) absent.push(why);
    }
  }
  console.log(`${tracker.name} is done${absent.length > 0 ? `; ${absent.join("; ")}` : ""}`);
  const { name, version } = tracker;
  const entry = { name, version, absent: [...new Set(absent)] };
  const at = results.trackers.findIndex((one) => one.name === name);
  if (at < 0) results.trackers.push(entry);
  else results.trackers[at] = entry;
}

/** The results before this run. */
function kept(): Results {
  return JSON.parse(readFileSync(RESULTS, "utf8")) as Results;
}

/** What was found of the other trackers in this check. */
function keptProblems(transport: string, id: string): Record<string, string> {
  const row = kept().checks.find((one) => one.id === id && one.transport === transport);
  const others = Object.entries(row?.problems ?? {}).filter(([name]) => name !== chosen);
  return Object.fromEntries(others);
}

const OPTIONS = { tracker: { type: "string" }, install: { type: "boolean" } } as const;

if (parseArgs({ options: OPTIONS }).values.install) installAll(true);
const { tracker: chosen } = parseArgs({ options: OPTIONS }).values;
const results: Results = {
  date: new Date().toISOString().slice(0, 10),
  trackers: chosen === undefined ? [] : kept().trackers,
  checks: Object.entries(CHECKS).flatMap(([transport, checks]) =>
    checks.map(({ id, weight, says }) => {
      const problems = chosen === undefined ? {} : keptProblems(transport, id);
      return { transport, id, weight, says, problems };
    }),
  ),
};
try {
  const trackers = TRACKERS.filter(({ name }) => chosen === undefined || name === chosen);
  for (const tracker of trackers) await examineTracker(tracker, results);
  await Bun.write(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log("the results are in test/conformance/results.json");
} finally {
  await endAll();
}
