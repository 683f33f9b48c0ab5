/**
 * Ownership: only the address that stored a peer refreshes, changes or stops it.
 *
 * It matters where clients may claim an address (see claims.ts), and there alone is it asked:
 *
 *   the peer              its own address     an address that claims it
 *   is not stored         stores it           stores it, if there is room for a claim
 *   is its own address's  goes on with it     changes nothing
 *   is a claim            begins it anew      goes on with it if it owns the claim, else nothing
 *
 * So an address has its ports for itself, whatever others claimed before. The caller
 * holds the lock of the shard.
 */
import type { Claims } from "./claims.ts";
import type { Members } from "./members.ts";
import type { AnnounceRequest } from "./requests.ts";
import type { Hash, Line, SwarmAt } from "./units.ts";

export class Ownership {
  readonly #claims: Claims;
  readonly #members: Members;
  readonly #request: AnnounceRequest;

  constructor(claims: Claims, members: Members, request: AnnounceRequest) {
    this.#claims = claims;
    this.#members = members;
    this.#request = request;
  }

  /**
   * True if the announcer may go on with its peer, or the peer is not stored. One that others have
   * claimed goes when its own address announces it, whatever that announces.
   */
  admits(line: Line, hash: Hash, swarm: SwarmAt): boolean {
    const { family, peerHalves: peer, claimed } = this.#request;
    const entry = this.#claims.find(line, hash, family, peer, 0);
    if (entry >= 0 && claimed) return this.#claims.isOwner(entry, this.#request);
    if (entry < 0 && !claimed) return true;
    const stored = this.#members.find(swarm, family, peer, 0);
    if (claimed) return !stored;
    if (stored) this.#members.removeFound(line, swarm, family);
    return true;
  }
}
