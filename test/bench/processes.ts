/**
 * What Linux tells of a process: the CPU time of all its threads, and its resident memory.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Linux counts CPU time in hundredths of a second for user space, on every architecture. */
const TICKS_PER_SECOND = 100;

/** Seconds since the start in which the host of this virtual machine gave its processors away. */
export function stolenSeconds(): number {
  const [line] = readFileSync("/proc/stat", "latin1").split("\n", 1);
  return Number(line.split(/\s+/)[8]) / TICKS_PER_SECOND;
}

/** Seconds of user and system time used so far by all threads; 0 if there is no such process. */
export const cpuSeconds = (pid: number): number => (pid === 0 ? 0 : cpuIn(`/proc/${pid}/stat`));

/** The same of its main thread alone, which is its event loop. */
export const mainThreadSeconds = (pid: number): number => cpuIn(`/proc/${pid}/task/${pid}/stat`);

function cpuIn(path: string): number {
  const stat = readFileSync(path, "latin1");
  // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * Seconds, to the nanosecond, that the threads which answer requests have used: without those of
 * the compiler of hot code, which are soon done.
 */
export function answeringSeconds(pid: number): number {
  let sum = 0;
  for (const seconds of answeringThreads(pid).values()) sum += seconds;
  return sum;
}

/** The same of all threads of a process and of its children. */
export function familySeconds(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += threadSeconds(pid, thread);
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").trim();
    for (const child of children.split(" ")) if (child !== "") sum += familySeconds(Number(child));
  }
  return sum;
}

/** The same of each of the threads that answer requests, by its id. */
export function answeringThreads(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const isMain = Number(thread) === pid;
    const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, "latin1").trim();
    if (isMain || name === "Worker") threads.set(thread, threadSeconds(pid, thread));
  }
  return threads;
}

function threadSeconds(pid: number, thread: string): number {
  const schedstat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1");
  return Number(schedstat.split(" ")[0]) / 1e9;
}

/** Bytes of memory that are resident. */
export const residentBytes = (pid: number): number => statusBytes(pid, "VmRSS");

/** Those of them that are no pages of a file, as those of the program are. */
export const anonymousBytes = (pid: number): number => statusBytes(pid, "RssAnon");

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

/** Datagrams that wait in the UDP sockets of an IPv4 port, in bytes; and those dropped so far. */
export function waitingAt(port: number): { bytes: number; dropped: number } {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  let bytes = 0;
  let dropped = 0;
  for (const line of readFileSync("/proc/net/udp", "latin1").split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (!fields[1]?.endsWith(local)) continue;
    bytes += Number.parseInt(fields[4].split(":")[1], 16);
    dropped += Number(fields.at(-1));
  }
  return { bytes, dropped };
}
