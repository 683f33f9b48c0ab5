/**
 * What a worker says when it fails while nobody can hear it: the event loop may be waiting for a
 * lock that the worker holds, and no message reaches it before it has got that.
 *
 *   memory   [ u32 length ][ UTF-8 text ]      length 0: it has said nothing
 */

const TEXT_BYTES_MAX = 1020;

export function lastWordsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 + TEXT_BYTES_MAX);
}

/** Leaves what the error says, and where it was thrown as far as there is room. */
export function leaveLastWords(memory: SharedArrayBuffer, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const bytes = new TextEncoder().encode(text).subarray(0, TEXT_BYTES_MAX);
  new Uint8Array(memory, 4).set(bytes);
  Atomics.store(new Int32Array(memory, 0, 1), 0, bytes.length);
}

/** What it said, in one line; "" if it has said nothing. */
export function readLastWords(memory: SharedArrayBuffer): string {
  const length = Atomics.load(new Int32Array(memory, 0, 1), 0);
  const text = new TextDecoder().decode(new Uint8Array(memory, 4, length).slice());
  return text.split(/\s*\n\s*/).join(" | ");
}
