/**
 * One real client behind one address, with more announces at once than its share of connections: it
 * gets all its answers, and no stop is lost, which would leave a peer that is gone in its swarm.
 * Needs Debian's libtorrent and a network namespace; `.ci/run` has both.
 */
import { expect, test } from "bun:test";
import { CRASHED, type Crowd } from "./crowd.ts";

const ANNOUNCES = 400;
const TEST_MILLISECONDS = 120_000;

/** The command of a network namespace of our own; root needs no user namespace for it. */
const NAMESPACE = [
  "unshare",
  ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"]),
  "--net",
];

const succeeds = (...command: string[]): boolean => {
  return Bun.which(command[0]!) !== null && Bun.spawnSync(command).exitCode === 0;
};
const isPossible =
  process.platform === "linux" &&
  succeeds("/usr/bin/python3", "-c", "import libtorrent") &&
  succeeds(...NAMESPACE, "ip", "link", "set", "lo", "up");

/** A crash of the client says nothing about the tracker: then it is tried again. */
const ATTEMPTS = 3;

async function crowd(others: number, attempt = 1): Promise<Crowd> {
  const program = `${import.meta.dir}/crowd.ts`;
  const command = [...NAMESPACE, process.execPath, program, String(ANNOUNCES), String(others)];
  const child = Bun.spawn(command, { stderr: "inherit" });
  const output = await child.stdout.text();
  const code = await child.exited;
  if (code === CRASHED && attempt < ATTEMPTS) return crowd(others, attempt + 1);
  expect(code).toBe(0);
  return JSON.parse(output) as Crowd;
}

const ALL_ANSWERED: Omit<Crowd, "closed"> = {
  client: { answered: ANNOUNCES, failed: 0, stopped: ANNOUNCES, lost: 0, errors: [] },
  started: ANNOUNCES,
  stopped: ANNOUNCES,
  peers: 0,
};

test.if(isPossible)(
  "400 HTTP announces of one libtorrent at once, with 1024 files: none fails, and no stop is lost",
  async () => {
    expect(await crowd(0)).toEqual({ ...ALL_ANSWERED, closed: {} });
  },
  TEST_MILLISECONDS,
);

test.if(isPossible)(
  "the same while idle connections of others take nearly all files",
  async () => {
    const { closed, ...outcome } = await crowd(840);
    expect(outcome).toEqual(ALL_ANSWERED);
    // Idle connections gave way, and no new one was refused.
    expect(Object.keys(closed)).toEqual(["too_many"]);
  },
  TEST_MILLISECONDS,
);
