/**
 * The access lists: whether an info hash, a network or a client is served. Maintenance mode is kept
 * here too: announces are refused while it lasts, scrapes and statistics are answered.
 *
 *   denied        the info hash is on the deny list; this comes before the allow list
 *   unlisted      the info hash is not on the allow list, if there is one
 *   network       the address lies in a denied network
 *   client        the peer id begins with a denied prefix
 *   unlisted client   it begins with none of the allowed ones, if there are any
 *
 * Each thread has its own `Access`; the lists lie in memory that all threads share. A change
 * arrives as a new `AccessShared`, which `update` takes between two announces.
 */
import type { Family } from "../constants.ts";
import { hasPrefix } from "../net/denied-clients.ts";
import { garbage } from "../host/garbage.ts";
import { HashList } from "./hash-list.ts";
import { NetworkList } from "./network-list.ts";

export const ACCESS_OK = 0;
export const ACCESS_DENIED = 1;
export const ACCESS_UNLISTED = 2;
export const ACCESS_NETWORK = 3;
export const ACCESS_CLIENT = 4;
export const ACCESS_CLIENT_UNLISTED = 5;

/** What all threads need to judge; can be posted to a worker as it is. */
export interface AccessShared {
  /** Undefined if there is no such list. */
  deny: SharedArrayBuffer | undefined;
  allow: SharedArrayBuffer | undefined;
  networks: SharedArrayBuffer | undefined;
  /** Beginnings of peer ids: of those that are refused, and of those that alone are served. */
  denyClients: readonly Uint8Array[];
  allowClients: readonly Uint8Array[];
  maintenance: boolean;
  /** Keys of the hash lists, those of the swarms. */
  keys: Int32Array;
}

/** No lists: nothing is refused. */
export function openToAll(keys: Int32Array): AccessShared {
  const lists = { deny: undefined, allow: undefined, networks: undefined };
  return { ...lists, denyClients: [], allowClients: [], maintenance: false, keys };
}

export class Access {
  #maintenance = false;
  #deny: HashList | undefined;
  #allow: HashList | undefined;
  #networks: NetworkList | undefined;
  /** Whether any client is judged by its peer id: most trackers spare the call. */
  judgesClients = false;
  #denyClients: readonly Uint8Array[] = [];
  #allowClients: readonly Uint8Array[] = [];

  /** Without `shared` nothing is refused. */
  constructor(shared?: AccessShared) {
    if (shared !== undefined) this.update(shared);
  }

  /** Replaces the lists. */
  update(shared: AccessShared): void {
    const { deny, allow, networks, maintenance, keys } = shared;
    noteReplaced(this.#deny, deny);
    noteReplaced(this.#allow, allow);
    noteReplaced(this.#networks, networks);
    this.#deny = deny === undefined ? undefined : new HashList(deny, keys);
    this.#allow = allow === undefined ? undefined : new HashList(allow, keys);
    this.#networks = networks === undefined ? undefined : new NetworkList(networks);
    this.#denyClients = shared.denyClients;
    this.#allowClients = shared.allowClients;
    this.judgesClients = shared.denyClients.length + shared.allowClients.length > 0;
    this.#maintenance = maintenance;
  }

  /** True while all announces are refused. */
  get maintenance(): boolean {
    return this.#maintenance;
  }

  /** Whether the lists allow this info hash, maintenance or not. */
  judgeSwarm(halves: Uint16Array, at: number): number {
    if (this.#deny !== undefined && this.#deny.contains(halves, at)) return ACCESS_DENIED;
    if (this.#allow !== undefined && !this.#allow.contains(halves, at)) return ACCESS_UNLISTED;
    return ACCESS_OK;
  }

  /** Whether a client at this address may announce. */
  judgeAddress(bytes: Uint8Array, at: number, family: Family): number {
    if (this.#networks === undefined) return ACCESS_OK;
    return this.#networks.contains(bytes, at, family) ? ACCESS_NETWORK : ACCESS_OK;
  }

  /** Whether a client with this peer id, 20 bytes, may announce; a negative `at` means none. */
  judgeClient(peerId: Uint8Array, at: number): number {
    if (at >= 0 && hasPrefix(this.#denyClients, peerId, at)) return ACCESS_CLIENT;
    if (this.#allowClients.length === 0) return ACCESS_OK;
    return at >= 0 && hasPrefix(this.#allowClients, peerId, at)
      ? ACCESS_OK
      : ACCESS_CLIENT_UNLISTED;
  }
}

/** Memory of lists that this thread has noted as garbage: it may hold several of the same list. */
const noted = new WeakSet<SharedArrayBuffer>();

/** The memory of a list that gives way to another; each thread that knew it has to let it go. */
function noteReplaced(
  list: HashList | NetworkList | undefined,
  memory: SharedArrayBuffer | undefined,
): void {
  if (list === undefined || list.memory === memory || noted.has(list.memory)) return;
  noted.add(list.memory);
  garbage.note(list.memory.byteLength);
}
