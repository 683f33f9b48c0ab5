/**
 * Builds the parts with which one thread answers HTTP, from what all threads share: the event loop,
 * or a worker.
 */
import { Access } from "../access/access.ts";
import { Outbox } from "../cluster/outbox.ts";
import type { Config } from "../config/schema.ts";
import { Counters } from "../counters/counters.ts";
import { Histogram } from "../counters/histograms.ts";
import { now } from "../host/clock.ts";
import { repliesSize } from "../http/announce.ts";
import { GATHERED_MAX } from "../http/gathered.ts";
import { Intervals } from "../limits/intervals.ts";
import { Limits } from "../limits/limits.ts";
import { Networks } from "../net/addresses.ts";
import { AllowedHosts } from "../notes/hosts.ts";
import { Notes } from "../notes/notes.ts";
import { Prefetch } from "../swarm/prefetch.ts";
import type { Store } from "../swarm/store.ts";
import { Tracker } from "../swarm/tracker.ts";
import type { UdpShared } from "../udp/answering.ts";
import type { Update } from "./threads.ts";

/** A proxy or a benchmark on this machine may open many connections; strangers cannot. */
const LOOPBACK = ["127.0.0.0/8", "::1"];

/** The settings of announces, scrapes and connections over HTTP; can be posted to a worker. */
export type HttpConfig = Pick<
  Config,
  | "allowHosts"
  | "warningMessage"
  | "redirectUrl"
  | "numwantDefault"
  | "numwantMax"
  | "scrapeHashesMax"
  | "trustedProxies"
  | "proxyHeader"
  | "allowIpParameter"
  | "privateAddresses"
  | "externalAddresses"
>;

/** Whose connections have no limit of their own. */
export function exemptNetworks({ trustedProxies }: Pick<Config, "trustedProxies">): Networks {
  return new Networks([...LOOPBACK, ...trustedProxies]);
}

/** The parts of thread `thread`, which is 0 for the event loop. */
export function answerHttp(shared: UdpShared, thread: number, store: Store, config: HttpConfig) {
  const access = new Access(shared.access);
  const limits = new Limits(thread, shared.limits);
  const notes = new Notes(shared.notes!, thread);
  const outbox = shared.outbox && new Outbox(shared.outbox, thread, store.peerTicks);
  const allowedHosts = new AllowedHosts(config.allowHosts);
  return {
    outbox,
    /** What routes.ts needs of them. */
    deps: {
      tracker: new Tracker(store, new ArrayBuffer(repliesSize(config.numwantMax))),
      prefetch: new Prefetch(store, GATHERED_MAX),
      counters: new Counters(shared.counters, thread),
      intervals: new Intervals(shared.intervals),
      now,
      access,
      limits,
      requestSeconds: new Histogram(shared.histograms!, thread, "httpRequestSeconds"),
      notes,
      outbox,
      allowedHosts,
      settings: {
        warningMessage: config.warningMessage,
        redirectUrl: config.redirectUrl,
        numwantDefault: config.numwantDefault,
        numwantMax: config.numwantMax,
        scrapeMax: config.scrapeHashesMax,
        trustedProxies: config.trustedProxies,
        proxyHeader: config.proxyHeader,
        allowIpParameter: config.allowIpParameter,
        refusePrivate: config.privateAddresses === "refuse",
        externalAddresses: config.externalAddresses,
      },
    },
    /** Uses new lists and rules, beginning with the next request. */
    take({ access: lists, rules }: Pick<Update, "access" | "rules">): void {
      if (lists !== undefined) access.update(lists);
      if (rules !== undefined) limits.rules.update(rules);
    },
  };
}
