/** The keeper: files and lists agree, a reload takes all files or none, and changes survive. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Access, ACCESS_DENIED, ACCESS_OK } from "../../src/access/access.ts";
import { AccessKeeper, type AccessSources, type TellAccess } from "../../src/access/keeper.ts";
import { Log } from "../../src/host/log.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { halvesOf, hashOf, KEYS, text } from "./fixture.ts";
import { someMemory } from "../swarm/some-memory.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buntracker-keeper-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const pathOf = (name: string) => join(folder, name);
const write = (name: string, ...numbers: number[]) =>
  writeFileSync(pathOf(name), numbers.map((n) => `${hashOf(n).toHex()}\n`).join(""));
const read = (name: string) => readFileSync(pathOf(name), "utf8");
const lines = (...numbers: number[]) => numbers.map((n) => `${hashOf(n).toHex()}\n`).join("");

/** A keeper with what it logs, and an `Access` that stands for another thread. */
function open(sources: Partial<AccessSources>) {
  const logged: string[] = [];
  const log = new Log({
    level: "info",
    format: "logfmt",
    journal: true,
    write: (line) => void logged.push(line),
  });
  const memory = someMemory();
  const tracker = new Tracker(new Store(memory), new ArrayBuffer(64));
  const thread = new Access();
  const tell: TellAccess = ({ access }) => Promise.resolve(thread.update(access));
  const keeper = new AccessKeeper(
    { denyPeerIds: [], allowPeerIds: [], ...sources },
    KEYS,
    tracker.store,
    log,
    tell,
  );
  const reload = () =>
    keeper.alone(async () => {
      await tell({ access: keeper.take(await keeper.read()) });
      await keeper.evictRefused();
    });
  const judge = (n: number) => thread.judgeSwarm(halvesOf(hashOf(n)), 0);
  const announce = (n: number) => {
    tracker.request.infoHash.set(hashOf(n));
    tracker.request.peer.set([192, 0, 2, 1, 26, 225]);
    tracker.announce(1);
  };
  const peers = (n: number) => {
    tracker.request.infoHash.set(hashOf(n));
    tracker.scrape();
    return tracker.reply.seeders + tracker.reply.leechers;
  };
  return { keeper, logged, start: reload, reload, judge, announce, peers, thread };
}

describe("at the start", () => {
  test("all files are read, and bad lines are logged", async () => {
    write("deny", 1, 2);
    writeFileSync(pathOf("allow"), `${hashOf(3).toHex()}\nbad\n`);
    writeFileSync(pathOf("networks"), "10.0.0.0/8\n");
    const { keeper, logged, start } = open({
      denyFile: pathOf("deny"),
      allowFile: pathOf("allow"),
      denyNetworksFile: pathOf("networks"),
    });
    await start();
    expect(keeper.status).toMatchObject({ denied: 2, allowed: 1, networks: 1 });
    expect(keeper.sizes).toEqual({ denied: 2, allowed: 1, networks: 1 });
    expect(logged).toEqual([
      `<4>level=warn msg="bad lines are skipped" file=${pathOf("allow")} bad=1 ` +
        'line_numbers=2 remedy="correct or remove them, then send SIGHUP"\n',
    ]);
  });

  test("an empty list differs from no list", async () => {
    write("allow");
    const { keeper, start } = open({ allowFile: pathOf("allow") });
    await start();
    expect(keeper.sizes).toEqual({ denied: undefined, allowed: 0, networks: undefined });
    expect(keeper.status).toMatchObject({ denied: 0, allowed: 0, networks: 0 });
  });

  test.each(["TRACKER_DENY_FILE", "TRACKER_ALLOW_FILE", "TRACKER_DENY_NETWORKS_FILE"])(
    "%s that is not there is an error with a hint",
    async (variable) => {
      const path = pathOf("missing");
      const names = ["denyFile", "allowFile", "denyNetworksFile"];
      const at = ["TRACKER_DENY_FILE", "TRACKER_ALLOW_FILE"].indexOf(variable);
      const { start } = open({ [names.at(at)!]: path });
      const error = (await start().catch((reason: unknown) => reason)) as Error & { hint: string };
      expect(error.message).toBe(`${variable} is ${path}, which is not there`);
      expect(error.hint).toContain("permissions");
    },
  );

  test("a folder is refused, and a pipe is refused without waiting", async () => {
    mkdirSync(pathOf("folder"));
    await expect(open({ denyFile: pathOf("folder") }).start()).rejects.toThrow("(not a file)");
    Bun.spawnSync(["mkfifo", pathOf("pipe")]);
    await expect(open({ denyFile: pathOf("pipe") }).start()).rejects.toThrow("(not a file)");
  });
});

