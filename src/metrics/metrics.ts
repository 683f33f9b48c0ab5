/**
 * /metrics: all counters and gauges, in Prometheus' text format.
 *
 * Names have the prefix `tracker_`, base units and, for counters, `_total`. Every series exists
 * from the start, with the value 0. No metric walks the swarms: a scrape takes less than a
 * millisecond and delays no request.
 */
import type { AccessStatus } from "../access/keeper.ts";
import { type Machine } from "../host/machine.ts";
import { type Warnings, WARNINGS } from "../admin/warnings.ts";
import type { RuleCount } from "../limits/rule-keeper.ts";
import { type CounterName, type Counters, REASONS, TRANSPORTS } from "../counters/counters.ts";
import type { WallClock } from "../host/clock.ts";
import { LOG_LEVELS, LOG_WARNINGS, type Log } from "../host/log.ts";
import { bytesBeside, type Census, takeCensus } from "../swarm/census.ts";
import { garbage } from "../host/garbage.ts";
import { PAGE_SIZE, type SwarmMemory } from "../swarm/memory.ts";
import { NOT_STORED_REASONS } from "../swarm/requests.ts";
import type { SnapshotFigures } from "../snapshot/snapshots.ts";
import { type Sweep, SWARM_SIZES } from "../swarm/sweep.ts";
import type { ClusterFigures } from "../cluster/cluster-figures.ts";
import { writeCluster } from "./cluster-metrics.ts";
import { Exposition } from "./exposition.ts";
import { HISTOGRAMS, type HistogramName, readHistogram } from "../counters/histograms.ts";

/** Reloads of the files since the start. */
export interface Reloads {
  good: number;
  failed: number;
  /** The time of the last good reading, in seconds since the start. */
  lastSeconds: number;
}

/** Where the numbers come from. */
export interface MetricsSources {
  build: { version: string; commit: string };
  wallClock: Pick<WallClock, "at">;
  counters: Counters;
  histograms: SharedArrayBuffer;
  memory: SwarmMemory;
  sweep: Pick<Sweep, "sizes" | "roundEndedSeconds">;
  log: Pick<Log, "counts" | "warned">;
  warnings: Pick<Warnings, "counts">;
  machine: Pick<Machine, "drops" | "conntrack" | "files">;
  /** Undefined if the swarms are not kept over a restart. */
  snapshots: SnapshotFigures | undefined;
  access: () => AccessStatus;
  reloads: () => Reloads;
  rules: () => RuleCount[];
  /** The smallest receive buffer that was granted; not finite if it is not known. */
  receiveBufferBytes: () => number;
  /** The factor by which intervals are longer than usual; 1 if they are not. */
  stretch: () => number;
  /** Open HTTP connections, their limit, and the connections we closed, by reason. */
  connections: () => { open: number; limit: number; closed: Record<string, number> };
  /** When the certificate expires, in seconds since 1970; undefined without HTTPS. */
  certificateExpires: () => number | undefined;
  /** WebSockets; undefined if they are off. */
  browsers: () => BrowserFigures | undefined;
  /** Undefined if peers are not shared with other trackers. */
  cluster: () => ClusterFigures | undefined;
}

/** Figures of WebSockets. */
export interface BrowserFigures {
  connections: number;
  limit: number;
  swarms: number;
  seeders: number;
  leechers: number;
  closed: Readonly<Record<string, number>>;
}

/** The counters that transports have alike. */
type EachName = "Early" | "OverRateAnnounces" | "OwnAddresses" | "ReceivedBytes" | "SentBytes";

/** The value of the metric if there is no limit on files. */
const FILES_UNLIMITED = 2 ** 31;

/** The pieces of the page, the page, and its bytes on their way. */
const GARBAGE_PER_CHARACTER = 8;

const EVENTS: readonly (readonly [string, CounterName])[] = [
  ["none", "eventNone"],
  ["started", "eventStarted"],
  ["completed", "eventCompleted"],
  ["stopped", "eventStopped"],
  ["paused", "eventPaused"],
];

