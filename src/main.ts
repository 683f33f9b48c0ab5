/**
 * The program: starts everything in order, and ends it in order.
 *
 *   settings → memory → sockets → threads → "ready" → … → signal → drain → exit code
 *
 * The only file that spawns and exits; `start/` binds. What is started lives in the folder of its
 * name.
 *
 *   event loop       HTTP, the sweep, signals      ┐
 *   UDP workers      one blocking loop each        ├─ one memory of swarms, counters of their own
 *   (no workers      UDP in the event loop)        ┘
 */
import type { AccessShared } from "./access/access.ts";
import { readPeerIdPrefix } from "./net/denied-clients.ts";
import { AccessKeeper } from "./access/keeper.ts";
import { runCli } from "./cli.ts";
import type { Config, Origins } from "./config/schema.ts";
import { EXIT_FAILED, EXIT_OK } from "./constants.ts";
import { tellStarted } from "./start/greeting.ts";
import { readCertificate } from "./http/certificate.ts";
import type { Rule } from "./limits/rule-lines.ts";
import { listAddresses } from "./limits/own-addresses.ts";
import { Histogram } from "./counters/histograms.ts";
import { now } from "./host/clock.ts";
import { Counters } from "./counters/counters.ts";
import type { Log } from "./host/log.ts";
import { dropPrivileges, missingRights, readUser } from "./start/privileges.ts";
import { listenEarly } from "./start/early-signals.ts";
import { untilSignal } from "./start/ending-signals.ts";
import { listenAdmin, listenHttp, makeHttp, makePages } from "./start/listen-http.ts";
import { listenUdp } from "./start/listen-udp.ts";
import { Observation } from "./start/observe.ts";
import { oneAtATime } from "./start/one-at-a-time.ts";
import { startFollowingLoad } from "./start/prepare-limits.ts";
import { prepare, type Program, type Running } from "./start/program.ts";
import { restoreAtStart } from "./opentracker/state-import.ts";
import { Tracker } from "./swarm/tracker.ts";
import { startForgetting, startSweeping } from "./start/upkeep.ts";

process.exit(
  await runCli(process.argv.slice(2), process.env, run, {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  }),
);

/** Runs the tracker until a signal ends it; returns the exit code. Rejects with a StartError. */
async function run(config: Config, origins: Origins): Promise<number> {
  const signal = untilSignal(["SIGTERM", "SIGINT"], process, () => process.exit(EXIT_FAILED));
  const onReload = listenEarly("SIGHUP");
  const onMaintenance = listenEarly("SIGUSR2");
  const program = prepare(config, process.env, {
    exit: () => process.exit(EXIT_FAILED),
    spawn: () => new Worker(new URL("./udp/worker.ts", import.meta.url).href),
  });
  const running: Running[] = [];
  let draining = false;
  const ready = () => !draining;
  const keeper = makeKeeper(program);
  // What the settings name comes first: nothing is bound if any of it will not do.
  if (config.user !== undefined) readUser(config.user);
  await keeper.load();
  program.shared.access = keeper.shared;
  await takeRules(program, program.rules.read());
  const certificate = readCertificate(config.tlsCertFile, config.tlsKeyFile);
  if (await endsBefore(restore(program), signal, program.log)) return EXIT_OK;
  for (const listener of config.udpListeners) running.push(await listenUdp(listener, program));
  const observation = new Observation(program, keeper, process.env);
  const pages = makePages(program);
  const server = makeHttp(program, pages, observation, ready);
  observation.http = server;
  for (const listener of config.httpListeners) {
    const tls = listener.tls === false ? undefined : certificate;
    running.push(listenHttp(listener, server, tls, program.libc));
  }
  const adminPages = { ...observation.pages, "/hosts": () => new Response(pages.hostsText()) };
  const { warnings } = observation;
  const operators = listenAdmin(program, keeper, adminPages, ready, origins, warnings);
  if (config.user !== undefined) dropPrivileges(config.user);
  onReload(oneAtATime(() => reload(program, running, keeper, observation)));
  onMaintenance(() => void keeper.setMaintenance(!keeper.maintenance));
  if (program.libc !== undefined) startForgetting(program.libc);
  const { shared, load } = program;
  const slices = new Histogram(shared.histograms!, 0, "sweepSeconds");
  const sweeper = new Tracker(shared.memory, new ArrayBuffer(2));
  observation.sweep = startSweeping(sweeper, config.peerTimeoutSeconds, {
    observe: (seconds) => slices.observe(seconds),
    libc: program.libc,
  });
  startFollowingLoad(load, new Counters(shared.counters, 0), shared.memory);
  const watched = process.stderr.isTTY;
  const admin = operators.map(({ listener }) => listener);
  const threads = program.workers.length;
  tellStarted({ ...program, threads, watched, warnings, admin, addresses: listAddresses() ?? [] });
  for (const { message, ...fields } of missingRights(config)) {
    program.log.warn(message, { ...fields }, null);
  }
  observation.begin();

  const name = await signal;
  draining = true;
  observation.notifier.stopping();
  program.log.info("draining", { signal: name });
  await Promise.all(running.map((part) => part.stop()));
  // The operator's addresses come last, because they say until then that we are draining.
  await Promise.all(operators.map((part) => part.stop()));
  program.log.info("stopped", { uptime: Math.round(now()) });
  return EXIT_OK;
}