describe("a reload", () => {
  test("gives new lists to all threads and evicts the swarms they refuse", async () => {
    write("deny");
    const { keeper, start, reload, judge, announce, peers } = open({ denyFile: pathOf("deny") });
    await start();
    announce(1);
    announce(2);
    write("deny", 1);
    await reload();
    expect([judge(1), judge(2)]).toEqual([ACCESS_DENIED, ACCESS_OK]);
    expect([peers(1), peers(2)]).toEqual([0, 1]);
    expect(keeper.status).toMatchObject({ denied: 1, evicted: 1 });
  });

  test("with one file that cannot be read leaves all lists as they were", async () => {
    write("deny", 1);
    write("allow", 1, 2, 3);
    const { keeper, start, reload, judge } = open({
      denyFile: pathOf("deny"),
      allowFile: pathOf("allow"),
    });
    await start();
    write("deny", 2);
    rmSync(pathOf("allow"));
    await expect(reload()).rejects.toThrow("TRACKER_ALLOW_FILE");
    await reload().catch(() => {});
    expect([judge(1), judge(2), judge(3)]).toEqual([ACCESS_DENIED, ACCESS_OK, ACCESS_OK]);
    expect(keeper.status).toMatchObject({ denied: 1, allowed: 3 });
    write("allow", 1, 2);
    await reload();
    expect([judge(1), judge(2)]).toEqual([ACCESS_OK, ACCESS_DENIED]);
  });
});

