/**
 * The command line: a verb and its operands. Settings come from the environment.
 *
 *   buntracker            run in the foreground
 *   buntracker check      check the settings and the files they name, bind nothing
 *   buntracker config     print the settings in effect and their origin
 *   buntracker health     check whether the tracker with these settings answers
 *   buntracker top        show the figures of the running tracker in this terminal
 *   buntracker cluster    print with which trackers the running one shares its peers
 *   buntracker dns NAME   print the DNS records for a tracker of this name
 *   buntracker plan --peers=N  print what a tracker of that size needs
 *   buntracker selftest URL…   test any tracker like a client, and report problems
 *   buntracker selftest --all URL…   … report which statements of the BEPs it keeps
 *   buntracker swarm HASH…     print what the running tracker knows of these swarms
 *   buntracker version    print the version
 *
 *   buntracker deny HASH…            make the running tracker refuse these info hashes
 *   buntracker allow HASH…           … serve these, if it has an allow list
 *   buntracker forget HASH…          … remove these from both lists
 *   buntracker maintenance on|off    … refuse all announces, or answer them again
 *
 *   exit code   0 done   1 failed   2 not understood   78 settings are wrong
 *
 * No function binds a socket, ends the process, or writes anywhere but to its `Output`.
 */
import { parseArgs } from "node:util";

import { descriptions, effectiveValues, readConfig, type Reading } from "./config/config.ts";
import type { Config, Origins } from "./config/schema.ts";
import { EXIT_CONFIG, EXIT_OK, EXIT_USAGE } from "./constants.ts";
import { examine } from "./start/examine.ts";
import { foresee } from "./start/foresee.ts";
import { tryCluster } from "./start/try-cluster.ts";
import { versionLine } from "./version.ts";
import type { VerbOptions } from "./verbs/ask-tracker.ts";
import { StartError } from "./host/start-error.ts";
import { type Description, GROUPS } from "./config/description.ts";
import { quote } from "./config/settings.ts";
import { errorLines, type Output, say } from "./verbs/output.ts";
import { printableLines } from "./verbs/printable.ts";

const HELP_COLUMNS = 80;
const FORMATS = ["text", "json", "junit"] as const;
const VERBS = ["check", "config", "health", "top", "cluster", "version"] as const;
/** Verbs that have options alone. */
const OPTION_VERBS = ["plan"] as const;
/** Verbs with operands that change nothing. */
const ADVICE_VERBS = ["dns", "selftest", "swarm"] as const;
/** Verbs with operands that change the running tracker. */
const ADMIN_VERBS = ["deny", "allow", "forget", "maintenance"] as const;

/** The operands that verbs need. */
const WANTED: Readonly<Record<string, string | undefined>> = {
  dns: "the tracker's host name",
  selftest: "the announce URL of a tracker, or several",
  swarm: "an info hash, or several",
  deny: "an info hash, or several",
  allow: "an info hash, or several",
  forget: "an info hash, or several",
  maintenance: "on or off",
};

const USAGE = `usage: buntracker [check | config | health | top | version | --help]
       buntracker cluster [--format=json]
       buntracker dns NAME
       buntracker plan --peers=N | --announces=N | --here
       buntracker selftest [--all [--format=json | --format=junit]] URL...
       buntracker swarm [--addresses] [--format=json] HASH...
       buntracker deny | allow | forget HASH...
       buntracker maintenance on | off`;

const HELP_HEAD = `${USAGE}

An open BitTorrent tracker. Without a verb it runs in the foreground.

  check      check the settings and the files they name, and report problems
  config     print the settings in effect, one per line
  health     check whether the running tracker answers: exit code 0 or 1
  top        show the figures of the running tracker until q is pressed
  cluster    print with which trackers the running one shares its peers
  version    print the version

  dns NAME              print the DNS records for a tracker of this name
  plan OPTIONS...       print what a tracker of a given size needs
  selftest URL...       test any tracker like a client, and report problems

  swarm HASH...         print what the running tracker knows of these swarms
  deny HASH...          make the running tracker refuse these info hashes
  allow HASH...         make it serve these, if it has an allow list
  forget HASH...        make it remove these from both lists
  maintenance on | off  make it refuse all announces, or answer them again

plan takes --peers=15M or --announces=8500 (a second), --interval=30m,
--transports=udp:80,http:20 (or proxied), --families=ipv4:70,ipv6:30,
--swarms=632k, --nodes=3 and --format=json. With --here it measures this
machine for ten seconds first. The tracker of the talk, at 8,500 requests and
90,000 packets a second: buntracker plan --announces=8500 --transports=http

selftest takes --all, which checks every statement of the BEPs that can be seen
from outside, 20 requests a second, with --format=json or junit for programs: it
fails where a client would. swarm takes --addresses, which shows peers and needs
the token; swarm and cluster take --format=json.

Everything is set by environment variables. A plain number is seconds or bytes;
30m, 24h, 64KiB and 8MiB work too. Changing a variable needs a restart.
`;

