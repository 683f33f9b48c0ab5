/**
 * How much the log says of other trackers: a program with the login can make up names, versions
 * and changes without end, and the log must not grow by them.
 *
 * One limit holds for all names and kinds of lines: KNOWN_MAX lines at once, so that the restart of
 * a whole cluster is logged, and then one line every three seconds. At most once a minute another
 * line tells the number of lines that were dropped. Time is an argument: seconds on a clock that
 * never goes back.
 */
import { KNOWN_MAX } from "./wire.ts";

const LINES_AT_ONCE = KNOWN_MAX;
const LINES_PER_SECOND = 20 / 60;
const TOLD_APART_SECONDS = 60;

export class OtherLines {
  #room = LINES_AT_ONCE;
  #countedAt = 0;
  #leftOut = 0;
  #toldAt = -Infinity;

  /** True if a line may be written now; else it is one that was left out. */
  may(now: number): boolean {
    const more = (now - this.#countedAt) * LINES_PER_SECOND;
    this.#room = Math.min(LINES_AT_ONCE, this.#room + more);
    this.#countedAt = now;
    if (this.#room < 1) {
      this.#leftOut += 1;
      return false;
    }
    this.#room -= 1;
    return true;
  }

  /** How many lines were left out, if that is to be said now; else 0. */
  takeLeftOut(now: number): number {
    const count = this.#leftOut;
    if (count === 0 || now - this.#toldAt < TOLD_APART_SECONDS) return 0;
    this.#leftOut = 0;
    this.#toldAt = now;
    return count;
  }
}
