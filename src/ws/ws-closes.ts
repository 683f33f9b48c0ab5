/**
 * Why connections were closed by the tracker: the label `reason` of a metric, and the code of a
 * close that it stands for.
 */
import {
  CLOSE_GOING_AWAY,
  CLOSE_MALFORMED,
  CLOSE_NONE,
  CLOSE_POLICY,
  CLOSE_TOO_LARGE,
} from "./frames.ts";

/** How many connections were closed for each reason. */
export class WsCloses {
  silent = 0;
  protocol = 0;
  too_large = 0;
  malformed = 0;
  wrong_messages = 0;
  /** All connections together held too many bytes, and it held the most. */
  starved = 0;
  shutdown = 0;
}

/** The reason that is counted for a close with this code. */
export function reasonOf(code: number): keyof WsCloses {
  switch (code) {
    case CLOSE_TOO_LARGE:
      return "too_large";
    case CLOSE_MALFORMED:
      return "malformed";
    case CLOSE_POLICY:
      return "wrong_messages";
    case CLOSE_GOING_AWAY:
    case CLOSE_NONE:
      return "shutdown";
    default:
      return "protocol";
  }
}
