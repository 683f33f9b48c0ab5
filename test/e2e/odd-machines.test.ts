/**
 * Machines that lack what others have: the compiled binary says what is missing and what helps, in
 * a sentence of its own. Linux only.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startProcess } from "./harness.ts";
import { underFilter } from "./seccomp.ts";

const folder = mkdtempSync(join(tmpdir(), "odd-machines-"));
afterAll(() => rmSync(folder, { recursive: true }));

const LINUX = process.platform === "linux";
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
const NO_IPV6 = `ipv6=${EAFNOSUPPORT}`;

/** What it prints when it ends by itself, and its exit code. */
async function ended(rules: string[], env: Record<string, string>, ...args: string[]) {
  const port = freePort();
  const child = startProcess({
    through: underFilter(...rules),
    args,
    env: {
      TRACKER_UDP_ADDRESS: `127.0.0.1:${port}`,
      TRACKER_HTTP_ADDRESS: `127.0.0.1:${port}`,
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_USER: "nobody",
      ...env,
    },
  });
  return { code: await child.exited(5000), stderr: child.stderr };
}

describe.if(LINUX)("without IPv6 in the kernel", () => {
  test.each([
    ["UDP in a thread", { TRACKER_UDP_ADDRESS: "[::]:7" }, "UDP", "[::]:7", "0.0.0.0:7"],
    [
      "UDP in the event loop",
      { TRACKER_UDP_ADDRESS: "[::1]:7", TRACKER_UDP_WORKERS: "0" },
      "UDP",
      "[::1]:7",
      "127.0.0.1:7",
    ],
    ["HTTP", { TRACKER_HTTP_ADDRESS: "[::]:7" }, "HTTP", "[::]:7", "0.0.0.0:7"],
    ["the operator", { TRACKER_ADMIN_ADDRESS: "[::1]:7" }, "ADMIN", "[::1]:7", "127.0.0.1:7"],
  ])("an address for %s is refused by start and check", async (_name, env, of, asked, instead) => {
    const stderr =
      `buntracker: error: this machine has no IPv6, so ${asked} cannot be bound\n` +
      `buntracker: hint: set TRACKER_${of}_ADDRESS to ${instead}\n`;
    expect(await ended([NO_IPV6], env)).toEqual({ code: 78, stderr });
    expect(await ended([NO_IPV6], env, "check")).toEqual({ code: 78, stderr });
  });

  test.each(["0", "1"])(
    "with %p UDP workers the default is IPv4, with a warning",
    async (workers) => {
      const env = { TRACKER_ADMIN_ADDRESS: "", TRACKER_UDP_WORKERS: workers };
      const tracker = startProcess({ through: underFilter(NO_IPV6), env });
      await using _tracker = tracker;
      const warning = "this machine has no IPv6: clients are answered over IPv4 only";
      await tracker.says(`level=warn msg="${warning}" remedy="enable IPv6, or set TRACKER_UDP_ADD`);
      // Another tracker may have the default port.
      await Promise.race([tracker.says("at=http://0.0.0.0:6969"), tracker.says("(0.0.0.0:6969)")]);
      if (tracker.stderr.includes("already in use (0.0.0.0:6969)")) return;
      const answer = await fetch("http://127.0.0.1:6969/health", { keepalive: false });
      expect(await answer.text()).toBe("ok");
      const health = startProcess({ through: underFilter(NO_IPV6), args: ["health"], env });
      expect([await health.exited(), health.stdout]).toEqual([0, "ok\n"]);
    },
  );
});

test("SIGUSR1, on which other daemons reopen logs, ends neither start nor tracker", async () => {
  const at = `127.0.0.1:${freePort()}`;
  const state = join(folder, "state");
  Bun.spawnSync(["mkfifo", state]);
  const tracker = startProcess({
    env: {
      TRACKER_UDP_ADDRESS: at,
      TRACKER_HTTP_ADDRESS: at,
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_STATE_IMPORT: state,
    },
  });
  await using _tracker = tracker;
  // The start waits for the pipe.
  await Bun.sleep(500);
  tracker.signal("SIGUSR1");
  await Bun.sleep(100);
  await Bun.write(state, `${"ab".repeat(20)}:1:1\n`);
  await tracker.says("msg=ready");
  tracker.signal("SIGUSR1");
  await Bun.sleep(100);
  const answer = await fetch(`http://${at}/health`, { keepalive: false });
  expect(await answer.text()).toBe("ok");
});

