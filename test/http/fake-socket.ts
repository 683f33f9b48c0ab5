/** A fake socket: it takes all written bytes, and has no events of its own. */
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
