/** A socket that is none: it takes all that is written, and nothing happens to it by itself. */
import type { ClientSocket } from "../../src/http/connection.ts";

export function fakeSocket(changes: Partial<ClientSocket> = {}): ClientSocket {
  const nothing = () => {};
  return {
    remoteAddress: "192.0.2.1",
    write: (bytes, from = 0, size = bytes.length - from) => size,
    pause: nothing,
    resume: nothing,
    shutdown: nothing,
    end: nothing,
    terminate: nothing,
    ...changes,
  };
}
