/**
 * Observation of the tracker: metrics, page, warnings, messages to the supervisor, and their
 * timers. No timer keeps the process alive.
 */
import { counted } from "../net/counted.ts";
import type { AdminPage } from "../admin/admin.ts";
import { COMMIT, VERSION, versionLine } from "../version.ts";
import type { Notifier } from "../host/notify.ts";
import { largestPrivateShare } from "../notes/private-share.ts";
import { Warnings } from "../admin/warnings.ts";
import { clientHeaders } from "../gates/client.ts";
import { EXPOSITION_TYPE } from "../metrics/exposition.ts";
import { Histogram } from "../counters/histograms.ts";
import {
  type BrowserFigures,
  type MetricsSources,
  metricsText,
  type Reloads,
} from "../metrics/metrics.ts";
import { now, WallClock } from "../host/clock.ts";
import type { RequestHead } from "../net/head.ts";
import type { ClusterFigures } from "../cluster/cluster-figures.ts";
import { Counters } from "../counters/counters.ts";
import { Front } from "../page/front.ts";
import { Live } from "../page/live.ts";
import { showCount, showRate } from "../page/view.ts";
import type { SnapshotFigures } from "../snapshot/snapshots.ts";
import { takeCensus } from "../swarm/census.ts";
import { takeShortage } from "../swarm/memory.ts";
import { circumstancesOf } from "./forewarnings.ts";
import type { Sweep } from "../swarm/sweep.ts";
import { browserFigures } from "./browsers.ts";
import type { HttpFront } from "./http-server.ts";
import type { Program } from "./program.ts";

/** How often the announces are sampled for the page. */
const SAMPLE_MILLISECONDS = 1000;
/** The interval of the timer that measures the lag of the event loop. */
const LAG_MILLISECONDS = 100;
/** The intervals of the supervisor's status line, and of the checks of the machine. */
const STATUS_MILLISECONDS = 5000;
const LOOK_MILLISECONDS = 60_000;

/** Sources of metrics that are not in `Program`. */
export interface MetricsNeeds {
  sweep: Pick<Sweep, "sizes" | "roundEndedSeconds">;
  http: Pick<HttpFront, "server" | "browsers">;
  /** The smallest UDP receive buffer granted; not finite if it is not known. */
  receiveBufferBytes: number;
}

export class Observation {
  readonly warnings: Warnings;
  readonly notifier: Notifier;
  readonly live: Live;
  /** The page at /. */
  readonly front: Front;
  readonly reloads: Reloads = { good: 0, failed: 0, lastSeconds: 0 };
  readonly #program: Program;
  readonly #snapshots: SnapshotFigures | undefined;
  readonly #cluster: () => ClusterFigures | undefined;
  readonly #counters: Counters;
  readonly #wallClock = new WallClock();
  /** Figures of WebSockets, once HTTP listens; undefined if they are off. */
  #browsers: () => BrowserFigures | undefined = () => undefined;

  /** Create it before threads start: it warns if they need more memory than there is. */
  constructor(
    program: Program,
    snapshots?: SnapshotFigures,
    cluster: () => ClusterFigures | undefined = () => undefined,
  ) {
    const { config, log, machine, threads } = program;
    const { shared } = threads;
    this.#program = program;
    this.#snapshots = snapshots;
    this.#cluster = cluster;
    this.#counters = new Counters(shared.counters, 0);
    this.notifier = program.notifier;
    this.warnings = new Warnings(log, {
      ...circumstancesOf(config, machine),
      privateShare: () => largestPrivateShare(shared.notes!.privateShare),
      ownAnnounces: () =>
        this.#counters.total("udpOwnAddresses") + this.#counters.total("httpOwnAddresses"),
      memoryIsShort: () => takeShortage(shared.memory),
      census: () => takeCensus(shared.memory),
      certificateExpires: () => threads.certificate?.expiresSeconds,
    });
    this.warnings.lookBeforeThreads();
    this.live = new Live({
      version: versionLine(),
      wallClock: this.#wallClock,
      counters: this.#counters,
      memory: shared.memory,
      drops: () => machine.drops(),
      keptSeconds: () => snapshots?.keptSeconds,
      webSockets: () => this.#browsers(),
      cluster,
      now,
    });
    const tls = config.tlsCertFile !== undefined;
    this.front = new Front(this.live, { ...config, publicName: config.publicName, tls });
  }

