/**
 * Logs exceptions of handlers, which are bugs.
 */
import type { Log } from "../host/log.ts";

/** Logs an exception of a handler. */
export function reportTo(log: Log): (error: unknown) => void {
  return (error) => {
    log.error("a request was not answered, because of a bug", {
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  };
}
