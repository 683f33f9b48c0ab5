/**
 * The rules file: one rule a line, an action and its conditions.
 *
 *   # all conditions of a line must hold; values with spaces go in quotes
 *   refuse "your client asks too often: update it" user-agent="BadClient/1.*" port=1-1023
 *   drop   network=203.0.113.0/24 peer-id=-XX
 *   count  header:x-requested-with=*
 *
 *   refuse "text"       answer with this text as the failure reason
 *   drop                do not answer; over HTTP, where proxies need one, answer 403 without a text
 *   count               count the request and go on to the next line
 *
 *   network=CIDR        the client's address lies in the network
 *   port=N, port=N-M    the announced port
 *   peer-id=TEXT        the peer id begins with TEXT; %00 stands for a byte
 *   user-agent=TEXT     the header is TEXT, in upper or lower case; a star at either end of TEXT
 *   header:NAME=TEXT      stands for any characters; "" matches a header that is empty or missing
 *
 * The first matching line that refuses or drops decides. Reading never throws: a problem with a
 * line is returned as a sentence.
 */
import { readPeerIdPrefix } from "../net/denied-clients.ts";
import { PORT_MAX, type Family } from "../constants.ts";
import { readNetwork } from "../net/addresses.ts";

/**
 * Every request is compared with every rule, so the rules are few; networks have their own list.
 */
export const RULES_MAX = 256;

const MESSAGE_SIZE_MAX = 200;

export interface NetworkCondition {
  family: Family;
  /** The address, and a mask of as many bytes. */
  bytes: Uint8Array;
  mask: Uint8Array;
}

export interface HeaderCondition {
  /** In lower case, as is the text. */
  name: string;
  text: string;
  openStart: boolean;
  openEnd: boolean;
}

/** One line; missing conditions are undefined. Can be posted to a worker as it is. */
export interface Rule {
  /** The line as it was written, without the white space around it. */
  text: string;
  line: number;
  action: "refuse" | "drop" | "count";
  /** The sentence for a client that is refused: printable ASCII. */
  message: string;
  network?: NetworkCondition;
  ports?: { first: number; last: number };
  peerId?: Uint8Array;
  headers: HeaderCondition[];
}

/** Reads the rules in a text, with a sentence for each line that is not a rule. */
export function readRules(text: string): { rules: Rule[]; problems: string[] } {
  const rules: Rule[] = [];
  const problems: string[] = [];
  for (const [at, raw] of text
    .replace(/^\ufeff/, "")
    .split("\n")
    .entries()) {
    const line = raw.trim();
    if (line.includes("\r")) {
      problems.push(`line ${at + 1} has a CR inside: end lines with LF`);
      continue;
    }
    if (line === "" || line.startsWith("#")) continue;
    const rule = readRule(line, at + 1);
    const twin = rules.find((other) => other.text === line);
    if (typeof rule === "string") problems.push(`line ${at + 1} ${rule}`);
    else if (twin !== undefined) problems.push(`line ${at + 1} repeats line ${twin.line}`);
    else rules.push(rule);
  }
  if (rules.length > RULES_MAX) {
    problems.push(`${rules.length} rules are too many: keep ${RULES_MAX}`);
  }
  return { rules, problems };
}

/** A rule, or its problem as the end of a sentence that begins with `line 1`. */
function readRule(text: string, line: number): Rule | string {
  const words = splitWords(text);
  if (words === undefined) return "has a quote that does not end";
  const [action, ...rest] = words;
  if (action !== "refuse" && action !== "drop" && action !== "count") {
    return `begins with ${shorten(action)}: write refuse, drop or count`;
  }
  const message = action === "refuse" ? (rest.shift() ?? "") : "";
  if (action === "refuse") {
    const problem = judgeMessage(message, text);
    if (problem !== undefined) return problem;
  }
  if (rest.length === 0) return "has no condition, so it would match every request";
  const rule: Rule = { text, line, action, message, headers: [] };
  for (const word of rest) {
    const problem = addCondition(rule, word);
    if (problem !== undefined) return problem;
  }
  return rule;
}

function judgeMessage(message: string, text: string): string | undefined {
  if (!/^refuse\s+"/.test(text)) return `has no message: write refuse "text" and the conditions`;
  if (/^[\x20-\x7e]+$/.test(message) && message.length <= MESSAGE_SIZE_MAX) return undefined;
  return `has a message that clients cannot show: write 1 to ${MESSAGE_SIZE_MAX} ASCII characters`;
}

/** Adds the condition `key=value` to the rule; returns the problem with it, if there is one. */
function addCondition(rule: Rule, word: string): string | undefined {
  const equals = word.indexOf("=");
  if (equals < 0) return `has ${shorten(word)}, which is not a condition: write name=value`;
  const key = word.slice(0, equals).toLowerCase();
  const value = word.slice(equals + 1);
  if (key === "user-agent") return addHeader(rule, key, value);
  if (key.startsWith("header:")) return addHeader(rule, key.slice("header:".length), value);
  switch (key) {
    case "network":
      return addOnce(
        rule,
        "network",
        readCondition(value),
        value,
        "203.0.113.0/24 or 2001:db8::/32",
      );
    case "port":
      return addOnce(rule, "ports", readPorts(value), value, "6881 or 1-1023");
    case "peer-id":
      return addOnce(rule, "peerId", readPeerIdPrefix(value), value, "-XX or M%00");
    default:
      return `has ${shorten(key)}, which is not a condition: write ${CONDITIONS}`;
  }
}

const CONDITIONS = "network, port, peer-id, user-agent or header:NAME";

function addOnce<Key extends "network" | "ports" | "peerId">(
  rule: Rule,
  key: Key,
  read: Rule[Key] | undefined,
  value: string,
  example: string,
): string | undefined {
  const name = { network: "network", ports: "port", peerId: "peer-id" }[key];
  if (read === undefined) return `has ${name}=${shorten(value)}: write ${example}`;
  if (rule[key] !== undefined) return `names ${name} twice: write two lines`;
  rule[key] = read;
  return undefined;
}

function addHeader(rule: Rule, name: string, value: string): string | undefined {
  if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
    return `has ${shorten(name)}, which is not the name of a header`;
  }
  const openStart = value.startsWith("*");
  const openEnd = value.length > 1 && value.endsWith("*");
  const text = value.slice(openStart ? 1 : 0, openEnd ? -1 : undefined).toLowerCase();
  if (text.includes("*")) return `has a star inside ${shorten(value)}: use stars at the ends only`;
  rule.headers.push({ name, text, openStart, openEnd });
  return undefined;
}

/** Splits at white space outside quotes; undefined if a quote does not end. */
function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:[^\s"]|"(?:[^"\\]|\\.)*("|$))+/g)) {
    const bare = word.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inside: string) =>
      inside.replace(/\\(.)/g, "$1").replaceAll('"', "\0"),
    );
    if (bare.includes('"')) return undefined;
    words.push(bare.replaceAll("\0", '"'));
  }
  return words;
}

function readCondition(text: string): NetworkCondition | undefined {
  const first = new Uint8Array(16);
  const last = new Uint8Array(16);
  const family = readNetwork(text, first, last);
  if (family === 0) return undefined;
  const bytes = first.slice(0, family === 4 ? 4 : 16);
  return { family, bytes, mask: bytes.map((byte, i) => ~(byte ^ last[i])) };
}

function readPorts(text: string): { first: number; last: number } | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= PORT_MAX ? { first, last } : undefined;
}

function shorten(word: string): string {
  return JSON.stringify(word.length > 40 ? `${word.slice(0, 40)}…` : word);
}