  /** The page of metrics. Its sources must have started. */
  metricsPage({ sweep, http, receiveBufferBytes }: MetricsNeeds): AdminPage {
    const { log, machine, load, threads, files, connections } = this.#program;
    const { shared } = threads;
    this.#browsers = () => browserFigures(http.browsers);
    const headers = { "Content-Type": EXPOSITION_TYPE };
    const sources: MetricsSources = {
      build: { version: VERSION, commit: COMMIT },
      wallClock: this.#wallClock,
      counters: this.#counters,
      histograms: shared.histograms!,
      memory: shared.memory,
      sweep,
      log,
      warnings: this.warnings,
      machine,
      snapshots: this.#snapshots,
      access: () => files.lists.status,
      reloads: () => this.reloads,
      rules: () => files.rules.counts(),
      receiveBufferBytes: () => receiveBufferBytes,
      stretch: () => load.stretch,
      certificateExpires: () => threads.certificate?.expiresSeconds,
      browsers: this.#browsers,
      cluster: this.#cluster,
      connections: () => ({
        open: http.server.connections,
        limit: connections.http,
        closed: {
          too_many: http.server.counts.refused,
          too_many_of_address: http.server.counts.crowded,
          malformed: http.server.counts.malformed,
          late: http.server.counts.expired,
          memory: http.server.counts.starved,
        },
      }),
    };
    return () => new Response(metricsText(sources), { headers });
  }

  /** Notifies the supervisor and starts the timers, after everything is bound. */
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

  /** A connection came at the limit of connections. */
  connectionsFull(): void {
    this.warnings.tellConnections(this.#program.connections.http, now());
  }

  /** A trusted proxy did not name the client of an announce. */
  proxyUnclear(head: RequestHead): void {
    const { proxyHeader } = this.#program.config;
    this.warnings.tellProxy(proxyHeader, () => clientHeaders(head, proxyHeader));
  }

  /** The same for several, which a worker got; `seen` are headers that may name a client. */
  proxyUnclearTo(seen: string, announces: number): void {
    const { proxyHeader } = this.#program.config;
    this.warnings.tellProxy(proxyHeader, () => (seen === "" ? [] : seen.split(" ")), announces);
  }

  /** A reload begins … */
  reloading(): void {
    this.notifier.reloading();
  }

  /** … and ends. */
  reloaded(good: boolean): void {
    if (good) this.reloads.good += 1;
    else this.reloads.failed += 1;
    if (good) this.reloads.lastSeconds = now();
    this.notifier.ready(this.#status());
  }

  #status(): string {
    const { announces, peers, swarms } = this.live.figures();
    const rate = announces.reduce((sum, kind) => sum + kind, 0);
    const stored = `${counted(peers, "peer", showCount)} in ${counted(swarms, "swarm", showCount)}`;
    return `${stored}, ${counted(rate, "announce", showRate)} per second`;
  }

  #measureLag(): void {
    const histogram = new Histogram(
      this.#program.threads.shared.histograms!,
      0,
      "eventLoopLagSeconds",
    );
    let due = now() + LAG_MILLISECONDS / 1000;
    this.#every(LAG_MILLISECONDS, () => {
      const turn = now();
      histogram.observe(Math.max(0, turn - due));
      due = turn + LAG_MILLISECONDS / 1000;
    });
  }

  /** Notifies the watchdog while the event loop and the loops of all workers run. */
  #keepWatchdogQuiet(seconds: number): void {
    const { workers } = this.#program.threads;
    const turnsBefore = workers.map(() => -1);
    this.#every(seconds * 1000, () => {
      const turns = workers.map((worker) => worker.turns());
      if (turns.every((count, at) => count !== turnsBefore[at])) this.notifier.alive();
      turns.forEach((count, at) => (turnsBefore[at] = count));
    });
  }

  #every(milliseconds: number, task: () => void): void {
    setInterval(task, milliseconds).unref();
  }
}
