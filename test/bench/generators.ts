/**
 * Runs the generators of load of this folder, each as a process of its own, and reads its report.
 */
import { basename, join } from "node:path";
import { type Contender, CORE_GENERATORS, pinned } from "./contenders.ts";
import { parseReport, type Report } from "./options.ts";

export type Flags = Record<string, string | number>;

/** How a generator runs. */
export interface Run {
  /** On any core, not on that of the generators. */
  anywhere?: boolean;
  /** Leaves its core to the others that need it. */
  meek?: boolean;
  /** It is ended after this time. */
  secondsMax?: number;
}

/** The command line of a program: one of this folder, or one that was compiled. */
export function commandOf(program: string, flags: Flags): string[] {
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const isSource = program.endsWith(".ts");
  return [...(isSource ? [process.execPath, join(import.meta.dir, program)] : [program]), ...words];
}

/** Runs it to its end. Throws its own sentence if it fails. */
export async function generate(program: string, flags: Flags, run: Run = {}): Promise<Report> {
  const command = [...(run.meek ? ["nice", "-n", "10"] : []), ...commandOf(program, flags)];
  const child = Bun.spawn(run.anywhere ? command : pinned(CORE_GENERATORS, command), {
    stdio: ["ignore", "pipe", "pipe"],
    ...(run.secondsMax && { timeout: run.secondsMax * 1000, killSignal: "SIGKILL" as const }),
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return parseReport(output);
  const reason = /^error: (.*)$/m.exec(errors)?.[1] ?? (errors || "it took too long");
  throw new Error(`${basename(program)}: ${reason}`);
}

/** What a generator must know of the tracker. */
export function target({ port, pid }: Pick<Contender, "port" | "pid">, host = "127.0.0.1") {
  return { host, port, pid };
}
