/**
 * The manual page and the shells' completions, made from the help and the schema of the settings.
 *
 * Nothing is described twice: verbs come from the help, settings from the schema. `make docs`
 * updates the pages. All functions are pure.
 */
import { helpText } from "../src/verbs/help.ts";
import { descriptions } from "../src/config/config.ts";
import { type Description, GROUPS } from "../src/config/description.ts";

/** A verb of the command line, from the help. */
export interface Verb {
  name: string;
  /** Its operands, such as `HASH...` or `on | off`; "" for most. */
  parameters: string;
  text: string;
}

/** A line of the help for a verb; longer texts continue in the next line, indented further. */
const VERB_LINE = /^ {2}([a-z][a-z0-9-]*)((?: (?:[A-Z[][^ ]*|on|off|\|))*) {2,}(\S.*)$/;
const NEXT_LINE = /^ {5,}(\S.*)$/;

const WRITTEN = "Written by `make docs`: change src/config/schema.ts or src/verbs/help.ts instead.";

/** All verbs in the order of the help; throws if the help has none. */
export function verbs(help: string = helpText()): Verb[] {
  const paragraphs = help.split("\n\n").map((paragraph) => paragraph.split("\n"));
  const lines = paragraphs.filter(([first]) => VERB_LINE.test(first)).flat();
  if (lines.length === 0) throw new Error("the help names no verb");
  const found: Verb[] = [];
  for (const line of lines) {
    const verb = VERB_LINE.exec(line);
    if (verb !== null) {
      found.push({ name: verb[1], parameters: verb[2].trim(), text: verb[3] });
      continue;
    }
    const more = NEXT_LINE.exec(line);
    if (more !== null) found[found.length - 1].text += ` ${more[1]}`;
  }
  return found;
}

// The manual page.

const MANUAL_TITLE = `.\\" ${WRITTEN}
.TH BUNTRACKER 8 "" "buntracker" "System Manager's Manual"
.SH NAME
buntracker \\- open BitTorrent tracker
`;

const MANUAL_HEAD = `.SH DESCRIPTION
.B buntracker
answers BitTorrent clients over HTTP and UDP, IPv4 and IPv6, and gives them each other's addresses.
Any info hash may be announced.
Swarms are kept in memory.
.PP
Without a verb it runs in the foreground, logs to standard error and ends on SIGTERM or SIGINT.
`;

const MANUAL_OPTIONS = `.SH OPTIONS
.TP
.B \\-\\-addresses
.B swarm
shows some of the peers with their addresses, which needs TRACKER_ADMIN_TOKEN.
.TP
.B \\-\\-all
.B selftest
checks every statement of the BEPs that can be seen from outside, with 20 requests a second, and
fails if one is broken that clients rely on.
.TP
.BR \\-\\-format=json ", " \\-\\-format=junit
.B selftest \\-\\-all
prints JSON, or XML as of JUnit, for programs;
.BR swarm ", " cluster " and " plan
print JSON.
.TP
.BR \\-\\-peers=\\fIN\\fR ", " \\-\\-announces=\\fIN\\fR
.B plan
is made for this many peers, or announces a second; k, M and G work.
.TP
.BR \\-\\-interval=30m ", " \\-\\-swarms=\\fIN\\fR ", " \\-\\-nodes=\\fIN\\fR
How often clients announce, in how many swarms, and at how many trackers.
.TP
.BR \\-\\-transports=udp:80,http:20 ", " \\-\\-families=ipv4:70,ipv6:30
How clients come, in percent: by udp, http, https, proxied (HTTP behind a proxy), ws or wss.
.TP
.B \\-\\-here
.B plan
measures this machine for ten seconds first.
`;

const MANUAL_ENVIRONMENT = `.SH ENVIRONMENT
There is no configuration file and no flag: settings are environment variables, and with none of
them set
.B buntracker
is a correct public tracker.
A plain number is seconds or bytes; 30m, 24h, 64KiB and 8MiB work too.
A variable that begins with TRACKER_ but is not listed here is an error.
Changing a variable needs a restart.
`;

const MANUAL_TAIL = `.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
Answer what is queued and end.
A second one ends at once.
.TP
.B SIGHUP
Read the files that settings name again: all of them, or, if one cannot be read, none.
.TP
.B SIGUSR2
Begin or end maintenance: announces are refused, and clients asked to come back later.
.TP
.B SIGUSR1
Nothing: the log goes to standard error, so there is no file to open again.
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Failed.
.BR check
fails so if a NATS server answers and refuses the tracker, which would start without it.
.TP
.B 2
The command line was not understood.
.TP
.B 78
The settings, or what they name, are wrong; each mistake is a line on standard error.
.SH EXAMPLES
Look at the settings in a file before the tracker is started with them:
.PP
.RS
.nf
set \\-a; . /etc/buntracker/buntracker.env; buntracker check
.fi
.RE
.PP
Run without HTTP, and ask clients to come back every 15 minutes:
.PP
.RS
.nf
TRACKER_HTTP_ADDRESS= TRACKER_INTERVAL=15m buntracker
.fi
.RE
.SH SEE ALSO
.BR systemd.service (5),
.BR sysctl (8)
.PP
In the archive of the release: docs/operating.md, which has trouble-shooting by symptom, and
docs/settings.md, which says why one would change a setting.
.PP
BitTorrent Enhancement Proposals 3, 7, 15, 23 and 48: https://www.bittorrent.org/beps/
`;

/** The manual page, in the man(7) language for groff and mandoc. */
export function manual(): string {
  const commands = verbs().map(({ name, parameters, text }) => {
    const title =
      parameters === "" ? `.B ${roff(name)}` : `.BI ${roff(name)} " ${roff(parameters)}"`;
    return `.TP\n${title}\n${sentence(text)}\n`;
  });
  const groups = GROUPS.map((group) => {
    const settings = descriptions().filter((description) => description.group === group);
    return `.SS ${group}\n${settings.map(manualOfSetting).join("")}`;
  });
  const parts = [
    MANUAL_TITLE,
    synopsis(),
    MANUAL_HEAD,
    ".SH COMMANDS\n",
    ...commands,
    MANUAL_OPTIONS,
    MANUAL_ENVIRONMENT,
    ...groups,
  ];
  return parts.join("") + MANUAL_TAIL;
}

/** One line for the verbs without operands, and one for each other verb. */
function synopsis(): string {
  const alone = verbs().filter(({ parameters }) => parameters === "");
  const choice = alone.map(({ name }) => roff(name)).join(" | ");
  const others = verbs().filter(({ parameters }) => parameters !== "");
  const lines = others.map(
    ({ name, parameters }) => `.br\n.B buntracker ${roff(name)}\n.I ${roff(parameters)}\n`,
  );
  return `.SH SYNOPSIS\n.B buntracker\n[${choice}]\n${lines.join("")}`;
}

function manualOfSetting({
  variable,
  text,
  range,
  initial,
  computed,
  secret,
}: Description): string {
  const lines = [
    ".TP",
    `.B ${roff(variable)}`,
    sentence(range === "" ? text : `${text} (${range})`),
  ];
  if (computed) lines.push(`Default: ${roff(initial)}.`);
  else if (initial === "") lines.push("Empty by default.");
  else lines.push(`Default: \\fB${roff(initial)}\\fR`);
  if (secret) lines.push(`.B ${roff(variable)}_FILE`, "may name a file that holds it instead.");
  return `${lines.join("\n")}\n`;
}

/** A phrase as a sentence, on a line of its own. */
function sentence(phrase: string): string {
  return `${roff(phrase[0].toUpperCase() + phrase.slice(1))}.`;
}

/** Escapes a text for roff, so that it shows the same text, with hyphens that can be copied. */
function roff(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...");
  return escaped.replaceAll('"', "\\(dq").replace(/^(?=[.'])/, "\\&");
}

// The completions.

/** All first words: the verbs and the options. */
const OPTIONS: [name: string, text: string][] = [
  ["--help", "print all verbs and settings"],
  ["--version", "print the version"],
];

/** The possible words behind a verb, such as `on` and `off`; empty for most. */
function choicesOf({ parameters }: Verb): string[] {
  return /^[a-z]+( \| [a-z]+)+$/.test(parameters) ? parameters.split(" | ") : [];
}

/** Completion for bash: the first word, and the second if it is one of a few. */
export function bashCompletion(): string {
  const choices = verbs().filter((verb) => choicesOf(verb).length > 0);
  const cases = choices.map(
    (verb) => `            ${verb.name}) words="${choicesOf(verb).join(" ")}" ;;\n`,
  );
  const words = [...verbs().map(({ name }) => name), ...OPTIONS.map(([name]) => name)];
  return `# ${WRITTEN}

_buntracker() {
    COMPREPLY=()
    local word words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="${words.join(" ")}"
    elif [ "$COMP_CWORD" -eq 2 ]; then
        case "\${COMP_WORDS[1]}" in
${cases.join("")}        esac
    fi
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}

complete -F _buntracker buntracker
`;
}

/** Completion for zsh: the first word with its description, the second if it is one of a few. */
export function zshCompletion(): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''").replaceAll(":", "\\:")}'`;
  const lines = verbs().map(({ name, text }) => `        ${quoted(name)}:${quoted(text)}\n`);
  const options = OPTIONS.map(([name, text]) => `        '(- *)${name}[${text}]' \\\n`);
  const cases = verbs()
    .filter((verb) => choicesOf(verb).length > 0)
    .map((verb) => `        ${verb.name}) compadd ${choicesOf(verb).join(" ")} ;;\n`);
  return `#compdef buntracker
# ${WRITTEN}

_buntracker() {
    local -a verbs=(
${lines.join("")}    )
    _arguments \\
${options.join("")}        '1:verb:{_describe verb verbs}' \\
        '2:word:_buntracker_words'
}

_buntracker_words() {
    case "$words[2]" in
${cases.join("")}    esac
}

_buntracker "$@"
`;
}

/** Completion for fish: the first word with its description, the second if it is one of a few. */
export function fishCompletion(): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const words = verbs().map(
    ({ name, text }) =>
      `complete -c buntracker -n __fish_use_subcommand -a ${name} -d ${quoted(text)}\n`,
  );
  const options = OPTIONS.map(
    ([name, text]) =>
      `complete -c buntracker -n __fish_use_subcommand -l ${name.slice(2)} -d ${quoted(text)}\n`,
  );
  const choices = verbs()
    .filter((verb) => choicesOf(verb).length > 0)
    .map((verb) => {
      const seen = `'__fish_seen_subcommand_from ${verb.name}'`;
      return `complete -c buntracker -n ${seen} -a '${choicesOf(verb).join(" ")}'\n`;
    });
  const all = [...words, ...options, ...choices];
  return `# ${WRITTEN}\n\ncomplete -c buntracker -f\n${all.join("")}`;
}