describe("a single change", () => {
  test("is made in the file and in memory, and can be undone", async () => {
    writeFileSync(pathOf("deny"), `# mine\r\n${hashOf(1).toHex()} why`);
    const { keeper, start, judge, announce, peers } = open({ denyFile: pathOf("deny") });
    await start();
    announce(2);
    expect(await keeper.change("deny", hashOf(2), true)).toEqual({ outcome: "changed" });
    expect([judge(2), peers(2)]).toEqual([ACCESS_DENIED, 0]);
    expect(read("deny")).toBe(`# mine\r\n${hashOf(1).toHex()} why\n${lines(2)}`);
    expect(await keeper.change("deny", hashOf(1), false)).toEqual({ outcome: "changed" });
    expect([judge(1), read("deny")]).toEqual([ACCESS_OK, `# mine\r\n${lines(2)}`]);
    expect(keeper.status).toMatchObject({ denied: 1, changes: 2, changesFailed: 0, evicted: 1 });
  });

  test("gets its own line after a last line without a line end", async () => {
    writeFileSync(pathOf("deny"), `# mine\r\n${hashOf(1).toHex()}`);
    const { keeper, start } = open({ denyFile: pathOf("deny") });
    await start();
    await keeper.change("deny", hashOf(2), true);
    expect(read("deny")).toBe(`# mine\r\n${lines(1, 2)}`);
    await keeper.change("deny", hashOf(1), false);
    expect(read("deny")).toBe(`# mine\r\n${lines(2)}`);
  });

  test("without effect changes nothing; a hash that was never added may be removed", async () => {
    write("deny");
    const { keeper, start } = open({ denyFile: pathOf("deny") });
    await start();
    expect(await keeper.change("deny", hashOf(1), false)).toEqual({ outcome: "unchanged" });
    await keeper.change("deny", hashOf(1), true);
    expect(await keeper.change("deny", hashOf(1), true)).toEqual({ outcome: "unchanged" });
    expect(read("deny")).toBe(lines(1));
  });

  test("of a list that is not configured is refused", async () => {
    const { keeper, start } = open({});
    await start();
    expect(await keeper.change("allow", hashOf(1), true)).toEqual({ outcome: "no list" });
  });

  test("that removes a hash from the allow list evicts its swarm", async () => {
    write("allow", 1, 2);
    const { keeper, start, announce, peers } = open({ allowFile: pathOf("allow") });
    await start();
    announce(1);
    await keeper.change("allow", hashOf(1), false);
    expect(peers(1)).toBe(0);
  });

  test("that cannot be written changes neither file nor list", async () => {
    write("deny", 1);
    mkdirSync(`${pathOf("deny")}.new`);
    writeFileSync(join(`${pathOf("deny")}.new`, "x"), "");
    const { keeper, start, judge } = open({ denyFile: pathOf("deny") });
    await start();
    const change = await keeper.change("deny", hashOf(2), true);
    expect(change.outcome).toBe("failed");
    expect(change).toHaveProperty("reason");
    expect([read("deny"), judge(2)]).toEqual([lines(1), ACCESS_OK]);
    expect(keeper.status).toMatchObject({ changes: 0, changesFailed: 1, denied: 1 });
  });

  test("hundreds at once are all kept, though the list must grow", async () => {
    write("deny");
    const { keeper, start, judge } = open({ denyFile: pathOf("deny") });
    await start();
    const numbers = Array.from({ length: 300 }, (_, n) => n);
    await Promise.all(numbers.map((n) => keeper.change("deny", hashOf(n), true)));
    expect(numbers.every((n) => judge(n) === ACCESS_DENIED)).toBe(true);
    expect(read("deny")).toBe(lines(...numbers));
    expect(existsSync(`${pathOf("deny")}.new`)).toBe(false);
    expect(keeper.status.denied).toBe(300);
  });

  test("made while a reload is under way is not lost", async () => {
    write("deny", ...Array.from({ length: 20_000 }, (_, n) => n + 10));
    const { keeper, start, reload, judge } = open({ denyFile: pathOf("deny") });
    await start();
    const first = reload();
    const change = keeper.change("deny", hashOf(1), true);
    await Promise.all([first, change, reload()]);
    expect([judge(1), keeper.status.denied]).toEqual([ACCESS_DENIED, 20_001]);
  });
});

test("maintenance takes effect at once and outlives a reload", async () => {
  write("deny", 1);
  const denyPeerIds = [text("-XL")];
  const { keeper, start, reload, thread } = open({ denyFile: pathOf("deny"), denyPeerIds });
  await start();
  await keeper.setMaintenance(true);
  expect([keeper.maintenance, thread.maintenance]).toEqual([true, true]);
  await reload();
  expect(thread.maintenance).toBe(true);
  await keeper.setMaintenance(false);
  expect(thread.maintenance).toBe(false);
  expect(thread.judgeClient(text("-XL0012-abcdefghijkl"), 0)).not.toBe(ACCESS_OK);
});

test("a reload of many hashes lets the event loop go on", async () => {
  write("deny", ...Array.from({ length: 200_000 }, (_, n) => n));
  const { start, reload } = open({ denyFile: pathOf("deny") });
  await start();
  expect(await roundsDuring(reload())).toBeGreaterThan(5);
});

test("a change of one hash in a long file lets the event loop go on", async () => {
  const comments = `# ${"x".repeat(38)}\n`.repeat(1_000_000);
  writeFileSync(pathOf("deny"), `${lines(1)}${comments}`);
  const { keeper, start } = open({ denyFile: pathOf("deny") });
  await start();
  expect(await roundsDuring(keeper.change("deny", hashOf(2), true))).toBeGreaterThan(5);
  expect(await roundsDuring(keeper.change("deny", hashOf(2), false))).toBeGreaterThan(5);
  expect(read("deny")).toBe(`${lines(1)}${comments}`);
}, 30_000);

/** Timers that fired during the work; `make stalls` measures the milliseconds. */
async function roundsDuring(work: Promise<unknown>): Promise<number> {
  let rounds = 0;
  const timer = setInterval(() => (rounds += 1), 1);
  await work;
  clearInterval(timer);
  return rounds;
}
