/** Runs the command line in this process. */
import { type Run, runCli } from "../../src/cli.ts";

export type Environment = Record<string, string | undefined>;

/** The exit code and what was printed. */
export async function cli(
  argv: string[],
  env: Environment = {},
  run: Run = () => Promise.resolve(99),
) {
  let stdout = "";
  let stderr = "";
  const output = {
    stdout: (text: string) => (stdout += text),
    stderr: (text: string) => (stderr += text),
  };
  const code = await runCli(argv, env, run, output);
  return { code, stdout, stderr };
}
