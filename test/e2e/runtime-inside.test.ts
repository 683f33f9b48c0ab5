/**
 * The runtime inside the compiled binary: what the environment could unlock, and what a crash would
 * leave behind.
 */
import { afterAll, expect, test } from "bun:test";
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
