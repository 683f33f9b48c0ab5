/**
 * WebTorrent in node: installs what it needs beside the other tools, and starts clients (see
 * hybrid-peer.mjs). webtorrent 2 needs a binary that its package does not contain; version 1 works
 * with `@roamhq/wrtc`, whose package has it.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const PACKAGES = [
  "webtorrent@1.9.7",
  "bittorrent-tracker@10.0.12",
  "@roamhq/wrtc@0.10.0",
  "ws@8.23.0",
];
const TOOLS = resolve(import.meta.dir, "../../.tools/hybrid");
const PROGRAM = "hybrid-peer.mjs";

/** Installs the packages, unless they are there. */
export function fetchHybrid(): void {
  mkdirSync(TOOLS, { recursive: true });
  // The program lies beside the packages that it imports.
  copyFileSync(join(import.meta.dir, PROGRAM), join(TOOLS, PROGRAM));
  if (existsSync(join(TOOLS, "node_modules/@roamhq/wrtc"))) return;
  // Without a file of its own the packages would be those of a folder above.
  writeFileSync(join(TOOLS, "package.json"), '{ "private": true }\n');
  const quietly = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund"];
  const install = ["npm", "install", "--prefix", ".", ...quietly, ...PACKAGES];
  const { success } = Bun.spawnSync(install, { cwd: TOOLS, stderr: "inherit" });
  if (!success) throw new Error(`${PACKAGES.join(", ")} could not be installed`);
}

/**
 * Starts a client; `words` are those of its command line. Each keeps its files in a folder of its
 * own: in one for all, the leecher finds the file complete, and no wire is opened.
 */
export function openHybrid(words: string[]): Disposable {
  const folder = mkdtempSync(join(tmpdir(), "hybrid-"));
  const child = Bun.spawn(["node", join(TOOLS, PROGRAM), ...words], {
    // For wss:// with a certificate that was made for the test.
    env: {
      ...process.env,
      TMPDIR: folder,
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      NODE_NO_WARNINGS: "1",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return {
    [Symbol.dispose]() {
      child.kill();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
