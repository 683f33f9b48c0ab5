/**
 * The documents that are made from the program: the settings, the example file, the manual page,
 * the completions, and the lists of verbs and of make targets.
 *
 * `make docs` runs this to write them; a test makes the same texts and compares. A document that is
 * made in part says so in a comment: the text between its two markers is replaced.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { descriptions } from "../src/config/config.ts";
import { type Description, GROUPS } from "../src/config/description.ts";
import { conformanceTables } from "../test/conformance/results.ts";
import { bashCompletion, fishCompletion, manual, verbs, zshCompletion } from "./manual.ts";

export const ROOT = resolve(import.meta.dir, "..");

/** Documents that are written completely, by their path in the project. */
export const WHOLE: Record<string, () => string> = {
  "dist/buntracker.env.example": example,
  "dist/man/buntracker.8": manual,
  "dist/completion/buntracker.bash": bashCompletion,
  "dist/completion/_buntracker": zshCompletion,
  "dist/completion/buntracker.fish": fishCompletion,
  "docs/settings.md": settings,
};

/** Documents of which one part is written: the part's name in its markers, and its text. */
export const IN_PART: Record<string, [part: string, text: () => string]> = {
  "CONTRIBUTING.md": ["make targets", targets],
  "docs/operating.md": ["verbs", commands],
  "docs/conformance.md": ["results", conformanceTables],
};

const EXAMPLE_HEAD = `# Settings of buntracker, with their defaults. Remove a "#" to change one.
# A plain number is seconds or bytes; 30m, 24h, 64KiB and 8MiB work too.
# An empty variable is not set, unless its text says what empty means.
# A change needs a restart. See docs/settings.md for more.
`;

const SETTINGS_HEAD = `<!-- Written by \`make docs\`: change src/config/schema.ts instead. -->

# Settings

Settings are environment variables. There is no configuration file and no flag, and without any
variable buntracker is a correct public tracker.

- A plain number is seconds or bytes; \`30m\`, \`24h\`, \`64KiB\` and \`8MiB\` work too.
- An empty variable is not set, unless its text says what empty means.
- A variable that begins with \`TRACKER_\` but is not listed here is an error, so that a typing
  mistake does not go unnoticed.
- A change needs a restart. Lists, rules, certificates and the login of a cluster are read again on
  SIGHUP.
- \`buntracker check\` reports problems with the settings, \`buntracker config\` prints those in
  effect, and [dist/buntracker.env.example](../dist/buntracker.env.example) lists all of them.
`;

/** Replaces the text between the markers of a document. Throws if it has no markers. */
export function withPart(current: string, part: string, text: string): string {
  const [first, last] = [`<!-- ${part}: written by \`make docs\` -->`, `<!-- end of ${part} -->`];
  const [begin, end] = [current.indexOf(first), current.indexOf(last)];
  if (begin < 0 || end < begin) throw new Error(`there are no markers for the ${part}`);
  return `${current.slice(0, begin + first.length)}\n\n${text}\n${current.slice(end)}`;
}

/** The example of an environment file, complete. */
export function example(): string {
  return EXAMPLE_HEAD + byGroup((group) => `\n# -- ${group}\n`, exampleOfSetting);
}

/** Every setting under its own heading, so that links to it work. */
export function settings(): string {
  const contents = GROUPS.map((group) => {
    const names = descriptions().filter((description) => description.group === group);
    const links = names.map(({ variable }) => `[\`${variable}\`](#${variable.toLowerCase()})`);
    return `\n**[${group}](#${group.toLowerCase()})**: ${links.join(", ")}\n`;
  });
  const text = byGroup((group) => `\n## ${group}\n`, sectionOfSetting);
  return SETTINGS_HEAD + contents.join("") + text;
}

/** All settings, in their order, under the heading of their group. */
function byGroup(heading: (group: string) => string, text: (of: Description) => string): string {
  const groups = GROUPS.map((group) => {
    const members = descriptions().filter((description) => description.group === group);
    return heading(group) + members.map(text).join("");
  });
  return groups.join("");
}

function sectionOfSetting(description: Description): string {
  const { variable, text, reason, range, initial, computed, secret } = description;
  const lines = [`- Default: ${computed ? initial : initial === "" ? "empty" : `\`${initial}\``}`];
  if (range !== "") lines.push(`- Accepts: ${range}`);
  if (secret) lines.push(`- Or \`${variable}_FILE\`, the path of a file that holds it`);
  const sentence = `${text[0].toUpperCase()}${text.slice(1)}.`;
  const paragraphs = [sentence, reason, lines.join("\n")].map(markup);
  return `\n### ${variable}\n\n${paragraphs.join("\n\n")}\n`;
}

/** Names as code, and documents as links. */
function markup(text: string): string {
  const named = text.replaceAll(/(?<!`)\b(TRACKER_[A-Z_]+|tracker_[a-z_]+)\b/g, "`$1`");
  return named.replaceAll(/docs\/([a-z-]+\.md)/g, "[$1]($1)");
}

function exampleOfSetting(description: Description): string {
  const { variable, initial, computed, secret, example } = description;
  const value = example?.value ?? (computed ? "" : initial);
  const note = example === undefined ? "" : `# ${example.text}\n`;
  const lines = [`# ${meaning(description)}`, `${note}#${variable}=${value}`];
  if (computed) lines[0] += `; default: ${initial}`;
  if (secret) lines.push(`#${variable}_FILE=`);
  return `\n${lines.join("\n")}\n`;
}

function meaning({ text, range }: Pick<Description, "text" | "range">): string {
  return range === "" ? text : `${text} (${range})`;
}

/** The make targets, as `make help` prints them. */
function targets(): string {
  const makefile = readFileSync(resolve(ROOT, "Makefile"), "utf8");
  const lines = [...makefile.matchAll(/^([a-z-]+):.*## (.*)$/gm)];
  return fenced(lines.map(([, name, text]) => [`make ${name}`, text]));
}

/** The commands, as `buntracker --help` prints them. */
function commands(): string {
  const lines = verbs().map(({ name, parameters, text }) => [
    `buntracker ${name} ${parameters}`.trim(),
    text,
  ]);
  return fenced([["buntracker", "run in the foreground"], ...lines]);
}

function fenced(lines: string[][]): string {
  const width = Math.max(...lines.map(([first]) => first.length)) + 2;
  return `\`\`\`\n${lines.map(([first, text]) => first.padEnd(width) + text).join("\n")}\n\`\`\`\n`;
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(WHOLE)) {
    mkdirSync(dirname(resolve(ROOT, path)), { recursive: true });
    writeFileSync(resolve(ROOT, path), text());
  }
  for (const [path, [part, text]] of Object.entries(IN_PART)) {
    const file = resolve(ROOT, path);
    writeFileSync(file, withPart(readFileSync(file, "utf8"), part, text()));
  }
}
