/**
 * How a binary for another machine runs here: by which command, as data.
 *
 * The other targets cannot be run: Debian has no emulator of FreeBSD and macOS, and its Wine lacks
 * a library that the binary for Windows needs. A table in docs/how-it-is-built.md has them all.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

import type { Target } from "../../scripts/release.ts";
import { muslFolder, muslLoader } from "./musl.ts";

/** Where `libc6-arm64-cross` puts the C library. */
const GLIBC_ARM64 = "/usr/aarch64-linux-gnu";
const QEMU_ARM64 = "qemu-aarch64";

/** A target, and what its binary runs through. */
export interface Machine {
  target: Target;
  through: string[];
  /** What is missing here, if it cannot be run. */
  missing: () => string | undefined;
}

export const MACHINES: Machine[] = [
  {
    target: "linux-arm64",
    through: [QEMU_ARM64, "-L", GLIBC_ARM64],
    missing: () => missing(QEMU_ARM64, `${GLIBC_ARM64}/lib/libc.so.6`),
  },
  {
    target: "linux-x64-musl",
    through: [muslLoader("x64"), "--library-path", `${muslFolder("x64")}/lib`],
    missing: () => missing(undefined, muslLoader("x64")),
  },
  {
    target: "linux-arm64-musl",
    through: [QEMU_ARM64, "-L", muslFolder("arm64")],
    missing: () => missing(QEMU_ARM64, muslLoader("arm64")),
  },
];

/** The binary of a target, which the Makefile compiles. */
export function binaryOf(target: Target): string {
  return resolve(import.meta.dir, `../../dist/bin/${target}/buntracker`);
}

function missing(program: string | undefined, file: string): string | undefined {
  if (program !== undefined && Bun.which(program) === null) return program;
  return existsSync(file) ? undefined : file;
}
