/**
 * Why a worker has failed, in shared memory: the event loop may wait for a lock that the worker
 * holds, and reads no messages until it gets that.
 *
 *   memory   [ u32 length ][ UTF-8 text ]      length 0: it has not failed
 */

const TEXT_BYTES_MAX = 1020;

export function lastWordsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 + TEXT_BYTES_MAX);
}

/** Writes what the error says, and where it was thrown as far as there is room. */
export function leaveLastWords(memory: SharedArrayBuffer, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const bytes = new TextEncoder().encode(text).subarray(0, TEXT_BYTES_MAX);
  new Uint8Array(memory, 4).set(bytes);
  Atomics.store(new Int32Array(memory, 0, 1), 0, bytes.length);
}

/** The text in one line; "" if there is none. */
export function readLastWords(memory: SharedArrayBuffer): string {
  const length = Atomics.load(new Int32Array(memory, 0, 1), 0);
  const text = new TextDecoder().decode(new Uint8Array(memory, 4, length).slice());
  return text.split(/\s*\n\s*/).join(" | ");
}
