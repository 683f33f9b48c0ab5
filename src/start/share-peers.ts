/**
 * Shares the peers with other trackers, where TRACKER_CLUSTER_URL says so.
 *
 * Its modules are loaded only then: without the setting they take no memory. Neither the start nor
 * an announce waits for a NATS server: without one the tracker goes on alone.
 */
import { Access } from "../access/access.ts";
import { Outboxes } from "../cluster/outbox.ts";
import type { ClusterFigures } from "../cluster/cluster-figures.ts";
import type { LinkEvents, Login, NatsLink } from "../cluster/link.ts";
import type { OtherTrackers, News } from "../cluster/other-trackers.ts";
import type { Sharing } from "../cluster/sharing.ts";
import type { Pulled } from "../cluster/taking.ts";
import { Histogram } from "../counters/histograms.ts";
import { PeerGate } from "../gates/peer-gate.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";
import { now } from "../host/clock.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";
import { Limits } from "../limits/limits.ts";
import type { Origins } from "../config/schema.ts";
import type { LogFields } from "../host/log.ts";
import type { Snapshots } from "../snapshot/snapshots.ts";
import type { Judge } from "../swarm/put-back.ts";
import { Tracker } from "../swarm/tracker.ts";
import { LoginKeeper } from "./cluster-login.ts";
import { explainByEnd, firstEnd, loginWarnings } from "./login-end.ts";
import type { Program } from "./program.ts";

const TURN_MILLISECONDS = 50;
const HELLO_MILLISECONDS = 1000;
/** For two seconds after it connects: others that lost the same server come back one by one. */
const GREETING_MILLISECONDS = 250;
const GREETING_SECONDS = 2;
const DAY_SECONDS = 24 * 3600;
/** Between two turns for a pull, which so takes half of a processor. */
const PAUSE_MILLISECONDS = 1;
/** The core needs a reply buffer, though replies to other trackers hold no peers. */
const REPLIES_BYTES = 64;

/**
 * Prepares the sharing; undefined if this tracker is alone. Snapshots say what their peers are
 * worth to the others, from now on. Rejects with a StartError.
 */
export async function sharePeers(
  program: Program,
  origins: Origins,
  snapshots: Snapshots | undefined,
): Promise<SharedPeers | undefined> {
  const { outbox } = program.threads.shared;
  if (outbox === undefined) return undefined;
  const login = await LoginKeeper.open(program.config, origins);
  program.files.login = login;
  const [sharing, others, clocks, applying, link] = await Promise.all([
    import("../cluster/sharing.ts"),
    import("../cluster/other-trackers.ts"),
    import("../cluster/clocks.ts"),
    import("../cluster/applying.ts"),
    import("../cluster/link.ts"),
  ]);
  const modules = { ...sharing, ...others, ...clocks, ...applying, ...link };
  const peers = new SharedPeers(program, modules, new Outboxes(outbox), login);
  if (snapshots !== undefined) {
    const { restored } = snapshots;
    if (restored !== undefined) peers.sharing.restore(restored.notes, restored.begunAt, now());
    snapshots.notes = () => peers.sharing.keep(now());
  }
  return peers;
}

/** What is loaded only for a cluster. */
type Modules = Pick<typeof import("../cluster/sharing.ts"), "Sharing"> &
  Pick<typeof import("../cluster/clocks.ts"), "CLOCK_TICKS"> &
  Pick<typeof import("../cluster/other-trackers.ts"), "OtherTrackers"> &
  Pick<typeof import("../cluster/applying.ts"), "Applying"> &
  Pick<typeof import("../cluster/link.ts"), "NatsLink">;