/** The page with the current values. */
export function metricsText(sources: MetricsSources): string {
  const out = new Exposition();
  const census = takeCensus(sources.memory);
  writeProgram(out, sources);
  writeRequests(out, sources.counters);
  writeTraffic(out, sources.counters);
  writeTimes(out, sources.histograms);
  writeSwarms(out, sources, census);
  writeSnapshots(out, sources);
  writeMemory(out, sources.memory, census);
  writeRules(out, sources);
  writeMachine(out, sources);
  writeProcess(out, sources);
  writeBrowsers(out, sources);
  const cluster = sources.cluster();
  if (cluster !== undefined) writeCluster(out, cluster, sources.histograms);
  garbage.note(GARBAGE_PER_CHARACTER * out.text.length);
  return out.text;
}

function writeProgram(out: Exposition, { build, wallClock, log, warnings }: MetricsSources) {
  out.family("tracker_build_info", "gauge", "Version, commit and runtime, as labels.");
  out.sample(1, { ...build, bun: Bun.version });
  const started = "When the tracker started, in seconds since 1970.";
  out.single("tracker_start_time_seconds", "gauge", started, round(wallClock.at(0)));
  out.family("tracker_log_messages_total", "counter", "Lines written to the log.");
  for (const level of LOG_LEVELS) out.sample(log.counts[level], { level });
  out.family("tracker_warnings_total", "counter", "Warnings, by what they are about.");
  for (const warning of WARNINGS) out.sample(warnings.counts[warning], { warning });
  for (const warning of LOG_WARNINGS) out.sample(log.warned[warning], { warning });
}

function writeRequests(out: Exposition, counters: Counters): void {
  const answered = (name: string, transport: string, action: string) => {
    for (const family of ["ipv4", "ipv6"]) {
      const counter = `${name}${family === "ipv4" ? "Ipv4" : "Ipv6"}` as CounterName;
      out.sample(counters.total(counter), { transport, action, family });
    }
  };
  out.family("tracker_requests_answered_total", "counter", "Requests that were answered.");
  answered("udpConnects", "udp", "connect");
  answered("udpAnnounces", "udp", "announce");
  answered("udpScrapes", "udp", "scrape");
  answered("httpAnnounces", "http", "announce");
  answered("httpScrapes", "http", "scrape");
  answered("websocketAnnounces", "websocket", "announce");
  answered("websocketAnswers", "websocket", "answer");
  answered("websocketScrapes", "websocket", "scrape");
  out.family(
    "tracker_announces_answered_total",
    "counter",
    "Announces that were answered, by event.",
  );
  for (const [event, name] of EVENTS) out.sample(counters.total(name), { event });
  out.family(
    "tracker_rejected_total",
    "counter",
    "Requests that were refused or dropped, by reason.",
  );
  for (const transport of TRANSPORTS) {
    for (const reason of REASONS[transport]) {
      out.sample(counters.total(`${transport}:${reason}`), { transport, reason });
    }
  }
}

