/**
 * What `buntracker check` says of the cluster: of each NATS server whether it answers and lets this
 * tracker in, which trackers are heard there, and whether strangers may listen or publish.
 *
 * The start tolerates all of it. But a server that answers and refuses this tracker is an error of
 * the check: it is the settings, here or there, that must change before a restart.
 */
import type { Trial } from "../cluster/trial.ts";
import { type Engine, showEngine } from "../config/cluster-settings.ts";
import type { Config } from "../config/schema.ts";
import type { Login, Refusal } from "../cluster/link.ts";
import { readLogin } from "./cluster-login.ts";
import { sentenceOf } from "./foresee.ts";
import { explainByEnd, loginWarnings } from "./login-end.ts";
import { printable } from "../verbs/printable.ts";

/** What was found, as sentences. */
export interface ClusterReport {
  /** A line for each server that is right. */
  lines: string[];
  warnings: string[];
  /** Servers that are there and do not let this tracker in: it would start, and not share. */
  refusals: { message: string; hint: string }[];
}

const LOOPBACK = /^(127\.|::1$|localhost$)/;

/** Tries all servers at once, which takes some seconds. The files of the login must be readable. */
export async function tryCluster(config: Config): Promise<ClusterReport> {
  const { clusterUrls: engines, clusterName: name, clusterNode: node } = config;
  const report: ClusterReport = { lines: [], warnings: [], refusals: [] };
  if (engines.length === 0) return report;
  const login = await readLogin(config);
  report.warnings.push(...engines.flatMap((engine) => exposure(engine, login)));
  const seconds = Date.now() / 1000;
  for (const { message, fields } of loginWarnings(login, seconds)) {
    report.warnings.push(sentenceOf(message, fields));
  }
  const { tryEngine } = await import("../cluster/trial.ts");
  const options = { login, name, node };
  const trials = await Promise.all(engines.map((engine) => tryEngine(engine, options)));
  for (const [at, trial] of trials.entries()) {
    const { problem } = trial;
    const engine = engines[at];
    if (problem === undefined) report.lines.push(lineOf(engine, login, trial));
    else noteProblem(report, engine, explainByEnd(problem, login, seconds));
    if (problem === undefined && !trial.asksLogin && hasPassword(engine, login)) {
      const what = "asks for no login, so any program that reaches it may name any peer";
      report.warnings.push(`${showEngine(engine)} ${what}: set the user in its configuration`);
    }
    if (trial.otherVersion) {
      const what = "a tracker of another version is heard, which shares nothing with this one";
      report.warnings.push(`${showEngine(engine)}: ${what}: run the same version everywhere`);
    }
  }
  return report;
}

/** A server that is away may come back; one that refuses this tracker goes on refusing it. */
function noteProblem(
  report: ClusterReport,
  engine: Engine,
  { reason, remedy, answered }: Refusal,
): void {
  const message = `${showEngine(engine)}: ${reason}`;
  if (answered) report.refusals.push({ message, hint: remedy });
  else report.warnings.push(`${message}: ${remedy}`);
}

function lineOf(engine: Engine, login: Login, { nodes, asksLogin }: Trial): string {
  const tls = engine.tls ? "with TLS" : "without TLS";
  const right = asksLogin ? "the login is right" : "no login is asked for";
  const how = hasPassword(engine, login) ? right : "without a login";
  const heard =
    nodes.length === 0 ? "no tracker is heard" : `trackers heard: ${printable(nodes.join(", "))}`;
  return `${showEngine(engine)} answers ${tls}, ${how}; ${heard}`;
}

/** What strangers may do, unless the server is on this machine. */
export function exposure(engine: Engine, login: Login): string[] {
  if (LOOPBACK.test(engine.host)) return [];
  const warnings: string[] = [];
  const where = `${showEngine(engine)} is not on this machine`;
  if (!engine.tls) {
    warnings.push(`${where}, and addresses of peers go there in the clear: write tls://`);
  }
  if (!hasLogin(engine, login)) {
    const remedy = "set TRACKER_CLUSTER_USER and TRACKER_CLUSTER_PASSWORD_FILE";
    warnings.push(`${where}, and any program that reaches it may name any peer: ${remedy}`);
  }
  return warnings;
}

const hasPassword = (engine: Engine, { user, credentials }: Login): boolean =>
  [engine.user, user, credentials].some((part) => part !== undefined);

const hasLogin = (engine: Engine, login: Login): boolean =>
  hasPassword(engine, login) || (engine.tls && login.cert !== undefined);
