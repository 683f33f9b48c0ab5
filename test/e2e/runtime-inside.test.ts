/**
 * The runtime inside the compiled binary: what the environment could unlock, and what a crash would
 * leave behind.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY, freePort, startProcess } from "./harness.ts";

const folder = mkdtempSync(join(tmpdir(), "runtime-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Free addresses, and no operator. */
function addresses(): Record<string, string> {
  const at = `127.0.0.1:${freePort()}`;
  return { TRACKER_UDP_ADDRESS: at, TRACKER_HTTP_ADDRESS: at, TRACKER_ADMIN_ADDRESS: "" };
}

const preload = join(folder, "preload.js");
writeFileSync(preload, "");

test.each([
  ["BUN_INSPECT", `127.0.0.1:${freePort()}/debugger`],
  ["BUN_OPTIONS", `--preload ${preload}`],
  ["BUN_JSC_useJIT", "0"],
])(
  "%s ends the start, and every verb that reads settings, with a sentence",
  async (name, value) => {
    const sentence = `buntracker: error: ${name} is set, which changes the program from outside`;
    for (const args of [[], ["check"], ["maintenance", "on"]]) {
      const child = startProcess({ args, env: { ...addresses(), [name]: value } });
      expect(await child.exited()).toBe(78);
      expect(child.stderr).toStartWith(sentence);
    }
  },
);

describe.if(process.platform === "linux")("before any line of ours, the runtime ends", () => {
  // docs/operating.md says so. Where this changes, the start can have a sentence of its own.
  test("in a working directory that was deleted", async () => {
    const gone = mkdtempSync(join(tmpdir(), "gone-"));
    const command = ["sh", "-c", 'cd "$1" && rmdir "$1" && exec "$0" version', BINARY, gone];
    const child = Bun.spawn(command, { stderr: "pipe", stdout: "pipe" });
    expect(await child.exited).toBe(1);
    expect(await child.stderr.text()).toStartWith("error: The current working directory was del");
    expect(await child.stdout.text()).toBe("");
  });

  test.if(process.getuid?.() === 0)("without /proc", async () => {
    const script = 'umount -l /proc && exec "$0" version';
    const command = ["unshare", "--mount", "--", "sh", "-c", script, BINARY];
    const child = Bun.spawn(command, { stderr: "pipe", stdout: "pipe" });
    expect(await child.exited).not.toBe(0);
    expect(await child.stdout.text()).toBe("");
  });
});

test("a crash leaves no core dump, in which the token would lie", async () => {
  const env = { ...addresses(), TRACKER_ADMIN_TOKEN: "0123456789abcdef-token" };
  const command = ["sh", "-c", 'ulimit -c unlimited; exec "$0"', BINARY];
  const settings = { ...env, PATH: "/usr/bin:/bin", TRACKER_MEMORY_MAX: "16MiB" };
  const child = Bun.spawn(command, { env: settings, cwd: folder, stderr: "pipe" });
  let said = "";
  for await (const bytes of child.stderr) {
    said += new TextDecoder().decode(bytes);
    if (said.includes("msg=ready")) break;
  }
  const limits = await Bun.file(`/proc/${child.pid}/limits`).text();
  child.kill("SIGQUIT");
  await child.exited;
  expect(child.signalCode).toBe("SIGQUIT");
  expect(limits).toMatch(/^Max core file size +0 +0 /m);
  expect(readdirSync(folder)).toEqual(["preload.js"]);
});
