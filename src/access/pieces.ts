/**
 * Reading a large file without holding it: in pieces that end where a line does.
 *
 * A list of a million hashes is 41 MB. To have it in memory at once keeps the event loop for some
 * 20 ms, while that memory is taken and given back; a piece costs nothing. Only a line that is
 * longer than a piece makes that grow.
 */
import { type FileHandle, open, stat } from "node:fs/promises";

const PIECE_BYTES = 128 * 1024;
const LINE_END = 10;

/**
 * Hands over the bytes of a file, piece by piece; they are good until `take` has resolved. Rejects
 * with the system's error if the file cannot be read, or is no regular file: a pipe might never
 * end.
 */
export async function eachPiece(
  path: string,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const found = await stat(path);
  if (!found.isFile()) throw Object.assign(new Error("not a file"), { code: "not a file" });
  const file = await open(path, "r");
  try {
    await readAll(file, take);
  } finally {
    await file.close();
  }
}

async function readAll(
  file: FileHandle,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let buffer = new Uint8Array(PIECE_BYTES);
  let kept = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, kept, buffer.length - kept);
    const end = kept + bytesRead;
    if (bytesRead === 0) {
      if (end > 0) await take(buffer.subarray(0, end));
      return;
    }
    const whole = buffer.lastIndexOf(LINE_END, end - 1) + 1;
    if (whole > 0) await take(buffer.subarray(0, whole));
    buffer.copyWithin(0, whole, end);
    kept = end - whole;
    if (kept < buffer.length) continue;
    const larger = new Uint8Array(2 * buffer.length);
    larger.set(buffer);
    buffer = larger;
  }
}
