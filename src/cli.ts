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
 *   … VERB --help         print what the verb takes
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

import { effectiveValues, readConfig, type Reading } from "./config/config.ts";
import type { Config, Origins } from "./config/schema.ts";
import { EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./constants.ts";
import { examine } from "./start/examine.ts";
import { foresee } from "./start/foresee.ts";
import { tryCluster } from "./start/try-cluster.ts";
import { versionLine } from "./version.ts";
import type { VerbOptions } from "./verbs/ask-tracker.ts";
import { StartError } from "./host/start-error.ts";
import { quote } from "./config/settings.ts";
import { errorLines, type Output, say } from "./verbs/output.ts";
import { printableLines } from "./verbs/printable.ts";

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
    const { usageOf } = await import("./verbs/help.ts");
    output.stderr(`${errorLines(`${quote(argv.join(" "))} ${problem}`)}${usageOf(argv[0])}\n`);
    return EXIT_USAGE;
  }
  const { verb, operands, options } = request;
  if (verb === "help") return help(operands[0], output);
  if (verb === "version") return say(output, `${versionLine()}\n`);
  const result = readConfig(env);
  if (verb !== "run" && verb !== "check" && verb !== "config") {
    return ask({ verb, operands, options }, result, output);
  }
  if ("problems" in result) {
    complain(output, result.problems);
    if (verb !== "config") await look(result.understood, result.origins, output);
    return EXIT_CONFIG;
  }
  if (verb === "check") return check(result.config, result.origins, output);
  if (verb === "config") return say(output, configText(result.config, result.origins));
  try {
    return await run(result.config, result.origins);
  } catch (error) {
    if (error instanceof StartError) return explain(error, result, output);
    throw error;
  }
}

async function help(verb: string | undefined, output: Output): Promise<number> {
  const { helpOfVerb, helpText } = await import("./verbs/help.ts");
  return say(output, (verb === undefined ? undefined : helpOfVerb(verb)) ?? helpText());
}

/** Executes a verb that asks a tracker, which only the settings that it reads may keep from it. */
async function ask(
  { verb, operands, options }: Request<AskingVerb>,
  result: ReturnType<typeof readConfig>,
  output: Output,
): Promise<number> {
  let config: Config;
  if ("problems" in result) {
    const { problemsFor } = await import("./verbs/help.ts");
    const problems = problemsFor(verb, result.problems);
    if (problems.length > 0) {
      complain(output, problems);
      return EXIT_CONFIG;
    }
    // Settings that are not understood are missing; the verb reads none of them.
    config = result.understood as Config;
  } else config = result.config;
  // Loaded here, because the running tracker needs none of it.
  const { askTracker } = await import("./verbs/ask-tracker.ts");
  return askTracker(verb, operands, options, config, output);
}

function warningLine(warning: string): string {
  return `buntracker: warning: ${warning}\n`;
}

type Verb =
  | (typeof VERBS)[number]
  | (typeof OPTION_VERBS)[number]
  | (typeof ADVICE_VERBS)[number]
  | (typeof ADMIN_VERBS)[number]
  | "run"
  | "help";

/** Verbs that talk to a tracker, or to people about one. */
type AskingVerb = Exclude<Verb, "run" | "help" | "version" | "check" | "config">;

/** What the arguments ask for. */
interface Request<Of extends Verb = Verb> {
  verb: Of;
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
    if (help) return { verb: "help", operands: word === undefined ? [] : [word], options };
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

/**
 * Prints the problems; without any, what the cluster says, and what the start would warn of. Fails
 * where a NATS server refuses this tracker: a restart would begin, but share nothing.
 */
async function check(config: Config, origins: Origins, output: Output): Promise<number> {
  const code = await look(config, origins, output);
  if (code !== EXIT_OK) return code;
  const cluster = await tryCluster(config);
  for (const line of cluster.lines) output.stdout(`${line}\n`);
  for (const warning of cluster.warnings) output.stderr(warningLine(warning));
  for (const { message, hint } of cluster.refusals) output.stderr(errorLines(message, hint));
  for (const warning of foresee(config, origins)) output.stderr(warningLine(warning));
  return cluster.refusals.length > 0 ? EXIT_FAILED : EXIT_OK;
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
