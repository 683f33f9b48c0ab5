/**
 * The access lists at the size they are made for, and what else judges a request: `make lists`.
 *
 * The claims it defends: a million info hashes are read in less than half a second of processor
 * time and take at most 32 bytes each; an address is looked up in 300,000 ranges, and judged by the
 * rate limits, in less than a microsecond. Prints a table and writes test/bench/results/lists.txt.
 */
import { readHashFile } from "../../src/access/hash-file.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { OwnAddresses, ownAddressMemory } from "../../src/limits/own-addresses.ts";
import { RATE_OK, RateLimits, reserveRateLimits } from "../../src/limits/rate-limits.ts";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const HASHES = 1_000_000;
const RANGES = 300_000;
const LOOKUPS = 1_000_000;
const ROUNDS = 5;

/** Random bytes, as many as are asked for. */
function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(size));
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)));
  }
  return bytes;
}

/** Does all of the work; returns its result and the milliseconds of processor time it took. */
function finish<Result>(work: Generator<undefined, Result>): [Result, number] {
  const before = process.cpuUsage();
  for (let step = work.next(); ; step = work.next()) {
    if (!step.done) continue;
    const { user, system } = process.cpuUsage(before);
    return [step.value, (user + system) / 1000];
  }
}

/** What lookups found, so that none of them can be left out. */
let found = 0;

/** Nanoseconds of one call, the median over some rounds of many. */
function nanoseconds(call: (n: number) => boolean): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    for (let n = 0; n < LOOKUPS; n++) if (call(n)) found += 1;
    return ((performance.now() - start) * 1e6) / LOOKUPS;
  });
  return median(rounds);
}

function measureHashes(): string[][] {
  const keys = crypto.getRandomValues(new Int32Array(HASH_KEY_WORDS));
  const raw = randomBytes(HASHES * 20);
  const text = new Uint8Array(HASHES * 41).fill(10);
  for (let n = 0; n < HASHES; n++) {
    const digits = raw.subarray(n * 20, n * 20 + 20).toHex();
    new TextEncoder().encodeInto(digits, text.subarray(n * 41));
  }
  const rounds = Array.from({ length: ROUNDS }, () => finish(readHashFile(text, keys)));
  const times = rounds.map(([, time]) => time);
  const { list } = rounds[0][0];
  const halves = new Uint16Array(raw.buffer);
  const others = new Uint16Array(randomBytes(HASHES * 20).buffer);
  const hit = nanoseconds((n) => list.contains(halves, n * 10));
  const miss = nanoseconds((n) => list.contains(others, n * 10));
  const each = list.memory.byteLength / HASHES;
  return [
    ["hashes: read the first time, ms of CPU", "under 500", times[0].toFixed(0)],
    ["hashes: read again, ms of CPU", "under 500", median(times.slice(1)).toFixed(0)],
    ["hashes: bytes each", "at most 32", each.toFixed(1)],
    ["hashes: find a listed one, ns", "", hit.toFixed(0)],
    ["hashes: miss another one, ns", "", miss.toFixed(0)],
  ];
}

/** Ranges at random places, in the format of the large lists. */
function rangeLines(family: 4 | 6): string {
  const words = new Uint32Array(randomBytes(RANGES * 4).buffer);
  const lines = Array.from(words, (word, n) => {
    const bytes = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255];
    if (family === 4) return `Some name ${n}:${bytes.join(".")}.0-${bytes.join(".")}.127`;
    const groups = `2001:db8:${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`;
    return `${groups}::/64`;
  });
  return lines.join("\n");
}

function measureRanges(family: 4 | 6): string[][] {
  const text = new TextEncoder().encode(rangeLines(family));
  const [{ list }, time] = finish(readNetworkFile(text));
  const addresses = randomBytes(LOOKUPS * 16);
  if (family === 6) {
    for (let n = 0; n < LOOKUPS; n++) addresses.set([0x20, 0x01, 0x0d, 0xb8], n * 16);
  }
  const lookup = nanoseconds((n) => list.contains(addresses, n * 16, family));
  const name = `IPv${family} ranges, ${list.size} once joined`;
  return [
    [`${name}: read, ms of CPU`, "", time.toFixed(0)],
    [`${name}: look up, ns`, "under 1000", lookup.toFixed(0)],
  ];
}

function measureLimits(): string[][] {
  const addresses = randomBytes(LOOKUPS * 4);
  const settings = { mode: "enforce", addressRate: 200, networkRate: 2000 } as const;
  const rates = new RateLimits(reserveRateLimits(settings));
  const judge = nanoseconds((n) => rates.judge(addresses, n * 4, 4, n / 100_000) === RATE_OK);
  const own = new OwnAddresses(ownAddressMemory());
  own.take(Array.from({ length: 250 }, (_, i) => `192.0.2.${i}`));
  const miss = nanoseconds((n) => own.has(addresses, n * 4, 4));
  // The address before ours: it may share their row in the table.
  const beside = Uint8Array.of(192, 0, 1, 255);
  const worst = nanoseconds(() => own.has(beside, 0, 4));
  return [
    ["rate limits: judge an address, ns", "under 1000", judge.toFixed(0)],
    ["own addresses: miss another one, ns", "", miss.toFixed(0)],
    ["own addresses: miss the one beside 250, ns", "under 1000", worst.toFixed(0)],
  ];
}

const rows = [...measureHashes(), ...measureRanges(4), ...measureRanges(6), ...measureLimits()];
const table = showTable([["what", "bar", "reached"], ...rows]);
const text = [...machineLines(), "", ...table].join("\n");
console.log(text);
await writeResults("lists.txt", `${text}\n`);
