/**
 * What `--help` prints: of the whole command line, with all settings of the schema, or of one verb,
 * with what belongs to it. Loaded only where it is needed.
 *
 * The help of a verb fits a terminal of 80 columns and 24 lines; that of all has the settings.
 */
import { descriptions } from "../config/config.ts";
import { type Description, GROUPS } from "../config/description.ts";

const HELP_COLUMNS = 80;

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

A verb with --help says what it takes: buntracker plan --help. The tracker of
the talk, which answered 8,500 requests and saw 90,000 packets a second:
buntracker plan --announces=8500 --transports=http

Everything is set by environment variables. A plain number is seconds or bytes;
30m, 24h, 64KiB and 8MiB work too. Changing a variable needs a restart.
`;

const HELP_TAIL = `
Exit codes: 0 done, 1 failed, 2 command line not understood, 78 settings wrong.

Example: TRACKER_INTERVAL=15m TRACKER_HTTP_ADDRESS= buntracker

More: README.md and docs/ of the release, such as docs/operating.md.
`;

/** What a verb takes, and what it prints. */
interface VerbHelp {
  usage: string;
  text: string;
  options?: readonly (readonly [option: string, text: string])[];
  /** The variables that it reads; "all" if every setting matters to it. */
  settings: readonly string[] | "all";
  /** A line to try. */
  example?: string;
}

/** Beside more options than these there is no room to describe settings. */
const OPTIONS_FEW = 4;

const OPERATOR = ["TRACKER_ADMIN_ADDRESS", "TRACKER_ADMIN_TOKEN"];
const FORMAT_JSON = ["--format=json", "print JSON"] as const;
const HASHES = "40 or 64 hexadecimal digits, 32 of base32, urn:btih, urn:btmh, or a magnet link";

const LIST = (does: string): VerbHelp["text"] =>
  `${does} HASH is ${HASHES} in quotes. The file changes as well, so this outlives a restart.`;

const VERBS: Readonly<Record<string, VerbHelp | undefined>> = {
  check: {
    usage: "check",
    text:
      "Checks the settings and the files they name, and prints each problem with what helps, " +
      "then what the start would warn of. It binds no address and changes nothing. With " +
      "TRACKER_CLUSTER_URL it tries each NATS server. Exit code 0: it would start; 1: it would, " +
      "but a NATS server refuses it; 78: it would not.",
    settings: "all",
    example: "set -a; . /etc/buntracker/buntracker.env; buntracker check",
  },
  config: {
    usage: "config",
    text: "Prints the settings in effect, one per line, with their origin; secrets as (set).",
    settings: "all",
  },
  health: {
    usage: "health",
    text:
      "Asks the tracker that runs here with these settings, over HTTP and UDP. Exit code 0: it " +
      "answers both; 1: it does not.",
    settings: ["TRACKER_HTTP_ADDRESS", "TRACKER_UDP_ADDRESS", "TRACKER_TLS_CERT_FILE"],
  },
  top: {
    usage: "top",
    text: "Shows the figures of the running tracker, anew each second, until q is pressed.",
    settings: ["TRACKER_ADMIN_ADDRESS"],
  },
  cluster: {
    usage: "cluster [--format=json]",
    text: "Prints with which trackers the running one shares its peers, and what is missing.",
    options: [FORMAT_JSON],
    settings: ["TRACKER_ADMIN_ADDRESS"],
  },
  version: { usage: "version", text: "Prints version, commit and runtime.", settings: [] },
  dns: {
    usage: "dns NAME",
    text:
      "Prints the DNS records for a tracker of this host name: its addresses, and the ports of " +
      "these settings (BEP 34). It asks no name server.",
    settings: ["TRACKER_UDP_ADDRESS", "TRACKER_HTTP_ADDRESS", "TRACKER_EXTERNAL_ADDRESS"],
    example: "buntracker dns tracker.example.org",
  },
  plan: {
    usage: "plan --peers=N | --announces=N | --here",
    text:
      "Prints what a tracker of that size needs, from the results of the benchmarks. Exit code " +
      "1: it does not fit one tracker. The tracker of the talk had 8,500 requests and 90,000 " +
      "packets a second: see the example.",
    options: [
      ["--peers=15M", "or --announces=8500 (a second); k, M and G work"],
      ["--interval=30m", "between two announces of a client; else TRACKER_INTERVAL"],
      ["--transports=udp:80,http:20", "percent, or udp,http: equal parts; of udp, http,"],
      ["", "https, proxied (HTTP), ws, wss (browsers)"],
      ["--families=ipv4:70,ipv6:30", "likewise"],
      ["--swarms=632k", "else 632,000 for each million of peers"],
      ["--nodes=3", "trackers of a cluster, which share the clients"],
      ["--here", "measure this machine for ten seconds first"],
      FORMAT_JSON,
    ],
    settings: ["TRACKER_INTERVAL", "TRACKER_WEBSOCKET_INTERVAL", "TRACKER_NUMWANT_DEFAULT"],
    example: "buntracker plan --announces=8500 --transports=http",
  },
  selftest: {
    usage: "selftest [--all [--format=json | --format=junit]] URL...",
    text:
      "Tests any tracker like a client, at each address of its name: udp://, http://, https://, " +
      "ws:// or wss://. Exit code 1: a client would fail.",
    options: [
      [
        "--all",
        "every statement of the BEPs that can be seen from outside: 20 requests a second, " +
          "for some 20 seconds an address, in swarms of its own",
      ],
      ["--format=json", "with --all: print JSON"],
      ["--format=junit", "with --all: print JUnit's XML; only a broken must is a failure"],
    ],
    settings: [],
    example: "buntracker selftest --all udp://tracker.example.org:6969/announce",
  },
  swarm: {
    usage: "swarm [--addresses] [--format=json] HASH...",
    text:
      "Prints what the running tracker knows of these swarms: peers by role and family, rate of " +
      `announces, ages. HASH is ${HASHES} in quotes. Exit code 1: it knows none of them.`,
    options: [["--addresses", "peers too, a thousand at most; needs the token"], FORMAT_JSON],
    settings: OPERATOR,
  },
  deny: {
    usage: "deny HASH...",
    text: LIST("Makes the running tracker refuse these info hashes, in TRACKER_DENY_FILE."),
    settings: OPERATOR,
  },
  allow: {
    usage: "allow HASH...",
    text: LIST("Makes the running tracker serve these info hashes, in TRACKER_ALLOW_FILE."),
    settings: OPERATOR,
  },
  forget: {
    usage: "forget HASH...",
    text: LIST("Makes the running tracker remove these info hashes from both lists."),
    settings: OPERATOR,
  },
  maintenance: {
    usage: "maintenance on | off",
    text:
      "Makes the running tracker refuse all announces with a time to come back, or answer them " +
      "again. It ends with a restart.",
    settings: OPERATOR,
  },
};

/** The help of the whole command line, at most 80 columns wide, with the settings of the schema. */
export function helpText(): string {
  const groups = GROUPS.map((group) => {
    const settings = descriptions().filter((description) => description.group === group);
    return `\n${group}\n${settings.map(helpOfSetting).join("")}`;
  });
  return HELP_HEAD + groups.join("") + HELP_TAIL;
}

/** How a verb is used; of a word that is no verb, how all of them are. */
export function usageOf(verb = ""): string {
  const help = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  return help === undefined ? USAGE : `usage: buntracker ${help.usage}`;
}

/** The help of a verb; undefined if there is no such verb. */
export function helpOfVerb(verb: string): string | undefined {
  const help = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (help === undefined) return undefined;
  const { usage, text, options = [], settings, example } = help;
  const width = Math.max(...options.map(([option]) => option.length));
  const lines = options.map(([option, does]) => {
    const indent = " ".repeat(width + 4);
    return `  ${option.padEnd(width)}  ${wrap(does, indent).trimStart()}`;
  });
  const parts = [`usage: buntracker ${usage}\n`, wrap(text, ""), lines.join("")];
  if (settings === "all") parts.push("Settings: all of them, which buntracker --help lists.\n");
  else if (options.length > OPTIONS_FEW) parts.push(`Settings: ${settings.join(" ")}\n`);
  else if (settings.length > 0) parts.push(`Settings:\n${settings.map(settingLines).join("")}`);
  if (example !== undefined) parts.push(`Example: ${example}\n`);
  return parts.filter((part) => part !== "").join("\n");
}

function settingLines(variable: string): string {
  return helpOfSetting(descriptions().find((description) => description.variable === variable)!);
}

/** The problems with settings, as sentences, that keep a verb from its work. */
export function problemsFor(verb: string, problems: readonly string[]): string[] {
  const settings = VERBS[verb]?.settings ?? "all";
  if (settings === "all") return [...problems];
  return problems.filter((problem) => {
    const named = problem.match(/\bTRACKER_[A-Z_]+\b/g);
    // One that names no setting is about what changes the program.
    if (named === null) return true;
    return named.some((name) => settings.includes(name.replace(/_FILE$/, "")));
  });
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
