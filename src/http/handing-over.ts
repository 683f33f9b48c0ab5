/**
 * WebSockets without TLS that change their thread: a worker gives the connection to the event loop,
 * which has it from then on as if it had accepted it.
 *
 *   worker       descriptor ─► a second one ─► message: its number, the request, what followed it
 *                └─ closed, which the client does not see: the second one is open
 *   event loop   adopts the second one
 *
 * Threads have one table of descriptors, so its number is all that has to be told. A connection
 * whose bytes a worker passes on (see passing.ts) took 1.9 times the CPU, since each byte went
 * through two more sockets and one more thread. With TLS there is no other way: its keys and
 * its state stay with the thread that shook hands.
 *
 * Its place among all connections (see admission.ts) goes with it, so their limit stays exact.
 */
import type { Libc } from "../host/libc.ts";
import type { OwnedSocket, SocketEvents } from "./connection.ts";

/** What the worker posts. */
export interface Handed {
  /** The descriptor, which belongs to the event loop from now on. */
  fd: number;
  /** The request, and bytes that were received after it. */
  bytes: Uint8Array;
}

/**
 * The worker's side: gives a connection away, with its place among those of all threads in `open`.
 * False if the system has no descriptor for it; its bytes are passed on then.
 */
export function handOver(
  fd: number,
  bytes: Uint8Array,
  { libc, open, post }: { libc: Libc; open: Int32Array; post: (handed: Handed) => void },
): boolean {
  let own: number;
  try {
    own = libc.duplicate(fd);
  } catch {
    return false;
  }
  Atomics.add(open, 0, 1);
  post({ fd: own, bytes });
  return true;
}

/** The side of the event loop: what takes the connections that workers hand over. */
export function takeHanded(
  server: SocketEvents,
  { libc, open }: { libc: Libc; open: Int32Array },
): (handed: Handed) => void {
  const leave = (): void => void Atomics.sub(open, 0, 1);
  const close = (socket: OwnedSocket): void => {
    leave();
    server.close(socket);
  };
  return ({ fd, bytes }) => {
    const begin = (socket: OwnedSocket): void => {
      server.open(socket);
      if (socket.data !== undefined) server.data(socket, Buffer.from(bytes.buffer));
    };
    const socket = { ...server, open: begin, close };
    // The types of Bun lack `fd` here. What it does not adopt, it leaves open.
    Bun.connect({ fd, allowHalfOpen: true, socket } as never).catch(() => {
      leave();
      libc.close(fd);
    });
  };
}
