/**
 * The configuration: reads all settings from the environment and checks them.
 *
 * The settings are defined in `schema.ts`, rules between settings in `rules.ts`.
 *
 * A variable with the prefix that is not a setting is a mistake. All mistakes are reported
 * together, as one sentence each. Functions are pure, except that they read the files of secrets.
 *
 * Variables that change the runtime inside our program are mistakes as well.
 */
import { counted } from "../net/counted.ts";
import type * as z from "zod/mini";

import { codeOf, handOverRemedy, notRead } from "../host/file-errors.ts";
import { readSmallFile } from "../host/plain-file.ts";
import { RULES } from "./rules.ts";
import { describe, type Description } from "./description.ts";
import { type Config, type Origins, SCHEMA } from "./schema.ts";
import { quote } from "./settings.ts";

/** The prefix of our variables; and its forms that are meant for us, but have no effect. */
const PREFIX = "TRACKER_";
const SIMILAR = /^\s*tracker_/i;

/**
 * Variables that Kubernetes sets in every pod beside a Service whose name begins with `tracker`, as
 * Docker did for links. [kubernetes.io, "Accessing the Service", environment variables]
 */
const OF_SERVICE = /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;
const SERVICE_HINT =
  "Kubernetes sets it for a Service of that name: set enableServiceLinks: false in the pod, " +
  "or rename the Service";

function isOfService(name: string, value: string): boolean {
  return OF_SERVICE.test(name) || (/_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value));
}

/**
 * Variables that act on the runtime inside the compiled program (each was tried, Bun 1.4.5):
 * BUN_INSPECT opens a debugger, BUN_OPTIONS runs other code, and BUN_JSC_useJIT=0 makes hot code
 * some twenty times as slow. The first two have acted before this check, but no secret has been
 * read yet. Not checked: NODE_OPTIONS, which has no effect in a compiled program, and BUN_BE_BUN
 * and LD_PRELOAD, which can bypass this check.
 */
const RUNTIME_VARIABLES = /^(BUN_INSPECT.*|BUN_OPTIONS|BUN_JSC_.*)$/;

/** Variables that are no longer settings, each with the constant behaviour. */
const RETIRED: Record<string, string> = {
  TRACKER_HTTP_CONNECTIONS_PER_ADDRESS_MAX:
    "an address always has a sixteenth of the connections, and at least 64",
  TRACKER_INTERVAL_JITTER: "intervals always vary by up to 10 percent",
  TRACKER_STATS_PATH: "the statistics are at /stats, for the clients in TRACKER_STATS_NETWORKS",
  TRACKER_UDP_CONNECTION_TTL: "a connection id is always valid for an hour",
  TRACKER_UDP_REPLY_BYTES: "UDP replies always have at most 1232 bytes",
};

/** The result for an environment without mistakes. */
export interface Reading {
  config: Config;
  origins: Origins;
}

/**
 * Returns the configuration in the environment; or all problems, one sentence each, in the order of
 * the schema, and the settings that could be parsed with their origins. Of variables without our
 * prefix only those of the runtime are checked. Never throws.
 */
export function readConfig(
  env: Record<string, string | undefined>,
): Reading | { problems: string[]; understood: Partial<Config>; origins: Origins } {
  const problems = [...runtimeVariables(env), ...unknownVariables(env)];
  const origins: Origins = {};
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(SCHEMA.shape)) {
    const description = describe(field);
    const given = readVariable(env, field, description);
    if ("problem" in given) {
      problems.push(given.problem);
      continue;
    }
    origins[description.variable] = originOf(given);
    const result = field.safeParse(given.text);
    if (result.success) values[key] = result.data;
    else problems.push(...complaints(description, given.text ?? "", result.error));
  }
  if (origins["TRACKER_MIN_INTERVAL"] === "default") {
    values["minIntervalSeconds"] = Math.floor(Number(values["intervalSeconds"]) / 2);
  }
  // Settings that could not be parsed are undefined here; comparisons with them break no rule.
  const config = values as Config;
  problems.push(...RULES.flatMap((rule) => rule(config, origins) ?? []));
  return problems.length > 0 ? { problems, understood: config, origins } : { config, origins };
}

/** What is known of the settings, in the order of the schema. */
export function descriptions(): Description[] {
  return Object.values(SCHEMA.shape).map(describe);
}

