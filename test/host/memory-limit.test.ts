/** The limit of memory, from folders that look like those of cgroups. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { totalmem, tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { memoryLimit } from "../../src/host/memory-limit.ts";

const MIB = 2 ** 20;
const TOTAL = 8192 * MIB;

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** The limit, in MiB, where the root folder has these files. */
function limitWith(files: Record<string, string>): number {
  const root = mkdtempSync(join(tmpdir(), "cgroup-"));
  folders.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return memoryLimit(root, TOTAL) / MIB;
}

const UNLIMITED_V1 = "9223372036854771712\n";

test.each<[string, Record<string, string>, number]>([
  ["without cgroups it is the machine's", {}, 8192],
  ["version 2 has it in memory.max", { "sys/fs/cgroup/a/memory.max": `${64 * MIB}\n` }, 64],
  ["max is no limit", { "sys/fs/cgroup/a/memory.max": "max\n" }, 8192],
  [
    "a folder above may be narrower, as that of a pod or a slice",
    {
      "sys/fs/cgroup/a/b/memory.max": "max\n",
      "sys/fs/cgroup/a/memory.max": `${96 * MIB}\n`,
      "proc/self/cgroup": "0::/a/b\n",
    },
    96,
  ],
  [
    "a container sees its folder as the root, or under a path that is not there",
    { "sys/fs/cgroup/memory.max": `${128 * MIB}\n`, "proc/self/cgroup": "0::/../../elsewhere\n" },
    128,
  ],
  [
    "version 1 has its own folder and name",
    {
      "sys/fs/cgroup/memory/d/memory.limit_in_bytes": UNLIMITED_V1,
      "sys/fs/cgroup/memory/memory.limit_in_bytes": `${256 * MIB}\n`,
      "proc/self/cgroup": "9:name=systemd:/\n4:memory:/d\n0::/\n",
    },
    256,
  ],
  [
    "version 1 may join its controllers",
    {
      "sys/fs/cgroup/memory/d/memory.limit_in_bytes": `${32 * MIB}\n`,
      "proc/self/cgroup": "4:cpu,memory:/d\n",
    },
    32,
  ],
  ["a limit above the memory is none", { "sys/fs/cgroup/a/memory.max": "99999999999999" }, 8192],
])("%s", (_name, files, limit) => {
  expect(limitWith({ "proc/self/cgroup": "0::/a\n", ...files })).toBe(limit);
});

test("is none where the system tells nothing, as where a filter forbids sysinfo", () => {
  expect(memoryLimit("/nowhere", 0)).toBe(Infinity);
});

test("of this process it is at most the memory of the machine", () => {
  expect(memoryLimit()).toBeGreaterThan(16 * MIB);
  expect(memoryLimit()).toBeLessThanOrEqual(totalmem());
});
