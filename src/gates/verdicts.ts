/**
 * The verdicts on requests: one table for every transport.
 *
 * A verdict is a small number. 0 accepts the request; any other is a row of `VERDICTS`, which gives
 * the label of its metric, the sentence that the client gets, and when the client may try again.
 * The transport encodes the sentence: as the text of an error packet (BEP 15), or as a failure
 * reason in bencode (BEP 3) with `retry in` (BEP 31).
 *
 * Sentences are ASCII and short, because clients show them in a narrow column. A dropped request
 * gets no sentence: no reply over UDP, an empty 403 over HTTP, because a reverse proxy would report
 * a tracker that sends no response as down.
 */
import type { Reason } from "../counters/counters.ts";

export const VERDICT_OK = 0;

// Verdicts of the gates, in their order; the same for every transport.
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

// The request itself is invalid.
export const VERDICT_INFO_HASH_MISSING = 12;
export const VERDICT_INFO_HASH_SIZE = 13;
export const VERDICT_INFO_HASH_ESCAPE = 14;
export const VERDICT_INFO_HASH_REPEATED = 15;
export const VERDICT_INFO_HASH_HIDDEN = 16;
export const VERDICT_PEER_ID = 17;
export const VERDICT_PORT_MISSING = 18;
export const VERDICT_PORT = 19;
export const VERDICT_ACTION = 20;

// The transport cannot tell the client's address.
export const VERDICT_ADDRESS_UNKNOWN = 21;
export const VERDICT_ADDRESS_PROXY = 22;

// An announce to a page.
export const VERDICT_PATH = 23;

// An info hash of version 2 in full.
export const VERDICT_INFO_HASH_LONG = 24;

// Another connection has the peer id.
export const VERDICT_PEER_ID_TAKEN = 25;

// The client is not on the list of those that are served.
export const VERDICT_CLIENT_UNLISTED = 26;

/** One row of the table. */
export interface Verdict {
  /** The label `reason` of tracker_rejected_total. */
  reason: Reason;
  /** The sentence for the client; "" if it gets none, or if the rule has its own. */
  sentence: string;
  /** Minutes until the client may try again, or "never"; "" to leave it out. [BEP 31] */
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
  row("query", "this tracker does not serve this host name: check the announce URL"),
  row("maintenance", "this tracker is under maintenance: it will be back soon", "15"),
  row("address", "your address cannot be the address of a peer"),
  row("address", "private addresses are not accepted: announce from a public address"),
  row("denied", "this info hash is denied here", "never"),
  // An operator may add the hash to the list later.
  row("unlisted", "this info hash is not on the allow list of this tracker", "60"),
  row("network", "your network is denied here", "never"),
  row("client", "your client is denied here: use another client", "never"),
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
  row("address", "the proxy in front of this tracker did not send your address: tell the operator"),
  row("query", "this is a page of the tracker: its announce URL ends in /announce"),
  row("query", "info_hash is the whole SHA-256: send its first 20 bytes, as BEP 52 has it"),
  row("peer_id", "another connection has this peer id: try again in a minute", "1"),
  row("client", "your client is not among those that this tracker serves", "never"),
];

/** True if the client gets no sentence. */
export const isSilent = (verdict: number): boolean => verdict === VERDICT_RULE_DROP;
