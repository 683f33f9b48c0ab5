/**
 * The program: starts everything in order, and ends it in order. Read it from top to bottom.
 *
 *   settings → memory → files → swarms of before → sockets and threads → "ready" → …
 *                                     … → signal → drain → last snapshot → exit code
 *
 * The only file that starts threads and exits; `start/` binds. Each part that is started is in the
 * folder of its name.
 *
 *   event loop       HTTP, the sweep, signals      ┐
 *   UDP workers      one blocking loop each        ├─ one memory of swarms, counters of their own
 *   (no workers      UDP in the event loop)        │
 *   (HTTP workers    announces, if there are any)  ┘
 */
import { runCli } from "./cli.ts";
import type { Config, Origins } from "./config/schema.ts";
import { EXIT_FAILED, EXIT_OK } from "./constants.ts";
import { now } from "./host/clock.ts";
import { garbage } from "./host/garbage.ts";
import { listAddresses } from "./host/interfaces.ts";
import { restoreAtStart } from "./opentracker/state-import.ts";
import type { Snapshots } from "./snapshot/snapshots.ts";
import { listenEarly } from "./start/early-signals.ts";
import { untilSignal } from "./start/ending-signals.ts";
import { type Started, tellStarted } from "./start/greeting.ts";
import { keepSwarms } from "./start/keep-swarms.ts";
import { listenAdmin } from "./start/listen-admin.ts";
import { keepSockets } from "./start/kept-sockets.ts";
import { makePages } from "./start/http-server.ts";
import { listenHttp } from "./start/listen-http.ts";
import { listenUdp } from "./start/listen-udp.ts";
import { Observation } from "./start/observe.ts";
import { oneAtATime } from "./start/one-at-a-time.ts";
import { dropPrivileges, missingRights, readUser } from "./start/privileges.ts";
import { operatorPages } from "./start/operator-pages.ts";
import { prepare, type Program } from "./start/program.ts";
import { sharePeers } from "./start/share-peers.ts";
import { startUpkeep } from "./start/upkeep.ts";

// Other daemons reopen their logs on it, so scripts send it; without a handler it would end us.
process.on("SIGUSR1", () => {});

process.exit(
  await runCli(process.argv.slice(2), process.env, run, {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  }),
);

/** Runs the tracker until a signal ends it; returns the exit code. Rejects with a StartError. */
async function run(given: Config, origins: Origins): Promise<number> {
  // Signals during the start take effect at its end. A second SIGTERM or SIGINT exits at once.
  const ending = untilSignal(["SIGTERM", "SIGINT"], process, () => process.exit(EXIT_FAILED));
  const onReload = listenEarly("SIGHUP");
  const onMaintenance = listenEarly("SIGUSR2");

  // Memory that all threads share, and their owner.
  const program = prepare(given, origins, process.env, {
    exit: () => process.exit(EXIT_FAILED),
    spawnUdpWorker: () => new Worker(new URL("./udp/worker.ts", import.meta.url).href),
    spawnHttpWorker: () => new Worker(new URL("./start/http-worker.ts", import.meta.url).href),
  });
  const { config, log, files } = program;

  // Sockets of the last run, in which requests wait.
  const kept = await keepSockets(program, process.env);

  // All files that the settings name are read before any socket is bound: a mistake ends the start.
  if (config.user !== undefined) readUser(config.user);
  await files.read();

  // Swarms and counters of an earlier run. A signal may end this, since a pipe may never end.
  const snapshots = await Promise.race([restore(program), ending]);
  if (typeof snapshots === "string") {
    log.info("stopped before it was ready", { signal: snapshots });
    return EXIT_OK;
  }
  const peers = await sharePeers(program, origins, snapshots);

  // Sockets and threads: clients are answered from here on.
  const observation = new Observation(program, snapshots?.figures, () => peers?.figures());
  const { warnings, front } = observation;
  const sweep = startUpkeep(program);
  const udp = await listenUdp({ ...program, kept });
  const { receiveBufferBytes } = udp;
  program.machine.ownSockets();
  const pages = makePages(program, peers);
  let draining = false;
  const ready = () => !draining;
  const http = await listenHttp(program, { pages, front, ready, observation, kept });
  const metrics = observation.metricsPage({ sweep, http, receiveBufferBytes });
  const shown = operatorPages({ ...program, pages, front, metrics, http, peers });
  const operator = listenAdmin(program, { ...shown, ready, origins, warnings, kept });
  kept.store();
  if (config.user !== undefined) dropPrivileges(config.user);

  // Ready.
  await http.begin();
  onReload(oneAtATime(() => files.reload(log, observation)));
  onMaintenance(() => void files.lists.setMaintenance(!files.lists.maintenance));
  tellReady(program, { warnings, receiveBufferBytes, admin: operator.listeners });
  observation.begin();
  snapshots?.begin();
  await peers?.begin();
  garbage.settle();

  // The end: clients get their answers first. The operator's address closes last: until then it
  // reports that the tracker is draining.
  const signal = await ending;
  draining = true;
  observation.notifier.stopping();
  log.info("draining", { signal });
  // A slow client may hold up HTTP for seconds, in which UDP is answered.
  await http.stop().then(() => udp.stop());
  await peers?.end();
  await snapshots?.end();
  await operator.stop();
  log.info("stopped", { uptime: Math.round(now()) });
  return EXIT_OK;
}

/** Reports where the tracker listens, and which rights it lacks. */
function tellReady(
  program: Program,
  started: Pick<Started, "warnings" | "receiveBufferBytes" | "admin">,
): void {
  const { config, log, threads } = program;
  tellStarted({
    ...program,
    ...started,
    threads: threads.workers.length - program.httpWorkers,
    httpThreads: program.httpWorkers,
    addresses: listAddresses() ?? [],
    watched: process.stderr.isTTY,
  });
  for (const { message, ...fields } of missingRights(config)) log.warn(message, fields, null);
}

/** Restores swarms, then counters, which only rise. Returns what writes the snapshots, if any. */
async function restore(program: Program): Promise<Snapshots | undefined> {
  const snapshots = await keepSwarms(program);
  const { config, store, log } = program;
  if (config.stateImport !== undefined) await restoreAtStart(config.stateImport, store, log);
  return snapshots;
}
