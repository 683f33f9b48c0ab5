/** Programs that are killed, or hindered, while they write: the file is always a whole one. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeTracker, MIB } from "../swarm/fixture.ts";
import { makeFolder, readInto, write } from "./fixture.ts";

const WRITING = join(import.meta.dir, "writing.ts");
const KILLS = 50;
const PEERS = 60_000;

async function untilBegun(child: Bun.Subprocess<"ignore", "pipe", "inherit">): Promise<void> {
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
}

const start = (file: string) =>
  Bun.spawn([process.execPath, WRITING, file], { stdout: "pipe", stdin: "ignore" });

/** Peers in the file; throws if it is not whole. */
const peersIn = (file: string): number => readInto(makeTracker(64 * MIB).store, file).counts.peers;

test("kill -9 at any moment leaves a whole file, and a draft that is overwritten", async () => {
  using folder = makeFolder();
  await write(makeTracker().store, folder.file);
  const draft = `${folder.file}.new`;
  let drafts = 0;
  let written = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = start(folder.file);
    await untilBegun(child);
    await Bun.sleep(Math.random() * 60);
    child.kill("SIGKILL");
    await child.exited;
    const peers = peersIn(folder.file);
    expect([0, PEERS]).toContain(peers);
    if (peers > 0) written += 1;
    if (!existsSync(draft)) continue;
    drafts += 1;
    // So that the next one need not wait until it is sure that nobody writes to it.
    if (kill < KILLS - 1) rmSync(draft);
  }
  expect(drafts).toBeGreaterThan(KILLS / 5);
  expect(written).toBeGreaterThan(KILLS / 5);
  await write(makeTracker().store, folder.file);
  expect([peersIn(folder.file), existsSync(`${folder.file}.new`)]).toEqual([0, false]);
}, 120_000);

test("two programs that write one file leave a whole one each time", async () => {
  using folder = makeFolder();
  await write(makeTracker().store, folder.file);
  const children = [start(folder.file), start(folder.file)];
  await Promise.all(children.map(untilBegun));
  for (let look = 0; look < 60; look++) {
    expect([0, PEERS]).toContain(peersIn(folder.file));
    await Bun.sleep(5);
  }
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
  expect([0, PEERS]).toContain(peersIn(folder.file));
}, 60_000);

test("a file that may not become that large is not written, and the one before stays", async () => {
  using folder = makeFolder();
  await write(makeTracker().store, folder.file);
  const before = readFileSync(folder.file);
  const limited = ["sh", "-c", 'ulimit -f 64; exec "$0" "$@"'];
  const child = Bun.spawn([...limited, process.execPath, WRITING, folder.file], { stdout: "pipe" });
  expect((await child.stdout.text()).trim()).toBe("begun\nEFBIG");
  expect(readFileSync(folder.file).equals(before)).toBe(true);
  expect(statSync(folder.file).size).toBe(48);
  expect(existsSync(`${folder.file}.new`)).toBe(false);
});
