/**
 * Listens for HTTP and HTTPS: one server behind all addresses, in the event loop. With
 * TRACKER_HTTP_WORKERS, workers have the addresses, and the event loop answers what they pass on
 * (see http-workers.ts).
 */
import { renewAll } from "../http/certificate.ts";
import { type HttpFront, type HttpParts, makeServer } from "./http-server.ts";
import { listenError } from "./listen-error.ts";
import type { Program } from "./program.ts";
import { DRAIN_MILLISECONDS, listenTcp } from "./tcp-sockets.ts";

/**
 * Listens for HTTP and HTTPS on all addresses. Rejects with a StartError if one cannot be bound.
 */
export async function listenHttp(program: Program, parts: HttpParts): Promise<HttpFront> {
  if (program.httpWorkers === 0) return listenInEventLoop(program, parts);
  const { listenInWorkers } = await import("./http-workers.ts");
  return listenInWorkers(program, parts);
}

function listenInEventLoop(program: Program, parts: HttpParts): HttpFront {
  const { config, libc, threads } = program;
  const { server, browsers } = makeServer(program, parts);
  const sockets = config.httpListeners.flatMap((listener) => {
    const certificate = listener.tls === false ? undefined : threads.certificate;
    const listen = (inherited?: number) => {
      try {
        const socket = listenTcp(listener, server, { certificate, libc, inherited });
        parts.kept.note("tcp", listener, socket.fd);
        return socket;
      } catch (error) {
        throw listenError("http", listener, error);
      }
    };
    const { sockets } = parts.kept.take("tcp", listener);
    return sockets.length === 0 ? [listen()] : sockets.map((fd) => listen(fd));
  });
  threads.addPart({
    take({ certificate }) {
      if (certificate !== undefined) renewAll(sockets, certificate, threads.certificate);
    },
  });
  return {
    server,
    browsers,
    async begin() {},
    async stop() {
      for (const socket of sockets) socket.close();
      await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
      server.cut();
    },
  };
}
