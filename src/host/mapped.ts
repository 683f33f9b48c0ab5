/**
 * What is mapped into this process on Linux: the C library, and our own code.
 *
 * Read from /proc/self/maps. Never throws: what cannot be read is undefined.
 */
import type { Pointer } from "bun:ffi";

/** A mapped C library, as a line of /proc/self/maps names it. */
const MAPPED_LIBC = /\s(\/\S*\/(?:libc\.so\.6|libc-2\.\d+\.so|(?:ld|libc)[.-]musl-\w+\.so\.1))$/m;

/**
 * The code of our own executable, and the constants before it, as lines of /proc/self/maps: from,
 * to, path. The pages behind the code were written when the program was linked.
 */
const MAPPED_CODE = /^([0-9a-f]+)-([0-9a-f]+) r-(?:xp \S+|-p 00000000) \S+ \S+\s+(\/.*)$/gm;

/** A part of a file that is mapped into the process. */
export interface MappedPart {
  start: Pointer;
  size: number;
}

/** The file of the C library in use; undefined if it is not found. */
export function findLibc(): string | undefined {
  if (process.platform !== "linux") return undefined;
  if (process.arch !== "x64" && process.arch !== "arm64") return undefined;
  try {
    return MAPPED_LIBC.exec(readMaps())?.[1];
  } catch {
    return undefined;
  }
}

/** Our own code and constants; undefined if they could not be read this time. */
export function ownCode(): MappedPart[] | undefined {
  try {
    return Array.from(readMaps().matchAll(MAPPED_CODE)).flatMap(([, from, to, path]) => {
      const start = Number.parseInt(from, 16);
      const size = Number.parseInt(to, 16) - start;
      return path === process.execPath ? [{ start: start as Pointer, size }] : [];
    });
  } catch {
    return undefined; // For instance, too many files are open.
  }
}

/**
 * What is mapped into the process. The module is loaded here, because it takes half a megabyte in
 * each thread that loads it, and UDP workers do not need it.
 */
function readMaps(): string {
  return process.getBuiltinModule("node:fs").readFileSync("/proc/self/maps", "utf8");
}