/** The sharing, its link and its timers. */
export class SharedPeers {
  readonly sharing: Sharing;
  readonly #program: Program;
  readonly #openLink: Modules["NatsLink"]["open"];
  readonly #origin = crypto.getRandomValues(new Uint8Array(8)).toHex();
  readonly #login: LoginKeeper;
  readonly #timers: NodeJS.Timeout[] = [];
  /** What was warned of since the link changed last. */
  readonly #warned = new Set<string>();
  readonly #others: OtherTrackers;
  readonly #applySeconds: Histogram;
  readonly #acknowledgeSeconds: Histogram;
  #link: NatsLink | undefined;
  #sentBytes = 0;
  #loginToldAt = -Infinity;
  #works = false;
  /** When a server let us in last. */
  #connectedAt = -Infinity;

  constructor(
    program: Program,
    { Sharing, Applying, NatsLink, OtherTrackers, CLOCK_TICKS }: Modules,
    outboxes: Outboxes,
    login: LoginKeeper,
  ) {
    const { config, store, threads } = program;
    const histograms = threads.shared.histograms!;
    this.#program = program;
    this.#applySeconds = new Histogram(histograms, 0, "clusterApplySeconds");
    this.#acknowledgeSeconds = new Histogram(histograms, 0, "clusterAcknowledgeSeconds");
    this.#login = login;
    this.#openLink = (options, events) => NatsLink.open(options, events);
    const gate = gateOf(program);
    const { peerTimeout, peerTimeoutMax = peerTimeout } = store.memory.settings;
    const kept = { usualSeconds: peerTimeout, maxSeconds: Math.max(peerTimeout, peerTimeoutMax) };
    this.sharing = new Sharing({
      ...{ origin: this.#origin, node: config.clusterNode, startedAt: now(), store, outboxes },
      applying: new Applying(new Tracker(store, new ArrayBuffer(REPLIES_BYTES)), gate),
      link: this.#sender(),
      judge: () => judgeBy(gate),
      random: Math.random,
      keptSeconds: () => store.peerLifetime * store.peerTicks.seconds,
      ownKeptSeconds: () => Math.min(kept.usualSeconds * program.load.kept, kept.maxSeconds),
      ended: (pulled) => this.#tellPull(pulled),
      forged: () => {
        const remedy = "change the login of the NATS servers, then restart this tracker";
        this.#warnOnce("another program sends in the name of this tracker", { remedy });
      },
      otherVersion: (version, node) => {
        const remedy = "run the same version of buntracker at all trackers of the cluster";
        const message = "a tracker of the cluster speaks another version: it shares nothing";
        this.#warnOnce(message, { node, version, remedy }, () => this.#mayTell());
      },
    });
    this.#others = new OtherTrackers(this.sharing.ledger, kept, {
      at: (at) => this.sharing.clock(at),
      apartSeconds: CLOCK_TICKS * store.peerTicks.seconds,
    });
  }

  /** Connects, and shares from now on; resolves at once. */
  async begin(): Promise<void> {
    const { clusterUrls: engines, clusterName: name, clusterNode: node } = this.#program.config;
    const options = { engines, login: () => this.#renewLogin(), name, origin: this.#origin, node };
    this.#link = await this.#openLink(options, this.#events());
    this.#every(TURN_MILLISECONDS, () => {
      while (this.sharing.turn(now()));
    });
    this.#every(GREETING_MILLISECONDS, () => {
      if (now() - this.#connectedAt < GREETING_SECONDS) this.sharing.hello(now());
    });
    this.#every(HELLO_MILLISECONDS, () => {
      this.sharing.hello(now());
      this.#findNamesake();
      this.#lookAtOthers();
      this.#lookAtLogin();
    });
  }

  /** Sends the waiting deltas, tells the other trackers that this one ends, and disconnects. */
  async end(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.sharing.drain(now());
    await this.#link?.close();
  }

  /** What operators see of it. */
  figures(): ClusterFigures {
    return {
      name: this.#program.config.clusterName,
      engine: this.#link?.engine ?? null,
      loginEndsSeconds: firstEnd(this.#login.login),
      ...this.sharing.figures(now()),
      bytes: { sent: this.#sentBytes, received: this.sharing.counts.receivedBytes },
    };
  }

  #sender(): Pick<NatsLink, "up" | "sendAll" | "sendTo"> {
    const link = () => this.#link;
    const count = (sent: boolean, { length }: Uint8Array) => {
      if (sent) this.#sentBytes += length;
      return sent;
    };
    return {
      get up() {
        return link()?.up ?? false;
      },
      sendAll: (message) => count(link()?.sendAll(message) ?? false, message),
      sendTo: (to, message) => count(link()?.sendTo(to, message) ?? false, message),
    };
  }

  #events(): LinkEvents {
    const { log, config } = this.#program;
    return {
      heard: (message) => {
        const begun = now();
        this.sharing.heard(message, begun);
        this.#applySeconds.observe(now() - begun);
        void this.#work();
      },
      acknowledged: (seconds) => this.#acknowledgeSeconds.observe(seconds),
      connected: (engine) => {
        const { clusterName: cluster, clusterNode: node } = config;
        this.#warned.clear();
        log.info("connected to the cluster", { cluster, node, engine });
        this.#connectedAt = now();
        this.sharing.hello(now());
      },
      lost: (engine, reason) => {
        this.sharing.cutOff(now());
        const remedy = "this tracker goes on alone, and tries again: is the server there?";
        log.warn("cut off from the cluster", { engine, reason, remedy }, null);
      },
      refused: (engine, reason, remedy, answered) => {
        // One that does not answer has not looked at the login.
        const refusal = { reason, remedy };
        const seconds = Date.now() / 1000;
        const told = answered ? explainByEnd(refusal, this.#login.login, seconds) : refusal;
        this.#warnOnce("the cluster cannot be reached", { engine, ...told });
      },
    };
  }

  /**
   * A millisecond in each turn of the event loop, and a pause as long, until all have the peers
   * they asked for. Without the pause a pull used up its share of a busy processor, the system let
   * others run for 2 to 5 ms in the middle of a turn, and announces waited for that.
   */
  async #work(): Promise<void> {
    if (this.#works) return;
    this.#works = true;
    try {
      while (this.sharing.works) {
        await nextTurn();
        for (const end = now() + TURN_SECONDS; now() < end && this.sharing.works;) {
          this.sharing.slice(now());
        }
        await Bun.sleep(PAUSE_MILLISECONDS);
      }
    } finally {
      // After a bug in a slice the next message goes on, and a pull that is stuck ends.
      this.#works = false;
    }
  }

  #tellPull({ outcome, peers, withoutRoom, seconds }: Pulled): void {
    const { log } = this.#program;
    const left = withoutRoom > 0 ? { withoutRoom } : {};
    const fields = { peers, ...left, seconds: Math.round(seconds * 1000) / 1000 };
    if (outcome === "failed") {
      if (!this.#mayTell()) return;
      log.warn("catching up with another tracker failed: others are asked", fields, null);
      return;
    }
    const caughtUp = this.sharing.ledger.behindSeconds(now()) === 0;
    const message = caughtUp
      ? "caught up with other trackers"
      : "took over peers, and others are missing";
    if (withoutRoom > 0) {
      const remedy = "a larger TRACKER_MEMORY_MAX";
      log.warn(`${message}; not all fit the memory`, { ...fields, remedy }, null);
    } else if (caughtUp) log.info(message, fields);
    else log.debug(message, fields);
  }

  /** Says which other trackers come and go, and takes over their peer timeouts. */
  #lookAtOthers(): void {
    const { load, store } = this.#program;
    const keptSeconds = store.peerLifetime * store.peerTicks.seconds;
    load.othersKeptSeconds = this.#others.longestKept(now(), keptSeconds);
    for (const news of this.#others.look(now(), this.#link?.up ?? false)) {
      if (this.#mayTell()) this.#tell(news);
    }
    const lines = this.#others.lines.takeLeftOut(now());
    if (lines === 0) return;
    const remedy = "do trackers restart again and again, or does another program have the login?";
    const message = "more was to be said of other trackers than the log takes";
    this.#program.log.warn(message, { leftOut: lines, remedy }, null);
  }

  /** For each connection: a file may have been renewed. */
  #renewLogin(): Promise<Login> {
    return this.#login.renew(({ message, hint }) => {
      const fields = { reason: message, remedy: hint };
      this.#warnOnce("the login of the cluster cannot be read again, and stays as it was", fields);
    });
  }

  /** Says once a day what of the login has ended, or soon will. */
  #lookAtLogin(): void {
    if (now() - this.#loginToldAt < DAY_SECONDS) return;
    this.#loginToldAt = now();
    for (const { message, fields } of loginWarnings(this.#login.login, Date.now() / 1000)) {
      this.#program.log.warn(message, fields, null);
    }
  }

  /** True if the log may take one more line that others cause. */
  #mayTell(): boolean {
    return this.#others.lines.may(now());
  }

  #tell(news: News): void {
    const { log, config } = this.#program;
    const { what, node } = news;
    if (what === "there") log.info("a tracker of the cluster is there", { node });
    else if (what === "ended") log.info("a tracker of the cluster ends", { node });
    else if (what === "again") {
      log.info("a tracker of the cluster is heard again", { node, seconds: round(news.seconds) });
    } else if (what === "lost") {
      const remedy = "clients go on without it: does it run, and does it reach its NATS server?";
      const fields = { node, seconds: round(news.seconds), remedy };
      log.warn("a tracker of the cluster is no longer heard", fields, null);
    } else if (what === "clock") {
      const remedy =
        "set both clocks by NTP, then restart the tracker that started with the wrong one: " +
        "until then pulls round the ages of peers";
      const fields = { node, seconds: round(news.seconds), remedy };
      log.warn("the clock of a tracker of the cluster differs from ours", fields, null);
    } else {
      const remedy = "set the same TRACKER_INTERVAL and TRACKER_PEER_TIMEOUT at all trackers";
      const fields = { node, seconds: news.keepsSeconds, here: config.peerTimeoutSeconds, remedy };
      log.warn(`a tracker of the cluster keeps peers for a ${what} time`, fields, null);
    }
  }

  /** Two trackers of one name are one in metrics and tables: the host names may be the same. */
  #findNamesake(): void {
    const node = this.#program.config.clusterNode;
    if (!this.sharing.ledger.heard(now()).some(({ hello }) => hello?.name === node)) return;
    const remedy = "give each tracker a TRACKER_CLUSTER_NODE of its own";
    this.#warnOnce("another tracker of the cluster has the name of this one", { node, remedy });
  }

  /** Says each thing once, until the link changes, if it may be said. */
  #warnOnce(message: string, fields: LogFields, may = () => true): void {
    const key = `${message} ${Object.values(fields).join(" ")}`;
    if (this.#warned.has(key) || !may()) return;
    this.#warned.add(key);
    this.#program.log.warn(message, fields, null);
  }

  #every(milliseconds: number, task: () => void): void {
    this.#timers.push(setInterval(task, milliseconds).unref());
  }
}

/** The gate of announces, with the lists of today; changes of them reach it. */
function gateOf({ config, threads }: Program): PeerGate {
  const access = new Access(threads.shared.access);
  threads.addPart({
    take(update) {
      if (update.access !== undefined) access.update(update.access);
    },
  });
  const limits = new Limits(0, threads.shared.limits);
  return new PeerGate(access, limits, config.privateAddresses === "refuse");
}

const round = (seconds: number): number => Math.round(seconds * 10) / 10;

function judgeBy(gate: PeerGate): Judge {
  return {
    maySwarm: (infoHash) => gate.judgeSwarm(infoHash) === VERDICT_OK,
    mayPeer: (bytes, at, family, port) => gate.passes(bytes, at, family, port),
  };
}
