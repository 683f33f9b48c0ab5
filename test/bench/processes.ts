/**
 * What Linux tells of a process: the CPU time of all its threads, and its resident memory.
 */
import { readFileSync, writeFileSync } from "node:fs";

/** Linux counts CPU time in hundredths of a second for user space, on every architecture. */
const TICKS_PER_SECOND = 100;

/** Seconds of user and system time used so far by all threads; 0 if there is no such process. */
export function cpuSeconds(pid: number): number {
  if (pid === 0) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Bytes of memory that are resident. */
export const residentBytes = (pid: number): number => statusBytes(pid, "VmRSS");

/** The most bytes that were resident since the start, or since `forgetPeak`. */
export const peakBytes = (pid: number): number => statusBytes(pid, "VmHWM");

/** From now on the peak is that of the time to come. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function statusBytes(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
  return found === null ? 0 : Number(found[1]) * 1024;
}
