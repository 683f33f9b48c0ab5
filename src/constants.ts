/**
 * The numbers of the program: first those a specification gives, then our own with the reason.
 *
 * Byte offsets are defined beside the code that reads them, settings in `config/schema.ts`.
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

/** Events of an announce, with the numbers of BEP 15. */
export const EVENT_NONE = 0;
export const EVENT_COMPLETED = 1;
export const EVENT_STARTED = 2;
export const EVENT_STOPPED = 3;
/** A partial seed: it has all it wants but not all there is. [BEP 21; libtorrent sends 4] */
export const EVENT_PAUSED = 4;

/** Address families, by IP version. */
export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

// ---------------------------------------------------------------------------------------------
// Ours
// ---------------------------------------------------------------------------------------------

/** The most hashes in one scrape by default: BEP 15 says "about 74" fit its datagram. */
export const SCRAPE_HASHES_MAX = 74;

/** The highest setting for peers in a reply; more than any client asks for. */
export const NUMWANT_CEILING = 1000;

/** Lists of public trackers, such as newTrackon, leave out shorter and longer intervals. */
export const LISTED_INTERVAL_SECONDS_MIN = 5 * 60;
export const LISTED_INTERVAL_SECONDS_MAX = 3 * 3600;

/** The exit codes of the program. [sysexits.h for EX_CONFIG] */
export const EXIT_OK = 0;
/** The attempt failed: for instance a port is taken, or no tracker answers. */
export const EXIT_FAILED = 1;
/** The command line is not valid. */
export const EXIT_USAGE = 2;
/** The settings or the files they name are wrong: another start without a change is useless. */
export const EXIT_CONFIG = 78;

/** Length limit of an HTTP request head, in bytes: 74 escaped hashes take 5,500 of them. */
export const HTTP_HEAD_BYTES_MAX = 16 * 1024;

/**
 * Private sockets of HTTP workers beyond the number of connections (see http/passing.ts). A worker
 * sends its key at once, so the oldest one without a key is closed for a further one.
 */
export const STRANGERS_MAX = 256;