function writeTraffic(out: Exposition, counters: Counters): void {
  const each = (name: string, help: string, counter: EachName) => {
    out.family(name, "counter", help);
    for (const transport of TRANSPORTS) {
      out.sample(counters.total(`${transport}${counter}`), { transport });
    }
  };
  const early = "Announces before the minimum interval was over, answered or not.";
  each("tracker_early_announces_total", early, "Early");
  const over = "Announces over a rate limit that were answered; they do not lengthen intervals.";
  each("tracker_over_rate_announces_answered_total", over, "OverRateAnnounces");
  const own = "Announces of peers with an address of this machine: answered, but not stored.";
  each("tracker_own_address_announces_total", own, "OwnAddresses");
  out.family(
    "tracker_over_rate_requests_total",
    "counter",
    "Requests over a rate limit, refused or not.",
  );
  for (const transport of TRANSPORTS) {
    for (const limit of ["address", "network"] as const) {
      const name = limit === "address" ? "OverRateAddress" : "OverRateNetwork";
      out.sample(counters.total(`${transport}${name}`), { transport, limit });
    }
  }
  const received = "Bytes of requests; over HTTP, of their URLs.";
  each("tracker_request_bytes_total", received, "ReceivedBytes");
  const sent =
    "Bytes of replies; over HTTP, of their bodies; over WebSocket, with what is passed on.";
  each("tracker_reply_bytes_total", sent, "SentBytes");
  out.family("tracker_send_failures_total", "counter", "Replies that the system did not send.");
  out.sample(counters.total("udpSendFailures"), { transport: "udp" });
  const calls = "Calls in which UDP workers asked for datagrams, with or without success.";
  out.single("tracker_udp_receive_calls_total", "counter", calls, counters.total("udpTurns"));
  const pages = "Pages for people and operators that were answered over HTTP.";
  out.family("tracker_pages_total", "counter", pages);
  out.sample(counters.total("httpFront"), { page: "front" });
  out.sample(counters.total("httpStats"), { page: "stats" });
  out.sample(counters.total("httpFullScrapes"), { page: "full_scrape" });
  out.sample(counters.total("httpRedirects"), { page: "redirect" });
  const bytes = "Bytes of full scrapes before compression.";
  const full = counters.total("httpFullScrapeBytes");
  out.single("tracker_full_scrape_bytes_total", "counter", bytes, full);
}

function writeTimes(out: Exposition, memory: SharedArrayBuffer): void {
  const histogram = (name: HistogramName, labels = {}) =>
    out.histogram(readHistogram(memory, name), HISTOGRAMS[name], labels);
  out.family(
    "tracker_request_duration_seconds",
    "histogram",
    "From read to replied. UDP: a batch's time, shared by its datagrams. Others: one in 16.",
  );
  histogram("udpRequestSeconds", { transport: "udp" });
  histogram("httpRequestSeconds", { transport: "http" });
  histogram("websocketRequestSeconds", { transport: "websocket" });
  out.family("tracker_batch_datagrams", "histogram", "Datagrams that were read together.");
  histogram("batchDatagrams");
  const lag = "How late the timers of the event loop run.";
  out.family("tracker_event_loop_lag_seconds", "histogram", lag);
  histogram("eventLoopLagSeconds");
  out.family("tracker_sweep_duration_seconds", "histogram", "Duration of a slice of the sweep.");
  histogram("sweepSeconds");
}

function writeSwarms(out: Exposition, sources: MetricsSources, census: Census): void {
  out.single("tracker_swarms", "gauge", "Swarms, with and without peers.", census.swarms);
  const empty = "Swarms without peers, kept for their download counters; they give way first.";
  out.single("tracker_swarms_without_peers", "gauge", empty, census.swarmsEmpty);
  out.family("tracker_peers", "gauge", "Peers that are stored.");
  out.sample(census.seedersIpv4, { role: "seeder", family: "ipv4" });
  out.sample(census.leechersIpv4, { role: "leecher", family: "ipv4" });
  out.sample(census.seedersIpv6, { role: "seeder", family: "ipv6" });
  out.sample(census.leechersIpv6, { role: "leecher", family: "ipv6" });
  const downloads = "Downloads that clients reported completed.";
  out.single("tracker_downloads_total", "counter", downloads, census.downloads);
  const expired = "Peers forgotten because they did not announce any more.";
  out.single("tracker_peers_expired_total", "counter", expired, census.peersExpired);
  const limits = "Peers that announced or were pulled and not stored, by what was at its limit.";
  out.family("tracker_announces_not_stored_total", "counter", limits);
  for (const [at, reason] of NOT_STORED_REASONS.entries()) {
    out.sample(census.peersNotStored[at], { reason });
  }
  const { sizes, roundEndedSeconds } = sources.sweep;
  out.family(
    "tracker_swarms_by_size",
    "gauge",
    "Swarms with 1 to peers_max peers, counted by the last sweep; cumulative.",
  );
  for (const [at, most] of SWARM_SIZES.entries())
    out.sample(sizes[at], { peers_max: String(most) });
  out.single(
    "tracker_sweep_completed_timestamp_seconds",
    "gauge",
    "When all swarms had last been swept, or the start, in seconds since 1970.",
    round(sources.wallClock.at(roundEndedSeconds)),
  );
}

