/** Small files that settings name: read completely, or refused at once. */
import { afterAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHANGED, isMount, mustBeSteady, readSmallFile } from "../../src/host/plain-file.ts";

const folder = mkdtempSync(join(tmpdir(), "plain-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The code of the error for the file. */
function codeOf(path: string): string | undefined {
  try {
    readSmallFile(path);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

test("a file is read as UTF-8, also through a link and when it is empty", () => {
  const path = join(folder, "file");
  const link = join(folder, "link");
  writeFileSync(path, "zażółć\n");
  symlinkSync(path, link);
  expect([readSmallFile(path), readSmallFile(link)]).toEqual(["zażółć\n", "zażółć\n"]);
  writeFileSync(path, "");
  expect(readSmallFile(path)).toBe("");
});

test("a folder, a device and a pipe without a writer are refused without waiting", () => {
  const pipe = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", pipe]);
  for (const path of [folder, "/dev/zero", "/dev/null", pipe]) {
    expect([path, codeOf(path)]).toEqual([path, "not a file"]);
  }
});

test("a socket is refused with the system's error", async () => {
  const socket = join(folder, "socket");
  const listener = Bun.listen({ unix: socket, socket: { data() {} } });
  expect(codeOf(socket)).toMatch(/^(ENXIO|EOPNOTSUPP)$/);
  listener.stop(true);
});

test("a mebibyte is read, and a byte more is not", () => {
  const path = join(folder, "large");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 20);
  expect(readSmallFile(path)).toHaveLength(2 ** 20);
  truncateSync(path, 2 ** 20 + 1);
  expect(codeOf(path)).toBe("over 1MiB");
  truncateSync(path, 2 ** 40);
  expect(codeOf(path)).toBe("over 1MiB");
});

test("a file is steady if neither its size nor its time have changed", () => {
  const path = join(folder, "steady");
  writeFileSync(path, "one");
  const before = statSync(path, { bigint: true });
  mustBeSteady(before, statSync(path, { bigint: true }));
  writeFileSync(path, "three");
  expect(() => mustBeSteady(before, statSync(path, { bigint: true }))).toThrow(CHANGED);
});

test("a path is a mount if something is mounted there, not if it is on another disk", () => {
  const disk = join(folder, "a \\ disk");
  const [lower, upper, whole] = ["l", "u", "whole"].map((name) => join(disk, name));
  mkdirSync(disk);
  const mount = (...args: string[]) => Bun.spawnSync(["mount", ...args]).exitCode === 0;
  // Only root can mount.
  if (!mount("-t", "tmpfs", "tmpfs", disk)) return;
  const mounts = [disk];
  try {
    expect(isMount(disk)).toBe(true);
    const [file, bound] = ["file", "bound"].map((name) => join(disk, name));
    for (const path of [file!, bound!]) writeFileSync(path, "");
    if (mount("--bind", file!, bound!)) mounts.unshift(bound!);
    expect([isMount(file!), isMount(bound!)]).toEqual([false, mounts.length === 2]);
    // The layers of a container may lie on two disks, and its files seem to be on a third one.
    for (const path of [lower!, upper!, whole!]) mkdirSync(path);
    if (mount("-t", "tmpfs", "tmpfs", upper!)) mounts.unshift(upper!);
    for (const name of ["up", "work"]) mkdirSync(join(upper!, name));
    const layers = `lowerdir=l,upperdir=u/up,workdir=u/work`;
    const overlay = ["mount", "-t", "overlay", "overlay", "-o", layers, "whole"];
    if (Bun.spawnSync(overlay, { cwd: disk }).exitCode !== 0) return;
    mounts.unshift(whole!);
    const inside = join(whole!, "file");
    writeFileSync(inside, "");
    expect(statSync(inside).dev).not.toBe(statSync(whole!).dev);
    expect([isMount(inside), isMount(whole!)]).toEqual([false, true]);
  } finally {
    for (const path of mounts) Bun.spawnSync(["umount", path]);
  }
});
