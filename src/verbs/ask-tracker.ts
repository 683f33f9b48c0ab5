/**
 * The verbs that talk to a tracker, or to people about one: health, top, dns, plan, selftest,
 * swarm, cluster, and those that change the running tracker. Loaded only when one is called.
 */
import { networkInterfaces } from "node:os";
import type { Config } from "../config/schema.ts";
import { type Listener, parseHostName } from "../config/settings.ts";
import { EXIT_FAILED, EXIT_OK } from "../constants.ts";
import { isIPv4, isIPv6 } from "../net/addresses.ts";
import { HASH_FORMS, readInfoHashes } from "../net/written-hashes.ts";
import { type AdminAnswer, AdminClient, type ListVerb, UnprovenError } from "./admin-client.ts";
import { askForPage } from "./admin-client.ts";
import { clusterText, readCluster } from "./cluster-report.ts";
import type { Report } from "./conformance/conformance.ts";
import { dnsAdvice } from "./dns-advice.ts";
import { fail, type Output, say } from "./output.ts";
import type { PlanVerbOptions } from "./plan-verb.ts";
import { excerpt } from "./printable.ts";
import { probeHttp, probeUdp } from "./probe.ts";
import { selftest } from "./selftest.ts";
import { readSwarms, swarmText } from "./swarm-report.ts";
import { Terminal } from "./terminal.ts";
import { runTop } from "./top.ts";

/** How long `health` waits for an answer, in milliseconds. */
const HEALTH_TIMEOUT_MILLISECONDS = 2000;

/** Hints if the tracker does not answer. */
const NOT_RUNNING = "start the tracker, or give this command the settings it runs with";
const ANY_PORT = "name a port where the tracker runs, and give this command the same";
const NO_ADDRESS = "set it here and where the tracker runs, such as to 127.0.0.1:6970";
const NO_TOKEN = "set it, or TRACKER_ADMIN_TOKEN_FILE, here as where the tracker runs";
const UNPROVEN =
  "set TRACKER_ADMIN_TOKEN, or TRACKER_ADMIN_TOKEN_FILE, here as where the tracker runs; " +
  "if it is the same, another program has that port: see ss -lnp";
/** Hints if the tracker refuses a change, by status; other answers hold theirs (see admin.ts). */
const REFUSAL_HINTS: Record<number, string | undefined> = {
  409: "set it where the tracker runs, and restart it; the file may be empty",
};

/** Verbs that change the running tracker. */
type AdminVerb = ListVerb | "maintenance";

/** Executes the verb, which has the operands it needs. Returns the exit code. */
export async function askTracker(
  verb: "health" | "top" | "cluster" | "dns" | "selftest" | "swarm" | "plan" | AdminVerb,
  operands: string[],
  options: VerbOptions,
  config: Config,
  output: Output,
): Promise<number> {
  if (verb === "health") return health(config, output);
  if (verb === "top") return top(config, output);
  if (verb === "dns") return dns(config, operands[0], output);
  if (verb === "selftest") return test(operands, options, output);
  if (verb === "plan") {
    const { planVerb } = await import("./plan-verb.ts");
    const { format } = options;
    return planVerb({ ...options, format: format === "json" ? format : "text" }, config, output);
  }
  if (verb === "cluster") return cluster(config, options, output);
  if (verb === "swarm") return swarm(config, operands, options, output);
  return administer(config, verb, operands, output);
}

/** The options of the verbs. */
export interface VerbOptions extends Omit<PlanVerbOptions, "format"> {
  /** The form of the output. */
  format: "text" | "json" | "junit";
  /** Whether a test examines all statements. */
  all?: boolean | undefined;
  /** Whether the peers of a swarm are asked for. */
  addresses?: boolean | undefined;
}

/** Tests trackers: like a client, or each statement of the BEPs. */
async function test(
  urls: string[],
  { all, format }: VerbOptions,
  { stdout }: Output,
): Promise<number> {
  if (!all) return (await selftest(urls, stdout)) ? EXIT_OK : EXIT_FAILED;
  const { examineUrls, isConformant } = await import("./conformance/conformance.ts");
  const { reportAs, textOf, textOfWeights } = await import("./conformance/conformance-report.ts");
  // An address takes 20 seconds, so each is told of at once.
  const heard = (report: Report) => format === "text" && stdout(textOf(report));
  const reports = await examineUrls(urls, { heard });
  stdout(format === "text" ? textOfWeights() : reportAs(format, reports));
  return isConformant(reports) ? EXIT_OK : EXIT_FAILED;
}

async function health(config: Config, output: Output): Promise<number> {
  const [http] = config.httpListeners;
  const [udp] = config.udpListeners;
  for (const [variable, listener] of [
    ["TRACKER_HTTP_ADDRESS", http],
    ["TRACKER_UDP_ADDRESS", udp],
  ] as const) {
    if (listener?.port !== 0) continue;
    return fail(
      output,
      `${variable} has port 0, so the port that was chosen is not known`,
      ANY_PORT,
    );
  }
  const timeout = HEALTH_TIMEOUT_MILLISECONDS;
  const tls = config.tlsCertFile !== undefined;
  const asked = [
    http && {
      name: `http port ${http.port}`,
      probe: probeHttp({ ...http, tls: http.tls ?? tls }, timeout),
    },
    udp && { name: `udp port ${udp.port}`, probe: probeUdp(udp, timeout) },
  ];
  const silent: string[] = [];
  for (const one of asked) if (one && !(await one.probe)) silent.push(one.name);
  if (silent.length === 0) return say(output, "ok\n");
  const error = `no healthy answer from ${silent.join(" and ")}`;
  return fail(output, error, NOT_RUNNING);
}