/** Every setting with its value, as an operator writes it; secrets as `(set)`. */
export function effectiveValues(config: Config): { variable: string; value: string }[] {
  return Object.entries(SCHEMA.shape).map(([key, field]) => {
    const description = describe(field);
    const value = config[key as keyof Config] as never;
    if (value === undefined)
      return { variable: description.variable, value: `(${description.initial})` };
    const shown = description.secret ? "(set)" : description.show(value);
    return { variable: description.variable, value: shown };
  });
}

/** The text of a variable, and the file that it is from. */
interface Given {
  text: string | undefined;
  file?: string;
}

function originOf({ text, file }: Given): Origins[string] {
  if (file !== undefined) return `file ${file}`;
  return text === undefined ? "default" : "environment";
}

/**
 * The text of a variable, or of the file that its `_FILE` variable names; undefined if neither is
 * set.
 *
 * An empty variable is not set, unless its reader accepts an empty text. So a line of the example
 * file may be enabled before it has a value.
 */
function readVariable(
  env: Record<string, string | undefined>,
  field: z.ZodMiniType,
  { variable, secret }: Description,
): Given | { problem: string } {
  const twin = `${variable}_FILE`;
  const given = env[variable];
  const text = isBlank(given) && !field.safeParse("").success ? undefined : given;
  const path = secret && !isBlank(env[twin]) ? env[twin] : undefined;
  if (path === undefined) return { text };
  if (text !== undefined) return { problem: `${variable} and ${twin} are both set: keep one` };
  try {
    const read = readSmallFile(path);
    if (!isBlank(read)) return { text: read, file: path };
    const remedy = "write the secret into it, such as that of openssl rand -hex 32";
    return { problem: `${twin} is ${quote(path)}, which is empty: ${remedy}` };
  } catch (error) {
    const code = codeOf(error);
    const problem = `${twin} is ${quote(path)}, which ${notRead(code)}`;
    return { problem: `${problem}: ${handOverRemedy(path, code)}` };
  }
}

function isBlank(text: string | undefined): boolean {
  return text === undefined || text.trim() === "";
}

/** The issues that zod found, as our sentences. */
function complaints(
  { variable, secret, quote: quoteText }: Description,
  text: string,
  error: z.core.$ZodError,
): string[] {
  const shown = secret
    ? `a secret of ${counted(text.trim().length, "character")}`
    : quoteText(text);
  return error.issues.map(({ message }) => `${variable} is ${shown}, ${message}`);
}

/** One sentence for each variable that changes the runtime; an empty one does not. */
function runtimeVariables(env: Record<string, string | undefined>): string[] {
  const set = Object.keys(env).filter(
    (name) => RUNTIME_VARIABLES.test(name) && !isBlank(env[name]),
  );
  const shown = set.sort().map((name) => quote(name).slice(1, -1));
  return shown.map((name) => `${name} is set, which changes the program from outside: unset it`);
}

/** One sentence for each variable that has our prefix, in any case, but is not a setting. */
function unknownVariables(env: Record<string, string | undefined>): string[] {
  const known = descriptions().flatMap(({ variable, secret }) =>
    secret ? [variable, `${variable}_FILE`] : [variable],
  );
  const strangers = Object.keys(env).filter(
    (name) => SIMILAR.test(name) && env[name] !== undefined && !known.includes(name),
  );
  return strangers.sort().map((name) => {
    if (Object.hasOwn(RETIRED, name)) {
      return `${name} is no longer a setting: remove it; ${RETIRED[name]}`;
    }
    const shown = quote(name).slice(1, -1);
    if (isOfService(name, env[name]!)) return `${shown} is not a setting: ${SERVICE_HINT}`;
    const upper = name.trim().toUpperCase();
    const nearest = known
      .map((candidate) => ({ candidate, distance: editDistance(upper, candidate) }))
      .reduce((best, other) => (other.distance < best.distance ? other : best));
    // A name that shares less than half of its letters is not a typing mistake.
    const slip = nearest.distance * 2 <= name.length - PREFIX.length;
    const hint = slip ? `did you mean ${nearest.candidate}` : "remove it";
    return `${shown} is not a setting: ${hint}`;
  });
}

/** Letters to insert, delete or replace to turn one name into the other. [Levenshtein 1966] */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[to.length];
}