async function restore({ config, shared, log }: Program): Promise<void> {
  if (config.stateImport !== undefined)
    await restoreAtStart(config.stateImport, shared.memory, log);
}

/** True if a signal ends us before the step is done, which may read a pipe without an end. */
async function endsBefore(
  step: Promise<void>,
  signal: Promise<NodeJS.Signals>,
  log: Log,
): Promise<boolean> {
  const name = await Promise.race([step, signal]);
  if (name === undefined) return false;
  log.info("stopped before it was ready", { signal: name });
  return true;
}

/** SIGHUP: reads the files again. What cannot be used leaves what was there before. */
async function reload(
  program: Program,
  running: Running[],
  keeper: AccessKeeper,
  observation: Observation,
): Promise<void> {
  const { config, log } = program;
  observation.reloading();
  try {
    const certificate = readCertificate(config.tlsCertFile, config.tlsKeyFile);
    const rules = program.rules.read();
    await keeper.reload();
    await takeRules(program, rules);
    if (certificate !== undefined) for (const part of running) part.renew?.(certificate);
    const { denied, allowed, networks } = keeper.status;
    log.info("reloaded", { denied, allowed, networks, rules: rules.length });
    observation.reloaded(true);
  } catch (error) {
    log.error("reload failed, everything stays as it was", {
      reason: error instanceof Error ? error.message : String(error),
    });
    observation.reloaded(false);
  }
}

// Whom to serve.

function makeKeeper(program: Program): AccessKeeper {
  const { config, shared, log } = program;
  const clients = config.denyClients.map((text) => readPeerIdPrefix(text)!);
  const tracker = new Tracker(shared.memory, new ArrayBuffer(2));
  return new AccessKeeper({ ...config, clients }, shared.memory.keys, tracker, log, (access) =>
    broadcast(program, access),
  );
}

/** Tells every thread whom to serve from now on; resolves when all of them do. */
async function broadcast(program: Program, access: AccessShared): Promise<void> {
  program.shared.access = access;
  for (const own of program.accesses) own.update(access);
  await Promise.all(program.workers.map((worker) => worker.tell({ access })));
}

/** Tells every thread which rules hold from now on; resolves when all of them know. */
async function takeRules(program: Program, taken: Rule[]): Promise<void> {
  program.rules.take(taken);
  const rules = program.rules.shared;
  program.shared.limits = { ...program.shared.limits!, rules };
  for (const own of program.limits) own.rules.update(rules);
  await Promise.all(program.workers.map((worker) => worker.tell({ rules })));
}
