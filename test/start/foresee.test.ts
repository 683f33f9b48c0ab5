/** What the start would warn of is foreseen by the check. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../src/config/config.ts";
import { foresee } from "../../src/start/foresee.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-foresee-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what the start would warn of is foreseen, as a sentence with a remedy", () => {
  const sentences = (env: Record<string, string>): string[] => {
    const reading = readConfig(env);
    if ("problems" in reading) throw new Error(reading.problems.join("; "));
    return foresee(reading.config, reading.origins);
  };
  const quiet = sentences({});
  const more = (env: Record<string, string>) =>
    sentences(env).filter((sentence) => !quiet.includes(sentence));
  expect(more({ TRACKER_ALLOW_IP_PARAMETER: "yes" })).toEqual([
    expect.stringMatching(/^clients may announce addresses that are not .*: TRACKER_ALLOW_IP_P/),
  ]);
  expect(more({ TRACKER_UDP_WORKERS: "64", TRACKER_UDP_ADDRESS: manyAddresses(4000) })).toEqual([
    expect.stringMatching(/^there are more UDP workers than processors, .* \(workers 256000, /),
    expect.stringMatching(
      /^the tracker may take more memory .* \(needed \d+MiB, there \d+MiB\): \d+MiB of memory/,
    ),
  ]);
  const list = join(folder, "list");
  writeFileSync(list, "");
  const denied = { TRACKER_DENY_FILE: list, TRACKER_ADMIN_TOKEN: "correct-horse-battery-staple" };
  expect(more(denied)).toEqual([]);
  rmSync(list);
  expect(more(denied)[0]).toBe(
    `a file cannot be read again on SIGHUP (file ${list}): ` +
      "let the user it runs as read it and search the folders above it",
  );
});

test("of a cluster is foreseen that settings do nothing without a server", () => {
  const told = (env: Record<string, string>): string[] => {
    const reading = readConfig(env);
    if ("problems" in reading) throw new Error(reading.problems.join("; "));
    return foresee(reading.config, reading.origins).filter((one) => one.includes("CLUSTER"));
  };
  const login = { TRACKER_CLUSTER_USER: "u", TRACKER_CLUSTER_PASSWORD: "p" };
  expect(told({})).toEqual([]);
  expect(told({ ...login, TRACKER_CLUSTER_URL: "nats://127.0.0.1" })).toEqual([]);
  expect(told({ ...login, TRACKER_CLUSTER_URL: "" })).toEqual([
    "without TRACKER_CLUSTER_URL there is no effect of TRACKER_CLUSTER_USER, " +
      "TRACKER_CLUSTER_PASSWORD: set TRACKER_CLUSTER_URL to share peers, or leave this out",
  ]);
});

test("of a snapshot is foreseen what it lacks, and an interval that does nothing", () => {
  const told = (env: Record<string, string>): string[] => {
    const reading = readConfig(env);
    if ("problems" in reading) throw new Error(reading.problems.join("; "));
    return foresee(reading.config, reading.origins).filter((one) => /SECRET|SNAPSHOT/.test(one));
  };
  expect(told({})).toEqual([]);
  expect(told({ TRACKER_SNAPSHOT_INTERVAL: "1m" })).toEqual([
    "TRACKER_SNAPSHOT_INTERVAL has no effect: set TRACKER_SNAPSHOT_FILE, or leave it out",
  ]);
  const file = { TRACKER_SNAPSHOT_FILE: join(folder, "swarms"), TRACKER_SNAPSHOT_INTERVAL: "1m" };
  expect(told(file)).toEqual([
    "connection ids end with a restart, so clients in the middle of one wait 15 seconds: " +
      "set TRACKER_UDP_SECRET or TRACKER_UDP_SECRET_FILE",
  ]);
  expect(told({ ...file, TRACKER_UDP_SECRET: "0123456789abcdef".repeat(2) })).toEqual([]);
  expect(told({ ...file, TRACKER_UDP_ADDRESS: "" })).toEqual([
    "crowded swarms lose peers over a restart: set TRACKER_UDP_SECRET or TRACKER_UDP_SECRET_FILE",
  ]);
});

/** So many addresses that the threads need more memory than any machine of tests has. */
function manyAddresses(count: number): string {
  return Array.from({ length: count }, (_, n) => `127.0.${n >> 8}.${n & 255}:7000`).join(",");
}
