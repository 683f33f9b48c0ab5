/**
 * What others of the host do to a measurement: they take processors, and what caches and the way to
 * memory carry. Where a read of memory takes longer, a tracker loses more than an echo does.
 */
import { stolenSeconds } from "./processes.ts";
import { show } from "./outcome.ts";

/** 256 MB, which no cache holds. */
const WORDS = 1 << 26;
const READS = 1 << 20;

/** Nanoseconds of a read that no cache has; its address is known only after the read before it. */
function readNanoseconds(): number {
  // Ones, since pages that nothing was written to are all the same page.
  const words = new Int32Array(WORDS).fill(1);
  let at = 0;
  const started = performance.now();
  for (let i = 0; i < READS; i++) {
    at = (Math.imul(at, 1664525) + 1013904222 + words[at]) & (WORDS - 1);
  }
  const nanoseconds = ((performance.now() - started) * 1e6) / READS;
  if (words[at] !== 1) throw new Error("a word has changed");
  return nanoseconds;
}

/** Looks at the machine from its construction on. */
export class Disturbance {
  readonly #stolen = stolenSeconds();
  readonly #started = performance.now();
  readonly #read = readNanoseconds();

  told(): string {
    const seconds = (performance.now() - this.#started) / 1000;
    const stolen = (100 * (stolenSeconds() - this.#stolen)) / seconds;
    return (
      `other guests of the host took ${show(stolen)} % of a processor; a read of memory took ` +
      `${show(this.#read)} ns before, ${show(readNanoseconds())} ns after`
    );
  }
}
