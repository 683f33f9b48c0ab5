/**
 * Shares the peers with other trackers, where TRACKER_CLUSTER_URL says so.
 *
 * Its modules are loaded only then: without the setting they take no memory. Nothing here is waited
 * for at the start, and no announce waits for it: without a server of NATS each tracker goes on
 * alone.
 */
import { Access } from "../access/access.ts";
import { Outboxes } from "../cluster/outbox.ts";
import type { Sharing } from "../cluster/sharing.ts";
import { PeerGate } from "../gates/peer-gate.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";
import { now } from "../host/clock.ts";
import { readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import { nextTurn } from "../host/turns.ts";
import { Limits } from "../limits/limits.ts";
import type { LogFields } from "../host/log.ts";
import type { Judge } from "../swarm/put-back.ts";
import { Tracker } from "../swarm/tracker.ts";
import type { Program } from "./program.ts";

const TURN_MILLISECONDS = 50;
const HELLO_MILLISECONDS = 1000;
/** The core of what others tell writes no peers; it wants a buffer. */
const REPLIES_BYTES = 64;

/** What shares the peers. */
export interface SharedPeers {
  readonly sharing: Sharing;
  /** Connects; resolves at once. */
  begin(): Promise<void>;
  /** Tells the others that this tracker ends, and what still waits. */
  end(): Promise<void>;
}

/** When the snapshot that was restored was written; see SnapshotFigures. */
type Restored = { keptSeconds: number | undefined } | undefined;

/** Prepares the sharing; undefined if this tracker is alone. Rejects with a StartError. */
export async function sharePeers(
  program: Program,
  restored: Restored,
): Promise<SharedPeers | undefined> {
  const { config, threads, store, log } = program;
  const { outbox } = threads.shared;
  if (outbox === undefined) return undefined;
  const login = readLogin(program);
  const [{ Sharing }, { Applying }, { NatsLink }] = await Promise.all([
    import("../cluster/sharing.ts"),
    import("../cluster/applying.ts"),
    import("../cluster/link.ts"),
  ]);
  const gate = gateOf(program);
  const origin = crypto.getRandomValues(new Uint8Array(8)).toHex();
  const restoredAt = restored?.keptSeconds;
  let link: Awaited<ReturnType<typeof NatsLink.open>> | undefined;
  const told = new Set<string>();
  const sharing = new Sharing({
    ...{ origin, node: config.clusterNode, store, outboxes: new Outboxes(outbox) },
    applying: new Applying(new Tracker(store, new ArrayBuffer(REPLIES_BYTES)), gate),
    link: {
      get up() {
        return link?.up ?? false;
      },
      sendAll: (message) => link?.sendAll(message) ?? false,
      sendTo: (to, message) => link?.sendTo(to, message) ?? false,
    },
    judge: () => judgeBy(gate),
    random: Math.random,
    keptSeconds: () => store.peerLifetime * store.peerTicks.seconds,
    restoredSeconds: (at) => (restoredAt === undefined ? Infinity : at - restoredAt),
    ended(outcome, peers, seconds) {
      const fields = { peers, seconds: Math.round(seconds * 1000) / 1000 };
      if (outcome === "done") log.info("caught up with other trackers", fields);
      else log.warn("catching up with another tracker failed: others are asked", fields, null);
    },
    otherVersion: () => {
      const remedy = "run the same version of buntracker at all trackers of the cluster";
      warnOnce("a tracker of the cluster speaks another version and shares nothing", { remedy });
    },
  });

  /** Says each thing once, until the link changes. */
  function warnOnce(message: string, fields: LogFields): void {
    const key = `${message} ${Object.values(fields).join(" ")}`;
    if (told.has(key)) return;
    told.add(key);
    log.warn(message, fields, null);
  }

  let giving = false;
  /** A millisecond in each turn of the event loop, until all that asked have what they may get. */
  async function give(): Promise<void> {
    if (giving) return;
    giving = true;
    while (sharing.giving.works) {
      await nextTurn();
      for (const end = now() + 0.001; now() < end && sharing.give(now()););
    }
    giving = false;
  }

  const timers: NodeJS.Timeout[] = [];
  function every(milliseconds: number, task: () => void): void {
    timers.push(setInterval(task, milliseconds).unref());
  }

  return {
    sharing,
    async begin() {
      const { clusterUrls: engines, clusterName: name, clusterNode: node } = config;
      link = await NatsLink.open(
        { engines, login, name, origin, node },
        {
          heard(message) {
            sharing.heard(message, now());
            void give();
          },
          connected(engine) {
            told.clear();
            log.info("connected to the cluster", { cluster: name, node, engine });
            sharing.hello(now());
          },
          lost(engine, reason) {
            sharing.cutOff(now());
            const remedy = "none needed if it comes back: this tracker goes on alone meanwhile";
            log.warn("cut off from the cluster", { engine, reason, remedy }, null);
          },
          refused: (engine, reason, remedy) =>
            warnOnce("the cluster cannot be reached", { engine, reason, remedy }),
        },
      );
      every(TURN_MILLISECONDS, () => {
        while (sharing.turn(now()));
      });
      every(HELLO_MILLISECONDS, () => sharing.hello(now()));
    },
    async end() {
      for (const timer of timers) clearInterval(timer);
      sharing.drain(now());
      await link?.close();
    },
  };
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

function judgeBy(gate: PeerGate): Judge {
  return {
    maySwarm: (infoHash) => gate.judgeSwarm(infoHash) === VERDICT_OK,
    mayPeer: (bytes, at, family, port) => gate.passes(bytes, at, family, port),
  };
}

/** Reads the files to log in with, before any socket is bound. Throws a StartError. */
function readLogin({ config }: Program) {
  const read = (variable: string, path: string | undefined): string | undefined => {
    if (path === undefined) return undefined;
    try {
      return readSmallFile(path);
    } catch (error) {
      const { code } = error as { code?: string };
      throw new StartError(
        `${variable}: ${path} cannot be read: ${code}`,
        "let the user it runs as read it",
      );
    }
  };
  return {
    user: config.clusterUser,
    password: config.clusterPassword,
    credentials: read("TRACKER_CLUSTER_CREDENTIALS_FILE", config.clusterCredentialsFile),
    ca: read("TRACKER_CLUSTER_TLS_CA_FILE", config.clusterTlsCaFile),
    cert: read("TRACKER_CLUSTER_TLS_CERT_FILE", config.clusterTlsCertFile),
    key: read("TRACKER_CLUSTER_TLS_KEY_FILE", config.clusterTlsKeyFile),
  };
}
