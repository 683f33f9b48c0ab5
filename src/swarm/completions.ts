/**
 * The downloads that were counted last, so that no download counts twice.
 *
 * The meta byte of a stored peer says that it has completed. A peer that stops is removed, and
 * could begin and complete the same download again, ten thousand times a second. So each download
 * that counts is also noted here, in a cell chosen by a keyed hash of its info hash and peer: a
 * download that finds its own mark there is not counted. A cell keeps the latest mark only: an
 * attacker that overwrites the cells gains one count for 65,536 requests; no honest download is
 * lost.
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
