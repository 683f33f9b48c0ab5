/**
 * The memory that this process may use: that of the machine, or less in a container or a service.
 *
 *   /proc/self/cgroup   0::/system.slice/x.service    version 2: memory.max of each folder up to /
 *                       4:memory:/docker/1234         version 1: memory.limit_in_bytes likewise
 *
 * Every folder above ours limits us too, which `process.constrainedMemory` ignores (Bun 1.4.5): it
 * reads the lowest one only, where a pod or a slice sets no limit.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";

/** Where each version of cgroups has its folders, and the name of the limit in them. */
const VERSION_2 = { line: /^0::(\/.*)$/m, folder: "sys/fs/cgroup", name: "memory.max" };
const VERSION_1 = {
  line: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m,
  folder: "sys/fs/cgroup/memory",
  name: "memory.limit_in_bytes",
};

/**
 * The limit in bytes; Infinity if the system does not tell. `root` and `total` are for tests. Never
 * throws.
 */
export function memoryLimit(root = "/", total = totalmem()): number {
  const groups = read(join(root, "proc/self/cgroup"));
  const limits = [VERSION_2, VERSION_1].flatMap(({ line, folder, name }) => {
    const path = line.exec(groups)?.[1];
    return path === undefined ? [] : limitsAbove(join(root, folder), path, name);
  });
  return Math.min(total > 0 ? total : Infinity, ...limits);
}

/** The limits of a folder and of all above it. */
function limitsAbove(folder: string, path: string, name: string): number[] {
  const limit = Number.parseInt(read(join(folder, path, name)), 10);
  // A container sees its own folder as the highest one, or a path that is not there.
  const above = path === "/" ? [] : limitsAbove(folder, dirname(path), name);
  // Without a limit, version 2 writes `max`, and version 1 a huge number.
  return Number.isNaN(limit) ? above : [limit, ...above];
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