const HELP_TAIL = `
Exit codes: 0 done, 1 failed, 2 command line not understood, 78 settings wrong.

Example: TRACKER_INTERVAL=15m TRACKER_HTTP_ADDRESS= buntracker

More: README.md and docs/ of the release, such as docs/operating.md.
`;

/** Runs the tracker until its end; called without a verb. */
export type Run = (config: Config, origins: Origins) => Promise<number>;

/**
 * Executes the arguments (without the name of the program) and returns the exit code. `run` is
 * called only with a valid configuration. If it throws a StartError, that is printed and decides
 * the exit code; other errors are thrown. All output is made printable.
 */
export async function runCli(
  argv: string[],
  env: Record<string, string | undefined>,
  run: Run,
  streams: Output,
): Promise<number> {
  const output: Output = {
    stdout: (text) => streams.stdout(printableLines(text)),
    stderr: (text) => streams.stderr(printableLines(text)),
  };
  const request = readRequest(argv);
  if (request === undefined) {
    const wanted = argv.length === 1 ? WANTED[argv[0]] : undefined;
    const problem = wanted === undefined ? "is not understood" : `needs ${wanted}`;
    output.stderr(`${errorLines(`${quote(argv.join(" "))} ${problem}`)}${USAGE}\n`);
    return EXIT_USAGE;
  }
  const { verb, operands, options } = request;
  if (verb === "help") return say(output, helpText());
  if (verb === "version") return say(output, `${versionLine()}\n`);
  const result = readConfig(env);
  const looks = verb === "check" || verb === "run";
  if ("problems" in result) {
    complain(output, result.problems);
    if (looks) await look(result.understood, result.origins, output);
    return EXIT_CONFIG;
  }
  if (verb === "check") return check(result.config, result.origins, output);
  if (verb === "config") return say(output, configText(result.config, result.origins));
  if (verb !== "run") {
    // Loaded here, because the running tracker needs none of it.
    const { askTracker } = await import("./verbs/ask-tracker.ts");
    return askTracker(verb, operands, options, result.config, output);
  }
  try {
    return await run(result.config, result.origins);
  } catch (error) {
    if (error instanceof StartError) return explain(error, result, output);
    throw error;
  }
}

function warningLine(warning: string): string {
  return `buntracker: warning: ${warning}\n`;
}

/** The help, at most 80 columns wide, with the settings of the schema. */
export function helpText(): string {
  const groups = GROUPS.map((group) => {
    const settings = descriptions().filter((description) => description.group === group);
    return `\n${group}\n${settings.map(helpOfSetting).join("")}`;
  });
  return HELP_HEAD + groups.join("") + HELP_TAIL;
}

type Verb =
  | (typeof VERBS)[number]
  | (typeof OPTION_VERBS)[number]
  | (typeof ADVICE_VERBS)[number]
  | (typeof ADMIN_VERBS)[number]
  | "run"
  | "help";

/** What the arguments ask for. */
interface Request {
  verb: Verb;
  operands: string[];
  options: VerbOptions;
}

/** The options that verbs take, beside those that stand for a verb. */
const VERB_OPTIONS: Readonly<Record<string, readonly string[] | undefined>> = {
  selftest: ["format", "all"],
  swarm: ["format", "addresses"],
  cluster: ["format"],
  plan: [
    ...["format", "here", "peers", "announces", "interval"],
    ...["transports", "families", "swarms", "nodes"],
  ],
};

/** Options of verbs that have a value, and those that have none. */
const WITH_VALUE = [
  ...(["format", "peers", "announces", "interval"] as const),
  ...(["transports", "families", "swarms", "nodes"] as const),
];
const WITHOUT_VALUE = ["addresses", "all", "here"] as const;

/** The options of verbs as `parseArgs` reads them. */
function optionsOf<Name extends string, Type extends "string" | "boolean">(
  names: readonly Name[],
  type: Type,
): Record<Name, { type: Type }> {
  return Object.fromEntries(names.map((name) => [name, { type }])) as Record<Name, { type: Type }>;
}

