/**
 * The log: one line per event on standard error, logfmt or JSON.
 *
 *   time=2026-11-22T16:18:06.123Z level=info msg="listening" udp=[::]:6969
 *   {"time":"2026-11-22T16:18:06.123Z","level":"info","msg":"listening","udp":"[::]:6969"}
 *   <6>level=info msg="listening" udp=[::]:6969          under systemd, whose journal adds the time
 *
 * An event is always one printable line: text from a stranger cannot begin a second line or control
 * a terminal. Addresses of peers and info hashes are never logged above debug.
 */
import { fstatSync, writeSync } from "node:fs";

/** From the most detailed to the most severe. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export const LOG_FORMATS = ["logfmt", "json"] as const;

/** Warnings that are not about the machine; each has its own counter. */
export const LOG_WARNINGS = [
  "no_ipv6",
  "admin_address",
  "kept_sockets",
  "list_lines",
  "state_lines",
  "state_cut",
  "state_room",
  "maintenance",
  "snapshot_unused",
  "snapshot_room",
  "snapshot_unwritten",
  "websockets_full",
] as const;

export type LogWarning = (typeof LOG_WARNINGS)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];
export type LogFields = Record<string, string | number | boolean | undefined>;

/** The journal's priorities, written as a prefix such as `<6>`. [sd-daemon(3)] */
const PRIORITIES: Record<LogLevel, number> = { debug: 7, info: 6, warn: 4, error: 3 };

const STDERR = 2;

/** Everything that is not a visible character or a plain space: controls, overrides, separators. */
const UNPRINTABLE = /[\p{C}\u2028\u2029]/gu;
const NEEDS_QUOTES = /[\s"=\\\p{C}]/u;

/** How lines are written; `write` and `date` are for tests. */
export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
  /** True if standard error is the journal: lines then carry a priority and no time. */
  journal: boolean;
  write?: (line: string) => void;
  date?: () => Date;
}

/** A count of 0 for each kind. */
export const countsOf = <Kind extends string>(kinds: readonly Kind[]): Record<Kind, number> =>
  Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>;

/** Writes events of one level and above, and counts them. */
export class Log {
  /** Lines written since the start, by level. */
  readonly counts: Record<LogLevel, number> = { debug: 0, info: 0, warn: 0, error: 0 };
  /** How often each warning came, written or not. */
  readonly warned = countsOf(LOG_WARNINGS);
  readonly #threshold: number;
  readonly #json: boolean;
  readonly #journal: boolean;
  readonly #write: (line: string) => void;
  readonly #date: () => Date;

  constructor(options: LogOptions) {
    this.#threshold = LOG_LEVELS.indexOf(options.level);
    this.#json = options.format === "json";
    this.#journal = options.journal;
    this.#write = options.write ?? writeToStderr;
    this.#date = options.date ?? (() => new Date());
  }

  debug(message: string, fields?: LogFields): void {
    this.#line("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line("info", message, fields);
  }

  /** `kind` selects the counter; null if the caller counts it. */
  warn(message: string, fields: LogFields, kind: LogWarning | null): void {
    if (kind !== null) this.warned[kind] += 1;
    this.#line("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line("error", message, fields);
  }

  /** Whether a line of this level is written; ask before computing expensive fields. */
  writes(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#threshold;
  }

  #line(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (!this.writes(level)) return;
    this.counts[level] += 1;
    const time = this.#journal ? undefined : this.#date().toISOString();
    const record: LogFields = { time, level, msg: message, ...fields };
    const prefix = this.#journal ? `<${PRIORITIES[level]}>` : "";
    this.#write(`${prefix}${this.#json ? toJson(record) : toLogfmt(record)}\n`);
  }
}

/**
 * True if `fd` goes to systemd's journal. The variable alone proves nothing, since child processes
 * such as a shell inherit it: it holds the journal's device and inode. [systemd.exec(5)]
 */
export function logsToJournal(env: Record<string, string | undefined>, fd = STDERR): boolean {
  if (env["JOURNAL_STREAM"] === undefined || env["JOURNAL_STREAM"] === "") return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return env["JOURNAL_STREAM"] === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/**
 * The value in logfmt: bare if possible, else in quotes with `"` and `\` escaped. An unprintable
 * character is written as its number, such as `\x1b` or `\u{202e}`.
 */
export function quoteValue(value: string): string {
  if (value !== "" && !NEEDS_QUOTES.test(value)) return value;
  const escaped = value.replace(/["\\]/g, (character) => `\\${character}`);
  return `"${escaped.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0)!;
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  })}"`;
}

function toLogfmt(record: LogFields): string {
  let line = "";
  for (const [key, value] of Object.entries(record)) {
    if (value === undefined) continue;
    line += `${line === "" ? "" : " "}${key}=${quoteValue(String(value))}`;
  }
  return line;
}

/** JSON escapes C0 itself; other unprintable characters are escaped here, by UTF-16 unit. */
function toJson(record: LogFields): string {
  return JSON.stringify(record).replace(UNPRINTABLE, (character) => {
    let escaped = "";
    for (let at = 0; at < character.length; at++) {
      escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}

/** Writes synchronously, since the process may end next. A closed pipe is ignored. */
function writeToStderr(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // No process reads the pipe; the counters still count.
  }
}
