/**
 * Watching over the tracker: what its metrics, page, warnings and supervisor are told, and the
 * timers that keep these numbers. No timer keeps the process alive.
 */
import type { AccessKeeper } from "../access/keeper.ts";
import type { AdminPage } from "../admin/admin.ts";
import { COMMIT, VERSION, versionLine } from "../version.ts";
import { Notifier } from "../host/notify.ts";
import { largestPrivateShare } from "../notes/private-share.ts";
import { Warnings } from "../admin/warnings.ts";
import type { HttpServer } from "../http/server.ts";
import { EXPOSITION_TYPE } from "../metrics/exposition.ts";
import { Histogram } from "../counters/histograms.ts";
import { metricsText, type Reloads } from "../metrics/metrics.ts";
import { now } from "../host/clock.ts";
import { COUNT, Counters } from "../counters/counters.ts";
import { Front } from "../page/front.ts";
import { Live } from "../page/live.ts";
import { showCount, showRate } from "../page/view.ts";
import { takeCensus } from "../swarm/census.ts";
import { takeShortage } from "../swarm/memory.ts";
import type { Sweep } from "../swarm/sweep.ts";
import type { Program } from "./program.ts";

/** How often the announces are noted for the page. */
const SAMPLE_MILLISECONDS = 1000;
/** How often the event loop is asked for its turn, to see how late it comes. */
const LAG_MILLISECONDS = 100;
/** How often the supervisor gets a new status line, and the machine another look. */
const STATUS_MILLISECONDS = 5000;
const LOOK_MILLISECONDS = 60_000;

export class Observation {
  readonly warnings: Warnings;
  readonly notifier: Notifier;
  readonly live: Live;
  /** The page at /. */
  readonly front: Front;
  readonly reloads: Reloads = { good: 0, failed: 0, lastSeconds: 0 };
  /** Set once HTTP is answered. */
  http: HttpServer | undefined;
  /** Set once swarms are swept. */
  sweep: Pick<Sweep, "sizes" | "roundEndedSeconds"> | undefined;
  readonly #program: Program;
  readonly #keeper: AccessKeeper;
  readonly #counters: Counters;

  /** To be made once UDP is bound: it looks at the sockets there are. */
  constructor(program: Program, keeper: AccessKeeper, env: NodeJS.ProcessEnv) {
    const { config, log, machine, shared } = program;
    machine.ownSockets();
    this.#program = program;
    this.#keeper = keeper;
    this.#counters = new Counters(shared.counters, 0);
    this.notifier = new Notifier(env);
    this.warnings = new Warnings(log, {
      machine,
      udpPorts: config.udpListeners.map(({ port }) => port),
      http: config.httpListeners.length > 0,
      user: config.user === undefined ? process.getuid?.() : undefined,
      privateShare: () => largestPrivateShare(shared.notes!.privateShare),
      ownAnnounces: () =>
        this.#counters.total("udpOwnAddresses") + this.#counters.total("httpOwnAddresses"),
      memoryIsShort: () => takeShortage(shared.memory),
      census: () => takeCensus(shared.memory),
    });
    this.live = new Live({
      version: versionLine(),
      startedSeconds: shared.startedSeconds,
      counters: this.#counters,
      memory: shared.memory,
      drops: () => machine.drops(),
      now,
    });
    const tls = config.tlsCertFile !== undefined;
    this.front = new Front(this.live, { ...config, publicName: config.publicName, tls });
  }

  /** What the operator may look at. */
  get pages(): Record<string, AdminPage> {
    const headers = { "Content-Type": EXPOSITION_TYPE };
    return {
      "/metrics": () => new Response(this.#metrics(), { headers }),
      "/live": () => this.front.feedResponse(),
    };
  }

  #metrics(): string {
    const { shared, log, machine, rules, load } = this.#program;
    return metricsText({
      build: { version: VERSION, commit: COMMIT },
      startedSeconds: shared.startedSeconds,
      counters: this.#counters,
      histograms: shared.histograms!,
      memory: shared.memory,
      sweep: this.sweep ?? { sizes: new Float64Array(0), roundEndedSeconds: 0 },
      log,
      warnings: this.warnings,
      machine,
      access: () => this.#keeper.status,
      reloads: () => this.reloads,
      rules: () => rules.counts(),
      receiveBufferBytes: () => this.#program.receiveBufferBytes,
      stretch: () => load.stretch,
      connections: () => ({
        open: this.http?.connections ?? 0,
        limit: this.#program.connectionsMax,
        closed: {
          too_many: this.http?.counts.refused ?? 0,
          too_many_of_address: this.http?.counts.crowded ?? 0,
          malformed: this.http?.counts.malformed ?? 0,
          late: this.http?.counts.expired ?? 0,
          memory: this.http?.counts.starved ?? 0,
        },
      }),
    });
  }

  /** Everything is bound: tells so, and starts the timers. */
  begin(): void {
    this.warnings.lookAtStart();
    this.notifier.ready(this.#status());
    this.#every(SAMPLE_MILLISECONDS, () => this.live.sample());
    this.#every(SAMPLE_MILLISECONDS, () => this.warnings.lookOften());
    this.#every(SAMPLE_MILLISECONDS, () => this.warnings.lookAtMemory(now()));
    this.#every(LOOK_MILLISECONDS, () => this.warnings.look());
    this.#measureLag();
    if (!this.notifier.listening) return;
    this.#every(STATUS_MILLISECONDS, () => this.notifier.status(this.#status()));
    const { watchdogSeconds } = this.notifier;
    if (watchdogSeconds > 0) this.#keepWatchdogQuiet(watchdogSeconds);
  }

  /** A connection came when there were as many as there may be. */
  connectionsFull(): void {
    this.warnings.tellConnections(this.#program.connectionsMax, now());
  }

  /** The files are being read again, and then have been. */
  reloading(): void {
    this.notifier.reloading();
  }

  reloaded(good: boolean): void {
    if (good) this.reloads.good += 1;
    else this.reloads.failed += 1;
    if (good) this.reloads.lastSeconds = now();
    this.notifier.ready(this.#status());
  }

  #status(): string {
    const { announces, peers, swarms } = this.live.figures();
    const rate = showRate(announces.reduce((sum, kind) => sum + kind, 0));
    return `${showCount(peers)} peers in ${showCount(swarms)} swarms, ${rate} announces per second`;
  }

  #measureLag(): void {
    const histogram = new Histogram(this.#program.shared.histograms!, 0, "eventLoopLagSeconds");
    let due = now() + LAG_MILLISECONDS / 1000;
    this.#every(LAG_MILLISECONDS, () => {
      const turn = now();
      histogram.observe(Math.max(0, turn - due));
      due = turn + LAG_MILLISECONDS / 1000;
    });
  }

  /** Says that we live as long as the event loop turns and every worker has looked around. */
  #keepWatchdogQuiet(seconds: number): void {
    const { shared, workers } = this.#program;
    const rows = workers.map((_, at) => new Counters(shared.counters, at + 1).row);
    const turnsBefore = rows.map(() => -1);
    this.#every(seconds * 1000, () => {
      const turns = rows.map((row) => row[COUNT.udpTurns]);
      if (turns.every((count, at) => count !== turnsBefore[at])) this.notifier.alive();
      turns.forEach((count, at) => (turnsBefore[at] = count));
    });
  }

  #every(milliseconds: number, task: () => void): void {
    setInterval(task, milliseconds).unref();
  }
}
