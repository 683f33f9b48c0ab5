/**
 * The documents that are made from the settings: the table in the README, the example file, the
 * manual page and the completions.
 *
 * `make docs` runs this to write them; a test asks for the same texts and compares.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { descriptions } from "../src/config/config.ts";
import { type Description, GROUPS } from "../src/config/schema.ts";
import { bashCompletion, fishCompletion, manual, zshCompletion } from "./manual.ts";

const ROOT = resolve(import.meta.dir, "..");

export const README = resolve(ROOT, "README.md");
export const EXAMPLE = resolve(ROOT, "dist/buntracker.env.example");

/** Documents that are written as a whole, by their path in the project. */
export const WHOLE: Record<string, () => string> = {
  "dist/buntracker.env.example": example,
  "dist/man/buntracker.8": manual,
  "dist/completion/buntracker.bash": bashCompletion,
  "dist/completion/_buntracker": zshCompletion,
  "dist/completion/buntracker.fish": fishCompletion,
};

const TABLE_BEGIN = "<!-- settings: written by `make docs` -->";
const TABLE_END = "<!-- end of settings -->";

const EXAMPLE_HEAD = `# Settings of buntracker, with their defaults. Remove a "#" to change one.
# A plain number is seconds or bytes; 30m, 24h, 64KiB and 8MiB also read.
# What is left empty is not set, unless the text says what empty means.
# Whatever reads this file, a change needs a restart.
`;

/** The README as it should be: what stands between the markers is replaced. */
export function readme(current: string): string {
  const begin = current.indexOf(TABLE_BEGIN);
  const end = current.indexOf(TABLE_END);
  if (begin < 0 || end < begin) throw new Error(`${README} has no markers for the settings`);
  return `${current.slice(0, begin + TABLE_BEGIN.length)}\n\n${table()}\n${current.slice(end)}`;
}

/** The example of an environment file, complete. */
export function example(): string {
  const groups = GROUPS.map((group) => {
    const settings = descriptions().filter((description) => description.group === group);
    return `\n# -- ${group}\n${settings.map(exampleOfSetting).join("")}`;
  });
  return EXAMPLE_HEAD + groups.join("");
}

/** Rows as the formatter wants them: columns padded to their widest cell. */
function table(): string {
  const rows = [["Variable", "Default", "Meaning"], ...descriptions().map(rowOfSetting)];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])));
  lines.splice(
    1,
    0,
    widths.map((width) => "-".repeat(width)),
  );
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function rowOfSetting({ variable, initial, computed, secret, ...rest }: Description): string[] {
  const shown = initial === "" ? "" : computed ? initial : `\`${initial}\``;
  const twin = secret ? `; or \`${variable}_FILE\`, a file that holds it` : "";
  return [`\`${variable}\``, shown, `${meaning(rest)}${twin}`];
}

function exampleOfSetting({ variable, initial, computed, secret, ...rest }: Description): string {
  const lines = [`# ${meaning(rest)}`, `#${variable}=${computed ? "" : initial}`];
  if (computed) lines[0] += `; default: ${initial}`;
  if (secret) lines.push(`#${variable}_FILE=`);
  return `\n${lines.join("\n")}\n`;
}

function meaning({ text, range }: Pick<Description, "text" | "range">): string {
  return range === "" ? text : `${text} (${range})`;
}

if (import.meta.main) {
  writeFileSync(README, readme(readFileSync(README, "utf8")));
  for (const [path, text] of Object.entries(WHOLE)) {
    mkdirSync(dirname(resolve(ROOT, path)), { recursive: true });
    writeFileSync(resolve(ROOT, path), text());
  }
}