/** A verb, its operands and options; undefined if the arguments are not valid. */
function readRequest(argv: string[]): Request | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "v" },
        ...optionsOf(WITH_VALUE, "string"),
        ...optionsOf(WITHOUT_VALUE, "boolean"),
      },
    });
    const { help, version, ...given } = values;
    const [word, ...operands] = positionals;
    const format = FORMATS.find((one) => one === (given.format ?? "text"));
    if (format === undefined || (format === "junit" && word !== "selftest")) return undefined;
    // The short test has no other form.
    if (word === "selftest" && given.format !== undefined && given.all !== true) return undefined;
    const options: VerbOptions = { ...given, format };
    if (help) return { verb: "help", operands: [], options };
    const taken = VERB_OPTIONS[word ?? ""] ?? [];
    if (Object.keys(given).some((name) => !taken.includes(name))) return undefined;
    const asked = ADMIN_VERBS.find((verb) => verb === word);
    if (asked !== undefined)
      return areOperands(asked, operands) ? { verb: asked, operands, options } : undefined;
    const advice = ADVICE_VERBS.find((verb) => verb === word);
    if (advice !== undefined) {
      const many = advice === "dns" ? operands.length === 1 : operands.length > 0;
      return many ? { verb: advice, operands, options } : undefined;
    }
    if (operands.length > 0) return undefined;
    const alone = OPTION_VERBS.find((verb) => verb === word);
    if (alone !== undefined) return { verb: alone, operands, options };
    if (version) return { verb: "version", operands, options };
    const verb = word === undefined ? "run" : VERBS.find((candidate) => candidate === word);
    return verb === undefined ? undefined : { verb, operands, options };
  } catch {
    return undefined;
  }
}

function areOperands(verb: (typeof ADMIN_VERBS)[number], operands: string[]): boolean {
  if (verb !== "maintenance") return operands.length > 0;
  return operands.length === 1 && (operands[0] === "on" || operands[0] === "off");
}

function complain(output: Output, problems: string[]): void {
  for (const problem of problems) output.stderr(errorLines(problem));
  output.stderr("buntracker: hint: see buntracker --help for all settings\n");
}

/** Prints all problems with the files and names in the settings. */
async function look(config: Partial<Config>, origins: Origins, output: Output): Promise<number> {
  const { problems, warnings } = await examine(config, origins);
  for (const { message, hint } of problems) output.stderr(errorLines(message, hint));
  for (const warning of warnings) output.stderr(warningLine(warning));
  return problems.length > 0 ? EXIT_CONFIG : EXIT_OK;
}

/** Prints the problems; without any, what the cluster says, and what the start would warn of. */
async function check(config: Config, origins: Origins, output: Output): Promise<number> {
  const code = await look(config, origins, output);
  if (code !== EXIT_OK) return code;
  const cluster = await tryCluster(config);
  for (const line of cluster.lines) output.stdout(`${line}\n`);
  for (const warning of cluster.warnings) output.stderr(warningLine(warning));
  for (const warning of foresee(config, origins)) output.stderr(warningLine(warning));
  return code;
}

/** Prints why the tracker did not start; for a wrong setting, with all other problems. */
async function explain(
  error: StartError,
  { config, origins }: Reading,
  output: Output,
): Promise<number> {
  const { message, hint, exitCode } = error;
  const seen = exitCode === EXIT_CONFIG && (await look(config, origins, output)) === EXIT_CONFIG;
  if (!seen) output.stderr(errorLines(message, hint));
  return exitCode;
}

function configText(config: Config, origins: Origins): string {
  return effectiveValues(config)
    .map(({ variable, value }) => `${variable}=${value} (${origins[variable]})\n`)
    .join("");
}

/** The variable with its default, and its description, indented and wrapped. */
function helpOfSetting({ variable, initial, computed, text, range, secret }: Description): string {
  const name = computed ? `${variable} (${initial})` : `${variable}=${initial}`;
  const words = [range === "" ? text : `${text} (${range})`];
  if (secret) words.push(`or ${variable}_FILE: a file that holds it`);
  return `  ${name}\n${wrap(words.join("; "), "      ")}`;
}

/** Wraps a text to indented lines of the width of the help. */
function wrap(text: string, indent: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    const fits = indent.length + line.length + 1 + word.length <= HELP_COLUMNS;
    if (line === "") lines[lines.length - 1] = word;
    else if (fits) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `${indent}${line}\n`).join("");
}
