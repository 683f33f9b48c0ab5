/**
 * The rules that requests are held against, one `RequestRules` for each thread.
 *
 * A rule holds if all its conditions do; one that asks for what a request has not (a header over
 * UDP, a port in a scrape) does not hold. The first that refuses or drops is the verdict. Without
 * rules a judgement is one comparison. With them it allocates nothing over UDP; over HTTP a header
 * is looked up once, and only if a rule that got so far asks for it.
 *
 *   counts     row for each thread, one f64 for each rule: how many requests it held for
 */
import type { Family } from "../constants.ts";
import { type HeaderCondition, type Rule, RULES_MAX } from "./rule-lines.ts";

/** What all threads must know; can be posted to a worker as it is. */
export interface RulesShared {
  rules: readonly Rule[];
  counts: SharedArrayBuffer;
}

/** Where headers come from: `Headers` will do. Names are in lower case. */
export interface HeaderSource {
  get(name: string): string | null;
}

/** What rules may be about. */
export interface JudgedRequest {
  /** The client's address, at `address[addressAt]`. */
  address: Uint8Array;
  addressAt: number;
  family: Family;
  /** PORT_NONE if it names none. */
  port: number;
  /** The peer id, at `peerId[peerIdAt]`; there is none if that is below 0. */
  peerId: Uint8Array;
  peerIdAt: number;
  /** The headers of an HTTP request; undefined for what has none. */
  head: HeaderSource | undefined;
}

/** No rule refuses or drops. */
export const RULE_NONE = -1;

/** Ports are 0 to 65535; this is what a request has that names none. */
export const PORT_NONE = -1;

/** Rules of `threads` threads, with their counts at zero. */
export function shareRules(rules: readonly Rule[], threads: number): RulesShared {
  const bytes = threads * RULES_MAX * Float64Array.BYTES_PER_ELEMENT;
  return { rules, counts: new SharedArrayBuffer(rules.length === 0 ? 0 : bytes) };
}

/** How many requests each rule held for, over all threads, in the order of the rules. */
export function countRules({ rules, counts }: RulesShared): number[] {
  const all = new Float64Array(counts);
  return rules.map((_, at) => {
    let sum = 0;
    for (let i = at; i < all.length; i += RULES_MAX) sum += all[i];
    return sum;
  });
}

export class RequestRules {
  /** True if there is nothing to be held against. */
  empty = true;
  readonly #thread: number;
  #rules: readonly Rule[] = [];
  #messages: readonly Uint8Array[] = [];
  #counts: Float64Array = new Float64Array(0);
  #all: readonly number[] = [];
  /** Rules that can hold for a request without headers. */
  #withoutHeaders: readonly number[] = [];
  /** For each header some rule asks for: its name, and its value in the request at hand. */
  #names: readonly string[] = [];
  readonly #values: (string | undefined)[] = [];

  /** `thread` is 0 for the event loop, 1 and up for workers. No rules without `shared`. */
  constructor(thread: number, shared?: RulesShared) {
    this.#thread = thread;
    if (shared !== undefined) this.update(shared);
  }

  /** From now on these rules hold. */
  update({ rules, counts }: RulesShared): void {
    this.#rules = rules;
    this.#messages = rules.map(({ message }) => new TextEncoder().encode(message));
    this.empty = rules.length === 0;
    const row = this.#thread * RULES_MAX;
    this.#counts = new Float64Array(counts).subarray(row, row + RULES_MAX);
    this.#all = [...rules.keys()];
    this.#withoutHeaders = this.#all.filter((at) => rules[at].headers.length === 0);
    this.#names = [...new Set(rules.flatMap(({ headers }) => headers.map(({ name }) => name)))];
  }

  /** What a verdict says. */
  rule(verdict: number): Rule {
    return this.#rules[verdict];
  }

  /** What the rule says to who is refused, as bytes. */
  message(verdict: number): Uint8Array {
    return this.#messages[verdict];
  }

  /** The rule against a request, RULE_NONE if there is none. */
  judge(request: JudgedRequest): number {
    const { address, addressAt, family, port, peerId, peerIdAt, head } = request;
    const candidates = head === undefined ? this.#withoutHeaders : this.#all;
    for (let i = 0; i < this.#names.length; i++) this.#values[i] = undefined;
    for (let i = 0; i < candidates.length; i++) {
      const index = candidates[i];
      const rule = this.#rules[index];
      if (!holds(rule, address, addressAt, family, port, peerId, peerIdAt)) continue;
      if (head !== undefined && !this.#hasHeaders(rule.headers, head)) continue;
      this.#counts[index] += 1;
      if (rule.action !== "count") return index;
    }
    return RULE_NONE;
  }

  #hasHeaders(conditions: readonly HeaderCondition[], headers: HeaderSource): boolean {
    for (let i = 0; i < conditions.length; i++) {
      const { name, text, openStart, openEnd } = conditions[i];
      const at = this.#names.indexOf(name);
      const value = (this.#values[at] ??= (headers.get(name) ?? "").toLowerCase());
      if (!fits(value, text, openStart, openEnd)) return false;
    }
    return true;
  }
}

/** Whether the conditions hold that are not about headers. */
function holds(
  rule: Rule,
  address: Uint8Array,
  at: number,
  family: Family,
  port: number,
  packet: Uint8Array,
  peerIdAt: number,
): boolean {
  const { ports, network, peerId } = rule;
  // PORT_NONE is below every first port.
  if (ports !== undefined && (port < ports.first || port > ports.last)) return false;
  if (network !== undefined) {
    const { bytes, mask } = network;
    if (network.family !== family) return false;
    for (let i = 0; i < bytes.length; i++) {
      if ((address[at + i] & mask[i]) !== bytes[i]) return false;
    }
  }
  if (peerId === undefined) return true;
  if (peerIdAt < 0) return false;
  for (let i = 0; i < peerId.length; i++) if (packet[peerIdAt + i] !== peerId[i]) return false;
  return true;
}

/** `*` alone asks for a header that says something, whatever it is. */
function fits(value: string, text: string, openStart: boolean, openEnd: boolean): boolean {
  if (openStart && text === "") return value !== "";
  if (openStart) return openEnd ? value.includes(text) : value.endsWith(text);
  return openEnd ? value.startsWith(text) : value === text;
}
