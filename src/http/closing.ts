/**
 * The close of a socket behind what was sent, whether its client closes too or not.
 *
 * Without TLS that is `end`. Over TLS the `end` of Bun waits up to 12 seconds for the client, and
 * `terminate` does nothing meanwhile (1.4.5, 2026-11): such a connection kept its place, so clients
 * that left theirs open passed the limit of connections. To shut our side and to close the
 * descriptor has no such wait; the system delivers what was sent.
 */
import type { ClientSocket } from "./connection.ts";

export function closeSocket(socket: ClientSocket): void {
  if (socket.close === undefined || (socket.getTLSVersion?.() ?? null) === null) {
    socket.end();
    return;
  }
  socket.shutdown();
  socket.close();
}
