/**
 * The reason why a worker failed, in shared memory. A message is not enough: the event loop may be
 * waiting for a lock that the worker holds, and then reads no messages.
 *
 *   memory   [ u32 length ][ UTF-8 text ]      length 0: the worker has not failed
 */

const TEXT_BYTES_MAX = 1020;

export function failureMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 + TEXT_BYTES_MAX);
}

/** Writes the message and the stack of the error, cut to the size of the memory. */
export function writeFailure(memory: SharedArrayBuffer, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const bytes = new TextEncoder().encode(text).subarray(0, TEXT_BYTES_MAX);
  new Uint8Array(memory, 4).set(bytes);
  Atomics.store(new Int32Array(memory, 0, 1), 0, bytes.length);
}

/** The text as one line; "" if the worker has not failed. */
export function readFailure(memory: SharedArrayBuffer): string {
  const length = Atomics.load(new Int32Array(memory, 0, 1), 0);
  const text = new TextDecoder().decode(new Uint8Array(memory, 4, length).slice());
  return text.split(/\s*\n\s*/).join(" | ");
}
