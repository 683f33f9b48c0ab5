/**
 * The keeper of the rules: reads their file, and remembers how often each line has held.
 *
 * Reading and taking are two steps, so that a reload of several files can be all or nothing:
 * `read` everything first, `take` it when nothing was wrong. A file with a bad line is refused as
 * a whole; a rule that is misspelt would let through what it was written against. The counts of a
 * line that stays as it was go on; those of lines that are gone are forgotten.
 */
import { readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import { countRules, type RulesShared, shareRules } from "./request-rules.ts";
import { readRules, type Rule } from "./rule-lines.ts";

/** Bad lines that are told in full. */
const PROBLEMS_SHOWN = 5;

/** How often a line has held since it is there. */
export interface RuleCount {
  line: number;
  text: string;
  count: number;
}

export class RuleKeeper {
  readonly #path: string | undefined;
  readonly #threads: number;
  #shared: RulesShared;
  /** What lines had counted, by their text, before the rules were last taken. */
  #before = new Map<string, number>();

  /** There are no rules before `take`, nor ever if `path` is undefined. */
  constructor(path: string | undefined, threads: number) {
    this.#path = path;
    this.#threads = threads;
    this.#shared = shareRules([], threads);
  }

  /** What all threads must hold at this time. */
  get shared(): RulesShared {
    return this.#shared;
  }

  /** The rules in the file. Throws a StartError if it cannot be read or has a bad line. */
  read(): Rule[] {
    if (this.#path === undefined) return [];
    const { rules, problems } = readRules(readText(this.#path));
    if (problems.length === 0) return rules;
    const more = problems.length - PROBLEMS_SHOWN;
    const shown = problems.slice(0, PROBLEMS_SHOWN).concat(more > 0 ? `${more} more` : []);
    const hint = "correct or remove the bad lines: a file with one is not used";
    throw new StartError(`TRACKER_RULES_FILE ${this.#path}: ${shown.join("; ")}`, hint);
  }

  /** Makes these the rules; returns what all threads must then hold. */
  take(rules: Rule[]): RulesShared {
    this.#before = new Map(this.counts().map(({ text, count }) => [text, count]));
    this.#shared = shareRules(rules, this.#threads);
    return this.#shared;
  }

  /** For metrics: every line with its count, in their order. */
  counts(): RuleCount[] {
    const counts = countRules(this.#shared);
    return this.#shared.rules.map(({ line, text }, at) => {
      return { line, text, count: counts[at] + (this.#before.get(text) ?? 0) };
    });
  }
}

function readText(path: string): string {
  try {
    return readSmallFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const problem = `TRACKER_RULES_FILE is ${path}, which cannot be read (${code})`;
    throw new StartError(problem, "check the path and its permissions; an empty file will do");
  }
}