function writeSnapshots(out: Exposition, { snapshots, wallClock }: MetricsSources): void {
  if (snapshots === undefined) return;
  const { intervalSeconds, keptSeconds = 0, bytes, peers, durationSeconds } = snapshots;
  out.single(
    "tracker_snapshot_timestamp_seconds",
    "gauge",
    "When the swarms of the file were stored, without one the start, in seconds since 1970.",
    round(wallClock.at(keptSeconds)),
  );
  const interval = "How often the swarms are written to their file; 0 only at the end.";
  out.single("tracker_snapshot_interval_seconds", "gauge", interval, intervalSeconds);
  out.single("tracker_snapshot_bytes", "gauge", "Size of the last snapshot.", bytes);
  out.single("tracker_snapshot_peers", "gauge", "Peers in the last snapshot.", peers);
  const duration = "How long the last snapshot took, with its way to the disk.";
  out.single("tracker_snapshot_duration_seconds", "gauge", duration, durationSeconds);
  out.family("tracker_snapshots_total", "counter", "Snapshots of the swarms since the start.");
  out.sample(snapshots.written, { result: "written" });
  out.sample(snapshots.failed, { result: "failed" });
  const restored = "restored at the start from the snapshot of an earlier run.";
  const { restoredPeers, restoredSwarms } = snapshots;
  out.single("tracker_restored_peers", "gauge", `Peers ${restored}`, restoredPeers);
  out.single("tracker_restored_swarms", "gauge", `Swarms ${restored}`, restoredSwarms);
}

function writeMemory(out: Exposition, memory: SwarmMemory, census: Census): void {
  // Use one census: a page taken between two of them could make the size of the table negative.
  const { memoryOfPages: peers } = census;
  const buffers = memory.pages.byteLength + bytesBeside(memory);
  out.family("tracker_memory_bytes", "gauge", "Memory in use, by what it holds.");
  out.sample(peers, { area: "peers" });
  out.sample(census.memoryUsed - peers, { area: "table" });
  out.sample(buffers, { area: "buffers" });
  const limit = "Memory that peers and tables may use at most.";
  out.single("tracker_memory_limit_bytes", "gauge", limit, census.memoryMax);
  const pages = Math.floor(memory.arena.byteLength / PAGE_SIZE);
  out.single("tracker_peer_memory_pages", "gauge", "Memory pages of 8 KiB for peers.", pages);
  const help = "Memory pages of 8 KiB that hold peers.";
  out.single("tracker_peer_memory_pages_used", "gauge", help, peers / PAGE_SIZE);
}

function writeRules(out: Exposition, sources: MetricsSources): void {
  const status = sources.access();
  out.family("tracker_access_list_entries", "gauge", "Entries of the access lists.");
  out.sample(status.denied, { list: "deny" });
  out.sample(status.allowed, { list: "allow" });
  out.sample(status.networks, { list: "networks" });
  const removed = "Swarms removed because the access lists refuse them.";
  out.single("tracker_access_swarms_removed_total", "counter", removed, status.evicted);
  const maintenance = Number(status.maintenance);
  out.single("tracker_maintenance", "gauge", "1 while announces are refused.", maintenance);
  out.family("tracker_reloads_total", "counter", "Reloads of the files since the start.");
  const reloads = sources.reloads();
  out.sample(reloads.good, { result: "ok" }).sample(reloads.failed, { result: "error" });
  out.family("tracker_access_changes_total", "counter", "Single changes of the access lists.");
  out.sample(status.changes, { result: "ok" }).sample(status.changesFailed, { result: "error" });
  out.single(
    "tracker_reload_timestamp_seconds",
    "gauge",
    "When the files were last read, in seconds since 1970.",
    round(sources.wallClock.at(reloads.lastSeconds)),
  );
  out.family("tracker_rule_matches_total", "counter", "Requests that matched a rule, by its line.");
  for (const { line, count } of sources.rules()) out.sample(count, { line: String(line) });
  const stretch = "By how much intervals are longer than usual, because of the load.";
  out.single("tracker_interval_stretch_ratio", "gauge", stretch, sources.stretch());
}

