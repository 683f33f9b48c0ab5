/**
 * What Linux tells of a process: the CPU time of all its threads, and its resident memory.
 */
import { readFileSync } from "node:fs";

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
export function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return found === null ? 0 : Number(found[1]) * 1024;
}
