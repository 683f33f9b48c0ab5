/** What the load generators and the comparison say of a mistake. */
import { expect, test } from "bun:test";
import { join } from "node:path";

function run(...[program, ...args]: string[]): { code: number | null; said: string } {
  const command = [process.execPath, join(import.meta.dir, program), ...args];
  const { exitCode, stderr } = Bun.spawnSync(command, { timeout: 10_000 });
  return { code: exitCode, said: stderr.toString().trim() };
}

test.if(process.platform === "linux").each([
  ["http-load.ts", ["--host", "localhost"], 1, "error: not an IP address: localhost"],
  ["udp-load.ts", ["--host", "localhost"], 1, "error: not an IP address: localhost"],
  ["udp-load.ts", ["--port", "x"], 2, "--port must be a number, not x"],
  [
    "compare.ts",
    ["--rows", "udp,htp"],
    2,
    "--rows are of udp,burst,http,ws,idle,attack,core,flood,start,memory,half, not htp",
  ],
  ["compare.ts", ["--rows", "core", "--scale", "0"], 2, "--scale must be more than 0, not 0"],
])("%s %j ends with %p and one sentence", (program, args, code, said) => {
  expect(run(program, ...args)).toEqual({ code, said });
});