function writeMachine(out: Exposition, sources: MetricsSources): void {
  const { machine } = sources;
  const drops = machine.drops();
  if (drops !== undefined) {
    const help = "Datagrams the kernel dropped because our receive buffers were full.";
    out.single("tracker_udp_receive_drops_total", "counter", help, drops);
  }
  const buffer = sources.receiveBufferBytes();
  if (Number.isFinite(buffer)) {
    const help = "The smallest receive buffer of our UDP sockets.";
    out.single("tracker_udp_receive_buffer_bytes", "gauge", help, buffer);
  }
  const expires = sources.certificateExpires();
  if (expires !== undefined) {
    const help = "When the certificate of HTTPS expires, in seconds since 1970.";
    out.single("tracker_certificate_expiry_timestamp_seconds", "gauge", help, expires);
  }
  const conntrack = machine.conntrack();
  if (conntrack === undefined) return;
  const entries = "Entries of the kernel's table of connections.";
  out.single("tracker_conntrack_entries", "gauge", entries, conntrack.entries);
  const limit = "Limit of entries in the kernel's table of connections.";
  out.single("tracker_conntrack_limit", "gauge", limit, conntrack.limit);
}

function writeProcess(out: Exposition, { machine, wallClock, connections }: MetricsSources) {
  const { open, limit, closed } = connections();
  out.single("tracker_http_connections", "gauge", "Open connections over HTTP.", open);
  const allowed = "Limit of open connections over HTTP.";
  out.single("tracker_http_connections_limit", "gauge", allowed, limit);
  const help = "Connections over HTTP that were closed for what the client did, by reason.";
  out.family("tracker_http_connections_closed_total", "counter", help);
  for (const [reason, count] of Object.entries(closed)) out.sample(count, { reason });
  const { user, system } = process.cpuUsage();
  const cpu = "CPU time used, in seconds.";
  out.single("process_cpu_seconds_total", "counter", cpu, (user + system) / 1e6);
  const resident = "Resident memory.";
  out.single("process_resident_memory_bytes", "gauge", resident, process.memoryUsage.rss());
  const started = "When the process started, in seconds since 1970.";
  out.single("process_start_time_seconds", "gauge", started, round(wallClock.at(0)));
  const files = machine.files();
  if (files === undefined) return;
  out.single("process_open_fds", "gauge", "Open files.", files.open);
  const most = Number.isFinite(files.limit) ? files.limit : FILES_UNLIMITED;
  out.single("process_max_fds", "gauge", "Files that may be open.", most);
}

function writeBrowsers(out: Exposition, { browsers, counters }: MetricsSources): void {
  const figures = browsers();
  if (figures === undefined) return;
  const { connections, limit, swarms, seeders, leechers, closed } = figures;
  out.single("tracker_websocket_connections", "gauge", "Open WebSockets.", connections);
  out.single("tracker_websocket_connections_limit", "gauge", "Limit of open WebSockets.", limit);
  const help = "WebSockets that were closed by the tracker, by reason.";
  out.family("tracker_websocket_connections_closed_total", "counter", help);
  for (const [reason, count] of Object.entries(closed)) out.sample(count, { reason });
  out.single("tracker_websocket_swarms", "gauge", "Swarms of WebSocket peers.", swarms);
  out.family("tracker_websocket_peers", "gauge", "WebSocket peers that are stored.");
  out.sample(seeders, { role: "seeder" }).sample(leechers, { role: "leecher" });
  const offers = "Offers of connections, by what became of them.";
  out.family("tracker_websocket_offers_total", "counter", offers);
  out.sample(counters.total("websocketOffers"), { result: "passed" });
  out.sample(counters.total("websocketOffersSkipped"), { result: "invalid" });
  const answers = "Answers to offers that were passed on.";
  const passed = counters.total("websocketAnswersPassed");
  out.single("tracker_websocket_answers_total", "counter", answers, passed);
}

/** Rounds to milliseconds. */
function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