async function top({ adminListeners }: Config, output: Output): Promise<number> {
  const [listener] = adminListeners;
  if (listener === undefined) return fail(output, "TRACKER_ADMIN_ADDRESS is empty", NO_ADDRESS);
  try {
    await runTop(listener, new Terminal(process), output.stdout);
    return EXIT_OK;
  } catch (error) {
    return failToAsk(listener, error, output);
  }
}

function dns(config: Config, name: string, output: Output): number {
  const bare = name.replace(/^\[(.*)\]$/, "$1");
  const parsed =
    isIPv4(bare) || isIPv6(bare)
      ? { problem: "is an address: records are for a name" }
      : parseHostName(name);
  if ("problem" in parsed) return fail(output, `${JSON.stringify(name)} ${parsed.problem}`);
  return say(output, dnsAdvice(parsed.host, { ...config, interfaces: networkInterfaces() }));
}

/** Prints what the running tracker knows of swarms. Fails if it knows none of them. */
async function swarm(
  { adminListeners, adminToken }: Config,
  operands: string[],
  { format, addresses = false }: VerbOptions,
  output: Output,
): Promise<number> {
  const [listener] = adminListeners;
  const wrong = operands.find(isNoInfoHash);
  if (wrong !== undefined) return failAtHash(wrong, output);
  if (listener === undefined) return fail(output, "TRACKER_ADMIN_ADDRESS is empty", NO_ADDRESS);
  if (addresses && adminToken === undefined) {
    return fail(output, "TRACKER_ADMIN_TOKEN is not set, which --addresses needs", NO_TOKEN);
  }
  const query = operands.flatMap(digitsOf).map((hash) => `hash=${hash}`);
  const target = `/swarms?${[...query, ...(addresses ? ["addresses=yes"] : [])].join("&")}`;
  try {
    const { status, text } = await askForPage(listener, adminToken, target);
    if (status !== 200) return fail(output, excerpt(text.trimEnd()));
    const swarms = readSwarms(text);
    if (swarms === undefined) throw new Error("the answer does not describe swarms");
    output.stdout(format === "json" ? text : swarms.map(swarmText).join(""));
    return swarms.some(({ known }) => known) ? EXIT_OK : EXIT_FAILED;
  } catch (error) {
    return failToAsk(listener, error, output);
  }
}

/** Prints the trackers with which the running one shares its peers. */
async function cluster(
  { adminListeners }: Config,
  { format }: VerbOptions,
  output: Output,
): Promise<number> {
  const [listener] = adminListeners;
  if (listener === undefined) return fail(output, "TRACKER_ADMIN_ADDRESS is empty", NO_ADDRESS);
  try {
    const { status, text } = await askForPage(listener, undefined, "/cluster");
    if (status !== 200) return fail(output, excerpt(text.trimEnd()));
    const figures = readCluster(text);
    if (figures === undefined) throw new Error("the answer does not describe a cluster");
    return say(output, format === "json" ? `${text.trimEnd()}\n` : clusterText(figures));
  } catch (error) {
    return failToAsk(listener, error, output);
  }
}

/** Requests changes from the running tracker, one after another; stops at the first failure. */
async function administer(
  { adminListeners, adminToken }: Config,
  verb: AdminVerb,
  operands: string[],
  output: Output,
): Promise<number> {
  const [listener] = adminListeners;
  const wrong = verb === "maintenance" ? undefined : operands.find(isNoInfoHash);
  if (wrong !== undefined) {
    return failAtHash(wrong, output);
  }
  if (listener === undefined) return fail(output, "TRACKER_ADMIN_ADDRESS is empty", NO_ADDRESS);
  if (adminToken === undefined) {
    return fail(output, "TRACKER_ADMIN_TOKEN is not set", NO_TOKEN);
  }
  const client = new AdminClient(listener, adminToken);
  const asked = verb === "maintenance" ? operands : operands.flatMap(digitsOf);
  for (const operand of asked) {
    let answer: AdminAnswer;
    try {
      answer =
        verb === "maintenance"
          ? await client.askForMaintenance(operand === "on")
          : await client.askForList(verb, operand);
    } catch (error) {
      return failToAsk(listener, error, output);
    }
    if (answer.status !== 200) return fail(output, answer.sentence, REFUSAL_HINTS[answer.status]);
    output.stdout(`${answer.sentence}\n`);
  }
  return EXIT_OK;
}

function failAtHash(wrong: string, output: Output): number {
  return fail(output, `${JSON.stringify(wrong)} is not an info hash`, `write ${HASH_FORMS}`);
}

function failToAsk({ port }: Listener, error: unknown, output: Output): number {
  const reason = error instanceof Error ? error.message : String(error);
  const failure = `the tracker cannot be asked on port ${port}: ${reason}`;
  return fail(output, failure, error instanceof UnprovenError ? UNPROVEN : NOT_RUNNING);
}

function isNoInfoHash(text: string): boolean {
  return readInfoHashes(text).length === 0;
}

/** The info hashes of an operand, of a hybrid magnet link two, as digits. */
function digitsOf(text: string): string[] {
  return readInfoHashes(text).map((hash) => hash.toHex());
}
