/**
 * Why an HTTP request cannot be answered as asked, and the sentence its client is shown.
 *
 * A verdict is a small number: 0 means go on, any other is an index into `FAILURES`. The sentences
 * are ASCII and short, because they end up in a column of somebody's client. [BEP 3]
 */

export const VERDICT_OK = 0;
export const VERDICT_INFO_HASH_MISSING = 1;
export const VERDICT_INFO_HASH_SIZE = 2;
export const VERDICT_INFO_HASH_ESCAPE = 3;
export const VERDICT_INFO_HASH_REPEATED = 4;
export const VERDICT_INFO_HASH_HIDDEN = 5;
export const VERDICT_PEER_ID = 6;
export const VERDICT_PORT_MISSING = 7;
export const VERDICT_PORT = 8;
export const VERDICT_HOST = 9;
/** The verdicts from here on are about where a request came from, not about what it says. */
export const VERDICT_ADDRESS_UNKNOWN = 10;
export const VERDICT_ADDRESS_UNUSABLE = 11;
export const VERDICT_ADDRESS_PRIVATE = 12;
export const VERDICT_ADDRESS_PROXY = 13;

/** The sentence of each verdict, at most 120 characters each. */
export const FAILURES: readonly string[] = [
  "",
  "info_hash is missing",
  "info_hash must be 20 bytes: percent-encode the raw hash, not its hexadecimal form",
  "info_hash has a broken escape: write % and two hexadecimal digits",
  "info_hash is repeated: announce one at a time",
  "sha_ih is not supported: send info_hash",
  "peer_id must be 20 bytes",
  "port is missing: add the port you listen on, or 0 if none",
  "port must be a number from 0 to 65535",
  "this tracker does not serve the host name you call it by: ask whoever gave it to you",
  "your address is unknown: try again",
  "your address cannot be a peer's",
  "private addresses are not accepted here: announce from a public one",
  "the proxy before this tracker did not say who you are: tell the operator",
];
