/**
 * The downloads that were counted last, so that none counts twice.
 *
 * A stored peer remembers that it has completed. One that stops is forgotten, and could begin and
 * complete the same download again, ten thousand times a second. So each download that counts is
 * noted here too, in a cell chosen by a keyed hash of its info hash and peer: one that meets its
 * own mark there is not counted. A cell keeps the latest mark only: an attacker who fills the cells
 * makes them forget, and gains a count for each 65,536; no honest download is refused.
 *
 *   keyed hash of (info hash, peer)  ─►  cell: 16 bits, mark: 32 bits
 *
 * Cells are shared by all threads and written without a lock: two at once may lose a mark.
 */
import { COMPLETION_CELLS, type SwarmMemory } from "./memory.ts";

export class Completions {
  readonly #cells: Int32Array;

  constructor(memory: SwarmMemory) {
    this.#cells = new Int32Array(memory.index, memory.completionsAt, COMPLETION_CELLS);
  }

  /** Notes a download, by the keyed hashes of its info hash and its peer; false if it is known. */
  note(infoHash: number, peer: number): boolean {
    const cell = cellOf(infoHash, peer);
    const mark = (infoHash + Math.imul(peer, 0xc2b2ae35)) | 1;
    if (this.#cells[cell] === mark) return false;
    this.#cells[cell] = mark;
    return true;
  }
}

/** The cell of a download, by the keyed hashes of its info hash and its peer. */
export function cellOf(infoHash: number, peer: number): number {
  return (Math.imul(infoHash ^ Math.imul(peer, 0x85ebca6b), 0x9e3779b1) >>> 16) % COMPLETION_CELLS;
}
