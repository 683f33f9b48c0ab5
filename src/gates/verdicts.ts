/**
 * The verdicts on requests: one table for every transport.
 *
 * A verdict is a small number. 0 means go on; any other names a row of `VERDICTS`, which gives the
 * label under which the request is counted and shown in the metrics, the sentence that the client
 * is told, and when it may try again. How a sentence travels is the transport's business: as text
 * in an error packet (BEP 15), as a failure reason in bencode (BEP 3) with `retry in` (BEP 31).
 *
 * Sentences are ASCII and short, because they end up in a column of somebody's client. A request
 * that is dropped is told nothing: over UDP by silence, over HTTP by a bare 403, since a reverse
 * proxy would take silence for a tracker that is down.
 */
import type { Reason } from "../counters/counters.ts";

export const VERDICT_OK = 0;

// What limits and lists say; any transport may give these. In the order of the gates.
export const VERDICT_RATE = 1;
export const VERDICT_RULE_DROP = 2;
export const VERDICT_RULE = 3;
export const VERDICT_HOST = 4;
export const VERDICT_MAINTENANCE = 5;
export const VERDICT_ADDRESS_UNUSABLE = 6;
export const VERDICT_ADDRESS_PRIVATE = 7;
export const VERDICT_DENIED = 8;
export const VERDICT_UNLISTED = 9;
export const VERDICT_NETWORK = 10;
export const VERDICT_CLIENT = 11;
export const VERDICT_EARLY = 12;

// What is wrong with the request itself.
export const VERDICT_INFO_HASH_MISSING = 13;
export const VERDICT_INFO_HASH_SIZE = 14;
export const VERDICT_INFO_HASH_ESCAPE = 15;
export const VERDICT_INFO_HASH_REPEATED = 16;
export const VERDICT_INFO_HASH_HIDDEN = 17;
export const VERDICT_PEER_ID = 18;
export const VERDICT_PORT_MISSING = 19;
export const VERDICT_PORT = 20;
export const VERDICT_ACTION = 21;

// Where the client is, as far as the transport can tell.
export const VERDICT_ADDRESS_UNKNOWN = 22;
export const VERDICT_ADDRESS_PROXY = 23;

/** One row of the table. */
export interface Verdict {
  /** How it is counted: the label `reason` of tracker_rejected_total. */
  reason: Reason;
  /** What the client is told; "" if nothing, or if the rule says it. */
  sentence: string;
  /** Minutes until the client may try again, or "never"; "" if nothing is said of that. [BEP 31] */
  retryIn: string;
}

const row = (reason: Reason, sentence: string, retryIn = ""): Verdict => ({
  reason,
  sentence,
  retryIn,
});

/** By verdict. */
export const VERDICTS: readonly Verdict[] = [
  row("query", ""),
  // A full burst is available again after a minute (BURST_SECONDS).
  row("rate", "too many requests from your address or network", "1"),
  row("rule", ""),
  row("rule", ""),
  row("query", "this tracker does not serve the host name you call it by: ask where you got it"),
  row("maintenance", "this tracker is under maintenance: it will be back soon", "15"),
  row("address", "your address cannot be a peer's"),
  row("address", "private addresses are not accepted here: announce from a public one"),
  row("denied", "this info hash is denied here", "never"),
  // The list may grow: what is not on it today may be tomorrow.
  row("unlisted", "this info hash is not on the list of those served here", "60"),
  row("network", "your network is denied here", "never"),
  row("client", "your client is denied here: use another program", "never"),
  // The minutes depend on the announce; see `Gates.retryIn`.
  row("early", "this announce is too early: wait for the interval"),
  row("query", "info_hash is missing"),
  row("query", "info_hash must be 20 bytes: percent-encode the raw hash, not its hexadecimal form"),
  row("query", "info_hash has a broken escape: write % and two hexadecimal digits"),
  row("query", "info_hash is repeated: announce one at a time"),
  row("query", "sha_ih is not supported: send info_hash"),
  row("query", "peer_id must be 20 bytes"),
  row("query", "port is missing: add the port you listen on, or 0 if none"),
  row("query", "port must be a number from 0 to 65535"),
  row("query", "unknown action"),
  row("address", "your address is unknown: try again"),
  row("address", "the proxy before this tracker did not say who you are: tell the operator"),
];

/** True if the client is told nothing. */
export const isSilent = (verdict: number): boolean => verdict === VERDICT_RULE_DROP;
