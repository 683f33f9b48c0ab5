/**
 * The matrix of real clients: pairs of programs, one seeding and one leeching, with nothing but
 * this tracker to bring them together, over HTTP and UDP, IPv4 and IPv6.
 *
 *   bun test/clients/run.ts [--all] [FILTER]
 *   bun test/clients/run.ts [--all] --packages    prints Debian's packages that it needs
 *   TRACKER_UDP_WORKERS=0 bun test/clients/run.ts    the tracker has the settings that we have
 *
 * Without `--all` it runs the rows that are quick (`rows.ts`). FILTER is part of a row, such as
 * "aria2 -> " or "udp IPv6".
 *
 * It starts itself again in a network, mount and process namespace of its own, so that nothing can
 * reach the outside. In there each client has a host of its own (`hosts.ts`).
 *
 * Prints a table; a run of all rows writes it to `results/clients.txt` as well. Exits 1 when a row
 * is bad, 2 when it cannot run here.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inParallel, startTracker } from "../e2e/harness.ts";
import { buildAnacrolix } from "./anacrolix.ts";
import {
  isInNamespaces,
  raiseNetwork,
  runInNamespaces,
  searchPath,
  TRACKER_ADDRESS,
} from "./hosts.ts";
import { isInstalled, packagesOf } from "./programs.ts";
import { printOutcomes, writeOutcomes } from "./results.ts";
import { allRows, describeRow, programsOf, quickRows } from "./rows.ts";
import { ourSettings, runRow, TRACKER_PORT } from "./transfer.ts";

/** Most of a row is waiting: eight take two cores for a third of the time. */
const PARALLEL = 8;

const options = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const filter = process.argv.slice(2).find((argument) => !argument.startsWith("--")) ?? "";
const all = options.includes("--all");
const rows = (all ? allRows() : quickRows()).filter((row) => describeRow(row).includes(filter));

if (options.includes("--packages")) {
  console.log(["iproute2", ...programsOf(rows).flatMap(packagesOf)].join(" "));
  process.exit(0);
}
process.exit(isInNamespaces() ? await runMatrix() : await runInside());

/** Checks that all is there, and runs this program again in namespaces; the exit code. */
async function runInside(): Promise<number> {
  const problem = await missing();
  if (problem !== undefined) {
    console.error(`clients: ${problem}`);
    return 2;
  }
  return await runInNamespaces();
}

/** What is not there for these rows, in a sentence; undefined if all is there. */
async function missing(): Promise<string | undefined> {
  const tools = ["ip", "mount", "nsenter", "unshare"];
  const absent = tools.filter((tool) => Bun.which(tool, { PATH: searchPath() }) === null);
  if (absent.length > 0) return `not installed: ${absent.join(", ")}`;
  const programs = programsOf(rows);
  const lacking = programs.filter((program) => !isInstalled(program));
  if (lacking.includes("anacrolix")) return "anacrolix is built with Go 1.24, which is not there";
  if (lacking.length > 0) {
    const packages = lacking.flatMap(packagesOf).join(" ");
    const install = `apt-get install --no-install-recommends ${packages}`;
    return `not installed: ${lacking.join(", ")}; on Debian: ${install}`;
  }
  if (programs.includes("anacrolix")) await buildAnacrolix();
  return undefined;
}

async function runMatrix(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "buntracker-clients-"));
  await raiseNetwork(directory);
  const addresses = ["127.0.0.1", TRACKER_ADDRESS[4], `[${TRACKER_ADDRESS[6]}]`];
  const listeners = addresses.map((address) => `${address}:${TRACKER_PORT}`).join(",");
  const tracker = await startTracker({
    port: TRACKER_PORT,
    env: { ...ourSettings(), TRACKER_UDP_ADDRESS: listeners, TRACKER_HTTP_ADDRESS: listeners },
  });
  const started = performance.now();
  const outcomes = await inParallel(rows, PARALLEL, (row) => runRow(row, directory));
  await tracker.stop();
  printOutcomes(outcomes, (performance.now() - started) / 1000);
  if (all && filter === "") await writeOutcomes(outcomes);
  const bad = outcomes.filter(({ problem }) => problem !== undefined);
  if (bad.length > 0) console.error(`clients: the logs are in ${directory}`);
  else await rm(directory, { recursive: true });
  return bad.length > 0 ? 1 : 0;
}
