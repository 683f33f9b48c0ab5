/**
 * What the system knows of a process: memory, descriptors, CPU time. Read from /proc: Linux only.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface Vitals {
  /** Resident memory, in bytes. */
  residentBytes: number;
  /** Open file descriptors. */
  descriptors: number;
  /** CPU time of all threads since the start, in seconds. */
  cpuSeconds: number;
}

/** Ticks per second of the CPU times in /proc: 100 on every Linux. */
const TICKS_PER_SECOND = 100;

export function vitalsOf(pid: number): Vitals {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const resident = /VmRSS:\s+(\d+) kB/.exec(status);
  // The name of the program may hold spaces; the numbers begin behind its closing parenthesis.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    residentBytes: Number(resident?.[1] ?? 0) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  };
}

/** The part of one core that a process uses over `milliseconds`, 1 for all of it. */
export async function cpuShareOf(pid: number, milliseconds: number): Promise<number> {
  const [before, start] = [vitalsOf(pid).cpuSeconds, performance.now()];
  await Bun.sleep(milliseconds);
  return (vitalsOf(pid).cpuSeconds - before) / ((performance.now() - start) / 1000);
}

/** The most resident memory that `task` adds to a process while it runs, in bytes. */
export async function memoryPeakOf(pid: number, task: () => Promise<unknown>): Promise<number> {
  const before = vitalsOf(pid).residentBytes;
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, vitalsOf(pid).residentBytes);
  }, 20);
  try {
    await task();
  } finally {
    clearInterval(watch);
  }
  return most - before;
}

export const MIB = 1024 * 1024;

const GROWTH_MAX = 1.1;
/** What Bun's allocator may keep between two looks, whatever the size. */
const GROWTH_BYTES_FREE = 8 * MIB;

export const median = (numbers: number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

/** How memory grew from the second to the last quarter of the samples, as a sentence; or "". */
export function growthOf(residentBytes: number[]): string {
  const quarter = Math.floor(residentBytes.length / 4);
  const before = median(residentBytes.slice(quarter, 2 * quarter));
  const after = median(residentBytes.slice(-quarter));
  if (after <= Math.max(before * GROWTH_MAX, before + GROWTH_BYTES_FREE)) return "";
  return `memory grew from ${Math.round(before / MIB)} to ${Math.round(after / MIB)} MiB`;
}
