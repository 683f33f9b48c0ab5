/**
 * What a verb prints: its result, or an error and what to do about it.
 */
import { EXIT_FAILED, EXIT_OK } from "../constants.ts";

/** Where the output goes: `main.ts` passes the streams of the process, tests pass their own. */
export interface Output {
  stdout: (text: string) => void;
  stderr: (text: string) => void;
}

/** Prints a result. Returns the exit code. */
export function say(output: Output, text: string): number {
  output.stdout(text);
  return EXIT_OK;
}

/** Prints an error, and the hint if there is one. Returns the exit code. */
export function fail(output: Output, error: string, hint?: string): number {
  output.stderr(errorLines(error, hint));
  return EXIT_FAILED;
}

/** An error message for people: lower case, without full stop, and with a hint if there is one. */
export function errorLines(error: string, hint?: string): string {
  const lines = `buntracker: error: ${error}\n`;
  return hint === undefined ? lines : `${lines}buntracker: hint: ${hint}\n`;
}
