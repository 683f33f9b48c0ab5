/**
 * Why the tracker could not be started, as a sentence for the operator and what to do about it.
 */
import { EXIT_CONFIG } from "../constants.ts";

/**
 * An operator's mistake, or the machine's: `message` says what happened, `hint` what helps.
 *
 * `exitCode` tells whoever would start us again whether that may help: it may not with EXIT_CONFIG,
 * for what the settings say or name; it may with EXIT_FAILED, such as for a port that is taken.
 */
export class StartError extends Error {
  readonly hint: string;
  readonly exitCode: number;

  constructor(message: string, hint: string, exitCode: number = EXIT_CONFIG) {
    super(message);
    this.hint = hint;
    this.exitCode = exitCode;
  }
}
