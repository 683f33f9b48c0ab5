/**
 * Why the tracker could not start: a sentence for the operator, and the remedy.
 */
import { EXIT_CONFIG } from "../constants.ts";

/**
 * A problem of the settings or of the machine: `message` says what happened, `hint` what helps.
 *
 * `exitCode` tells a supervisor whether another start may help. EXIT_CONFIG: it does not, because a
 * setting is wrong. EXIT_FAILED: it may, for instance if a port is taken.
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
