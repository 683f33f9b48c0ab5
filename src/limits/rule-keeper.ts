/**
 * The keeper of the rules: reads their file, and keeps how often each line has matched.
 *
 * Reading and taking are two steps, so that a reload of several files takes all of them or none:
 * `read` every file first, then `take` them if all were right. A file with a bad line is refused as
 * a whole, since a misspelt rule would admit the requests that it should refuse. A line that does
 * not change keeps its count; the counts of removed lines are lost.
 */
import { codeOf, notRead, readRemedy } from "../host/file-errors.ts";
import { readSmallFile } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import { countRules, type RulesShared, shareRules } from "./request-rules.ts";
import { readRules, type Rule } from "./rule-lines.ts";

/** Bad lines that a message quotes in full. */
const PROBLEMS_SHOWN = 5;

/** How often a line has matched since it was added. */
export interface RuleCount {
  line: number;
  text: string;
  count: number;
}

export class RuleKeeper {
  readonly #path: string | undefined;
  readonly #threads: number;
  #shared: RulesShared;
  /** Counts by the text of a line, from before the last `take`. */
  #before = new Map<string, number>();

  /** There are no rules before `take`. If `path` is undefined, there are never any. */
  constructor(path: string | undefined, threads: number) {
    this.#path = path;
    this.#threads = threads;
    this.#shared = shareRules([], threads);
  }

  /** The rules that all threads must use now. */
  get shared(): RulesShared {
    return this.#shared;
  }

  /** Reads the rules. Throws a StartError if the file cannot be read or has a bad line. */
  read(): Rule[] {
    if (this.#path === undefined) return [];
    const { rules, problems } = readRules(readText(this.#path));
    if (problems.length === 0) return rules;
    const more = problems.length - PROBLEMS_SHOWN;
    const shown = problems.slice(0, PROBLEMS_SHOWN).concat(more > 0 ? `${more} more` : []);
    const hint = "correct or remove the bad lines: a file with one is not used";
    throw new StartError(`TRACKER_RULES_FILE ${this.#path}: ${shown.join("; ")}`, hint);
  }

  /** Replaces the rules; returns what all threads must then use. */
  take(rules: Rule[]): RulesShared {
    this.#before = new Map(this.counts().map(({ text, count }) => [text, count]));
    this.#shared = shareRules(rules, this.#threads);
    return this.#shared;
  }

  /** For metrics: every line with its count, in the order of the file. */
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
    const code = codeOf(error);
    const problem = `TRACKER_RULES_FILE is ${path}, which ${notRead(code)}`;
    const usual = "check the path and its permissions; the file may be empty";
    throw new StartError(problem, readRemedy(code, usual));
  }
}
