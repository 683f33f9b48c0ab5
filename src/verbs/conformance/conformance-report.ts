/**
 * The results of an examination as text of 80 columns, as JSON, and as JUnit's XML.
 *
 * Only a broken `must` is a failure, of the exit code and for JUnit alike.
 */
import { excerpt, printable } from "../printable.ts";
import { isConformant, type Report, type Result } from "./conformance.ts";
import { type Weight, WEIGHTS } from "./statements.ts";

type Format = "text" | "json" | "junit";

const COLUMNS = 80;
/** The name of a line and its colon. */
const LABEL_COLUMNS = 11;
/** The most characters of a request or an answer: three lines. */
const SHOWN_MAX = 200;

const MEANINGS: Record<Weight, string> = {
  must: "clients fail, or the tracker harms others",
  should: "some clients do worse",
  custom: "trackers differ, and clients manage",
};

export function reportAs(format: Exclude<Format, "text">, reports: readonly Report[]): string {
  return format === "json" ? jsonOf(reports) : junitOf(reports);
}

/** What follows the texts of all reports. */
export function textOfWeights(): string {
  return WEIGHTS.map((weight) => labelled(weight, MEANINGS[weight])).join("");
}

function jsonOf(reports: readonly Report[]): string {
  const good = isConformant(reports);
  return `${JSON.stringify({ good, meanings: MEANINGS, reports }, undefined, 2)}\n`;
}

/** One report, with what does not hold, and an empty line. */
export function textOf({ url, address, problem, results }: Report): string {
  const where = address === "" ? "" : ` at ${address}`;
  const head = wrapped(`${printable(url)}${where}`, 0, 2);
  if (problem !== "") return `${head}${labelled("wrong", problem)}\n`;
  const broken = results.filter(({ outcome }) => outcome === "broken");
  const untried = results.filter(({ outcome }) => outcome === "not tried");
  const held = results.filter(({ outcome }) => outcome === "held").length;
  const sums = WEIGHTS.map((weight) => {
    const count = broken.filter((result) => result.weight === weight).length;
    return `${weight} ${count}`;
  });
  const summary = `${held} of ${results.length} statements hold; broken: ${sums.join(", ")}`;
  const reasons = [...new Set(untried.map(({ problem }) => problem))];
  const omitted = reasons.map((reason) => {
    const ids = untried.filter(({ problem }) => problem === reason).map(({ id }) => id);
    return labelled("not tried", `${reason}: ${ids.join(", ")}`);
  });
  const parts = [...broken.map(textOfBroken), ...omitted, labelled("sum", summary)];
  return `${head}${parts.join("")}\n`;
}

function textOfBroken({ id, weight, says, problem, sent, came }: Result): string {
  return (
    labelled(weight, id) +
    labelled("  right", says) +
    labelled("  wrong", problem) +
    (sent === "" ? "" : labelled("  sent", shown(sent))) +
    (came === "" ? "" : labelled("  came", shown(came)))
  );
}

function shown(text: string): string {
  const line = excerpt(text);
  return line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX)}…` : line;
}

/** A label and its text, wrapped beside it. */
function labelled(label: string, text: string): string {
  const name = `  ${label}:`.padEnd(2 + LABEL_COLUMNS);
  return name + wrapped(printable(text), 2 + LABEL_COLUMNS, 2 + LABEL_COLUMNS);
}

/** A text from column `from` on; further lines, and parts of long words, are indented. */
function wrapped(text: string, from: number, indent: number): string {
  const pieces = text.split(" ").flatMap((word) => {
    const width = COLUMNS - Math.max(from, indent);
    return word.length <= width ? [word] : word.match(new RegExp(`.{1,${width}}`, "gu"))!;
  });
  let line = "";
  let at = from;
  let whole = "";
  for (const piece of pieces) {
    const size = line === "" ? 0 : line.length + 1;
    if (line !== "" && at + size + piece.length > COLUMNS) {
      whole += `${line}\n${" ".repeat(indent)}`;
      line = piece;
      at = indent;
    } else {
      line = line === "" ? piece : `${line} ${piece}`;
    }
  }
  return `${whole}${line}\n`;
}

function junitOf(reports: readonly Report[]): string {
  const suites = reports.map(suiteOf).join("");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites}</testsuites>\n`;
}

function suiteOf({ url, address, problem, results }: Report): string {
  const name = xml(address === "" ? url : `${url} at ${address}`);
  const cases = results.map((result) => caseOf(result, name));
  if (problem !== "") {
    const failure = `    <failure message="${xml(problem)}"/>\n`;
    cases.unshift(`  <testcase classname="${name}" name="reached">\n${failure}  </testcase>\n`);
  }
  const failures = cases.filter((text) => text.includes("<failure ")).length;
  const skipped = cases.filter((text) => text.includes("<skipped ")).length;
  const counts = `tests="${cases.length}" failures="${failures}" skipped="${skipped}"`;
  return ` <testsuite name="${name}" ${counts}>\n${cases.join("")} </testsuite>\n`;
}

function caseOf({ id, weight, says, outcome, problem, sent, came }: Result, suite: string): string {
  const head = `  <testcase classname="${suite}" name="${xml(`${id}: ${says}`)}"`;
  if (outcome === "held") return `${head}/>\n`;
  if (outcome === "not tried") {
    return `${head}>\n    <skipped message="${xml(problem)}"/>\n  </testcase>\n`;
  }
  const more = xml(`${weight}: ${problem}\nsent: ${sent}\ncame: ${came}`);
  const inside =
    weight === "must"
      ? `<failure type="must" message="${xml(problem)}">${more}</failure>`
      : `<system-out>${more}</system-out>`;
  return `${head}>\n    ${inside}\n  </testcase>\n`;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** A text in XML, which allows no control characters. */
function xml(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line).replace(/[&<>"]/g, (found) => ENTITIES[found]))
    .join("\n");
}
