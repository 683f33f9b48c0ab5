/**
 * Sockets that accept connections for HTTP and HTTPS: how they are bound, and how they get a new
 * certificate. The event loop listens at them, or each worker at one of its own.
 */
import type { TCPSocketListener } from "bun";
import type { Libc } from "../host/libc.ts";
import type { WebListener } from "../config/settings.ts";
import type { Certificate } from "../http/certificate.ts";
import type { Connection } from "../http/connection.ts";
import type { HttpServer } from "../http/server.ts";

/** After this time of draining, the remaining connections are closed, in milliseconds. */
export const DRAIN_MILLISECONDS = 2000;

/** The backlog of connections. Bun sets 512, which a wave of clients fills. */
export const BACKLOG = 4096;

/**
 * The send buffer of a connection; Linux uses twice as much, with its own records. By default it
 * grows to 4 MiB: 1,000 clients that did not read held 1,520 MiB of the kernel's memory. An export
 * over a round trip of 50 ms still gets some 2 MB a second.
 */
const SEND_BUFFER_BYTES = 64 * 1024;

/** Bun's listener has the descriptor of its socket, which its types lack. */
export type TcpListener = TCPSocketListener<Connection> & { fd?: number };

/** A socket that accepts connections. */
export interface ListeningSocket {
  /** Its first descriptor; undefined where Bun does not tell it. */
  fd: number | undefined;
  /** Replaces the certificate of an HTTPS listener. Open connections keep the old one. */
  renew(certificate: Certificate): void;
  /** Stops accepting. */
  close(): void;
}

/** How to listen at an address. */
interface ListenOptions {
  /** For HTTPS. */
  certificate: Certificate | undefined;
  libc: Libc | undefined;
  /** The descriptor of an inherited socket of the address; undefined to bind one. */
  inherited: number | undefined;
}

/**
 * Listens for HTTP, or for HTTPS with a certificate. Throws the error of Bun. Bun cannot change the
 * certificate of a listener, so a new certificate needs a new listener, which is opened before the
 * old one stops:
 *
 *   Linux     on the same socket, so that connections in its backlog are accepted
 *   others    on the same port; connections in the backlog of the old socket are reset
 */
export function listenTcp(
  listener: WebListener,
  server: HttpServer,
  { certificate, libc, inherited }: ListenOptions,
): ListeningSocket {
  // A client may close its side before it has read the answer.
  const common = { hostname: listener.host, allowHalfOpen: true, socket: server.socket };
  const listen = (tls: Certificate | undefined, place: { reusePort: boolean } | { fd: number }) => {
    const certified = tls === undefined ? {} : { tls };
    const options = { ...common, port: listener.port, ...place, ...certified };
    const socket: TcpListener = Bun.listen(options);
    if (socket.fd !== undefined) {
      libc?.listen(socket.fd, BACKLOG);
      libc?.setSendBuffer(socket.fd, SEND_BUFFER_BYTES);
    }
    return socket;
  };
  const place = inherited === undefined ? { reusePort: false } : { fd: inherited };
  let socket = listen(certificate, place);
  if (certificate !== undefined && libc === undefined) {
    socket.stop(true);
    socket = listen(certificate, { reusePort: true });
  }
  return {
    fd: socket.fd,
    renew(next) {
      if (certificate === undefined) return;
      const old = socket;
      const fd = old.fd === undefined ? undefined : libc?.duplicate(old.fd);
      socket = listen(next, fd === undefined ? { reusePort: true } : { fd });
      old.stop();
    },
    close: () => socket.stop(),
  };
}
