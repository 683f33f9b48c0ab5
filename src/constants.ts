/**
 * The numbers of the program: first those a specification gives, then our own with the reason.
 *
 * Byte offsets live beside the code that reads them; settings live in `config.ts`. A number that
 * follows from others is computed here and their relations are asserted at load.
 */

// ---------------------------------------------------------------------------------------------
// From the specifications
// ---------------------------------------------------------------------------------------------

/** Bytes of an info hash. [BEP 3; BEP 52 truncates its longer hash to the same 20] */
export const INFO_HASH_SIZE = 20;

/** Bytes of a peer id. [BEP 3] */
export const PEER_ID_SIZE = 20;

/** Bytes of an IPv4 peer on the wire: 4 of address, 2 of port. [BEP 23] */
export const PEER_SIZE_IPV4 = 6;

/** Bytes of an IPv6 peer on the wire: 16 of address, 2 of port. [BEP 7] */
export const PEER_SIZE_IPV6 = 18;

/** Highest port number. [RFC 768] */
export const PORT_MAX = 65535;

/** What an announce tells of its client. The numbers are those of BEP 15's event field. */
export const EVENT_NONE = 0;
export const EVENT_COMPLETED = 1;
export const EVENT_STARTED = 2;
export const EVENT_STOPPED = 3;
/** A partial seed: it has all it wants but not all there is. [BEP 21; libtorrent sends 4] */
export const EVENT_PAUSED = 4;

/** Address families, named by the number people know them by. */
export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

// ---------------------------------------------------------------------------------------------
// Ours
// ---------------------------------------------------------------------------------------------

/** Most hashes one scrape may name, by default: BEP 15 says "about 74" fit its datagram. */
export const SCRAPE_HASHES_MAX = 74;

/** Most peers a reply may carry if the operator wishes; more than any client asks for. */
export const NUMWANT_CEILING = 1000;

/** The exit codes of the program. [sysexits.h for EX_CONFIG] */
export const EXIT_OK = 0;
/** It was tried and failed: a port is taken, no tracker answers. */
export const EXIT_FAILED = 1;
/** The command line is not understood. */
export const EXIT_USAGE = 2;
/** The settings, or what they name, are wrong: to try again without a change is useless. */
export const EXIT_CONFIG = 78;

/** Length limit of an HTTP request head, in bytes: 74 escaped hashes take 5,500 of them. */
export const HTTP_HEAD_BYTES_MAX = 16 * 1024;
