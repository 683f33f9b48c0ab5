/**
 * Applies the operator's rules to requests; each thread has its own `RequestRules`.
 *
 * A rule matches if all its conditions match. A condition on something that the request lacks (a
 * header over UDP, a port in a scrape) does not match. The first matching rule that refuses or
 * drops is the verdict. Without rules a judgement is one comparison. With rules it allocates
 * nothing over UDP; over HTTP each header is looked up at most once, when a condition needs it.
 *
 *   counts     a row for each thread, one f64 for each rule: how many requests it matched
 */
import type { Family } from "../constants.ts";
import { type HeaderCondition, type Rule, RULES_MAX } from "./rule-lines.ts";

/** What all threads need; can be posted to a worker as it is. */
export interface RulesShared {
  rules: readonly Rule[];
  counts: SharedArrayBuffer;
}

/** Source of headers, such as `Headers`. Names are in lower case. */
export interface HeaderSource {
  get(name: string): string | null;
}

/** The parts of a request that rules can match. */
export interface JudgedRequest {
  /** The client's address, at `address[addressAt]`. */
  address: Uint8Array;
  addressAt: number;
  family: Family;
  /** PORT_NONE if the request has no port. */
  port: number;
  /** The peer id, at `peerId[peerIdAt]`; the request has no peer id if `peerIdAt` is below 0. */
  peerId: Uint8Array;
  peerIdAt: number;
  /** The headers of an HTTP request; undefined over UDP. */
  head: HeaderSource | undefined;
}

/** No rule refuses or drops. */
export const RULE_NONE = -1;

/** The port of a request without one; ports are 0 to 65535. */
export const PORT_NONE = -1;

/** The rules for `threads` threads, with all counts at zero. */
export function shareRules(rules: readonly Rule[], threads: number): RulesShared {
  const bytes = threads * RULES_MAX * Float64Array.BYTES_PER_ELEMENT;
  return { rules, counts: new SharedArrayBuffer(rules.length === 0 ? 0 : bytes) };
}

/** How many requests each rule matched, over all threads, in the order of the rules. */
export function countRules({ rules, counts }: RulesShared): number[] {
  const all = new Float64Array(counts);
  return rules.map((_, at) => {
    let sum = 0;
    for (let i = at; i < all.length; i += RULES_MAX) sum += all[i];
    return sum;
  });
}

export class RequestRules {
  /** True if there are no rules. */
  empty = true;
  readonly #thread: number;
  #rules: readonly Rule[] = [];
  #messages: readonly Uint8Array[] = [];
  #counts: Float64Array = new Float64Array(0);
  #all: readonly number[] = [];
  /** Indexes of the rules that can match a request without headers. */
  #withoutHeaders: readonly number[] = [];
  /** For each header that a rule needs: its name, and its value in the current request. */
  #names: readonly string[] = [];
  readonly #values: (string | undefined)[] = [];

  /** `thread` is 0 for the event loop, 1 and up for workers. No rules without `shared`. */
  constructor(thread: number, shared?: RulesShared) {
    this.#thread = thread;
    if (shared !== undefined) this.update(shared);
  }

  /** Replaces the rules. */
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

  /** The rule that a verdict names. */
  rule(verdict: number): Rule {
    return this.#rules[verdict];
  }

  /** The sentence for a client that the rule refuses, as bytes. */
  message(verdict: number): Uint8Array {
    return this.#messages[verdict];
  }

  /** True if a rule refuses or drops a request like this one, without headers; counts nothing. */
  refuses({ address, addressAt, family, port, peerId, peerIdAt }: JudgedRequest): boolean {
    return this.#withoutHeaders.some((index) => {
      const rule = this.#rules[index];
      const matches = holds(rule, address, addressAt, family, port, peerId, peerIdAt);
      return matches && rule.action !== "count";
    });
  }

  /** The index of the rule that refuses or drops the request, or RULE_NONE. */
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

/** Whether all conditions match that are not about headers. */
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

/** Whether a header value matches. `*` alone matches every value that is not empty. */
function fits(value: string, text: string, openStart: boolean, openEnd: boolean): boolean {
  if (openStart && text === "") return value !== "";
  if (openStart) return openEnd ? value.includes(text) : value.endsWith(text);
  return openEnd ? value.startsWith(text) : value === text;
}