describe.if(LINUX)("where limits are low", () => {
  const through = ["sh", "-c", 'ulimit -v 2000000; exec "$0" "$@"'];

  test("a limit of the address space, which turns the compiler off, is warned of", async () => {
    const at = `127.0.0.1:${freePort()}`;
    const env = {
      TRACKER_UDP_ADDRESS: at,
      TRACKER_HTTP_ADDRESS: at,
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_MEMORY_MAX: "16MiB",
    };
    const warning = "the engine may not compile code: every request costs some twenty times as";
    const checked = startProcess({ through, args: ["check"], env });
    expect(await checked.exited()).toBe(0);
    expect(checked.stderr).toContain(`buntracker: warning: ${warning}`);
    const tracker = startProcess({ through, env });
    await using _tracker = tracker;
    await tracker.says(`level=warn msg="${warning}`);
    const answer = await fetch(`http://${at}/health`, { keepalive: false });
    expect(await answer.text()).toBe("ok");
  });

  test("memory that the system does not reserve ends the start, with what limits it", async () => {
    const env = {
      TRACKER_UDP_ADDRESS: "127.0.0.1:0",
      TRACKER_HTTP_ADDRESS: "",
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_MEMORY_MAX: "2560MiB",
    };
    const tracker = startProcess({ through, env });
    expect(await tracker.exited()).toBe(78);
    expect(tracker.stderr).toStartWith(
      "buntracker: error: the system does not reserve 2560MiB for swarms\n" +
        "buntracker: hint: lower TRACKER_MEMORY_MAX; what limits it is LimitAS ",
    );
  });

  // The limit counts the threads of a user, so it takes a user that has no others.
  const user = ["setpriv", "--reuid=54399", "--regid=54399", "--clear-groups"];
  const fewThreads = ["prlimit", "--nproc=20", ...user];
  const programs = ["setpriv", "prlimit"].every((program) => Bun.which(program) !== null);
  const canDrop = programs && Bun.spawnSync([...fewThreads, "true"]).exitCode === 0;

  test.if(canDrop)("too few threads end the start, with the number that was had", async () => {
    const at = `127.0.0.1:${freePort()}`;
    const tracker = startProcess({
      through: fewThreads,
      env: {
        TRACKER_UDP_ADDRESS: at,
        TRACKER_HTTP_ADDRESS: at,
        TRACKER_ADMIN_ADDRESS: "",
        TRACKER_UDP_WORKERS: "64",
      },
    });
    expect(await tracker.exited()).toBe(78);
    expect(tracker.stderr).toMatch(
      /^buntracker: error: the system allows no more threads: \d+ of 64 UDP workers started\n/,
    );
    expect(tracker.stderr).toContain("hint: raise TasksMax in the unit of systemd, ");
  });
});

describe.if(LINUX)("where a filter forbids the calls that carry datagrams", () => {
  const HINT =
    "buntracker: hint: allow recvmmsg and sendmmsg (SystemCallFilter=@network-io in the unit of " +
    "systemd, the container's profile), or set TRACKER_UDP_ADDRESS to nothing\n";

  test.each([
    [[`recvmmsg=${EPERM}`], "recvmmsg"],
    [[`sendmmsg=${EPERM}`], "sendmmsg"],
    [[`recvmmsg=${ENOSYS}`, `sendmmsg=${ENOSYS}`], "recvmmsg and sendmmsg"],
  ])("%j ends start and check with a sentence, with and without workers", async (rules, named) => {
    const error = `the system forbids ${named}, so UDP cannot be answered`;
    const stderr = `buntracker: error: ${error}\n${HINT}`;
    for (const workers of ["0", "1", "2"]) {
      const env = { TRACKER_UDP_WORKERS: workers };
      expect(await ended(rules, env)).toEqual({ code: 78, stderr });
      expect(await ended(rules, env, "check")).toEqual({ code: 78, stderr });
    }
  });

  test("HTTP alone needs none of them", async () => {
    const port = freePort();
    const env = {
      TRACKER_UDP_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `127.0.0.1:${port}`,
      TRACKER_ADMIN_ADDRESS: "",
    };
    const rules = [`recvmmsg=${EPERM}`, `sendmmsg=${EPERM}`];
    const tracker = startProcess({ through: underFilter(...rules), env });
    await using _tracker = tracker;
    await tracker.says("msg=ready");
    const answer = await fetch(`http://127.0.0.1:${port}/health`, { keepalive: false });
    expect(await answer.text()).toBe("ok");
  });
});

/** Runs what follows in a container of 100 MiB, as the files of the system have it. */
const IN_SMALL_CONTAINER = [
  ...["unshare", "--mount", "sh", "-c"],
  "mount -t tmpfs tmpfs /sys/fs/cgroup && echo 104857600 > /sys/fs/cgroup/memory.max && " +
    'exec "$0" "$@"',
];
const makesContainers = LINUX && Bun.spawnSync([...IN_SMALL_CONTAINER, "true"]).exitCode === 0;

test.if(makesContainers)("too little memory is told before threads take it", async () => {
  const port = freePort();
  const taken = await Bun.udpSocket({ hostname: "127.0.0.1", port });
  const child = startProcess({
    through: IN_SMALL_CONTAINER,
    env: {
      TRACKER_UDP_ADDRESS: `127.0.0.1:${port}`,
      TRACKER_HTTP_ADDRESS: "",
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_MEMORY_MAX: "16MiB",
      TRACKER_UDP_WORKERS: "16",
    },
  });
  // It ends before its first thread.
  expect(await child.exited(5000)).toBe(1);
  taken.close();
  expect(child.stderr).toContain("udp port");
  expect(child.stderr).toMatch(/may take more memory than there is.* needed=161MiB there=100MiB/);
});
