/**
 * Trackers on both sides of a line that is cut, in network namespaces (../cluster/partition.ts).
 * Skipped, and said so, without root, `nats-server`, `ip` or `unshare`.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { searchPath } from "../clients/hosts.ts";
import { NATS_SERVER } from "../cluster/nats.ts";

const TOOLS = ["ip", "unshare", "nsenter", "mount"];
const isPossible =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  NATS_SERVER !== null &&
  TOOLS.every((tool) => Bun.which(tool, { PATH: searchPath() }) !== null);

test.skipIf(!isPossible)(
  "have the same 15 s after a line that was cut for 20 s is whole (root, nats-server)",
  async () => {
    const program = join(import.meta.dir, "../cluster/partition.ts");
    const child = Bun.spawn([process.execPath, program, "--seconds", "20"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [said, complaints] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ code: await child.exited, complaints }).toEqual({ code: 0, complaints: "" });
    expect(said).toMatch(/^apart \d+, \d+, \d+; equal [\d.]+ s after it was healed\n$/);
  },
  120_000,
);
