/**
 * Listens for the operator, on a separate address.
 *
 * It does not use Bun.serve, which cannot limit connections: they would use up the open files.
 */
import { type AdminPage, createAdmin, type SwarmsPage } from "../admin/admin.ts";
import type { Warnings } from "../admin/warnings.ts";
import type { Origins } from "../config/schema.ts";
import type { Listener } from "../config/settings.ts";
import { now } from "../host/clock.ts";
import { HttpServer } from "../http/server.ts";
import { listenError } from "./listen-error.ts";
import type { SocketKeeper } from "./kept-sockets.ts";
import type { TcpListener } from "./tcp-sockets.ts";
import type { Program } from "./program.ts";
import { reportTo } from "./report-bugs.ts";

/** Requests that have come are answered in this time; feeds of figures never end by themselves. */
const DRAIN_MILLISECONDS = 50;

/** The parts behind the operator's address. */
export interface AdminParts {
  pages: Readonly<Record<string, AdminPage>>;
  /** Swarms as JSON. */
  swarms: SwarmsPage;
  /** Whether the tracker can serve. */
  ready: () => boolean;
  /** The origins of the settings: whether the address was set or is the default. */
  origins: Origins;
  warnings: Pick<Warnings, "tellRefused">;
  /** The sockets that outlive the process: Prometheus waits while it restarts. */
  kept: SocketKeeper;
}

/** The open operator's address. */
export interface AdminFront {
  /** Its addresses; fewer than in the settings if the default one was in use. */
  listeners: Listener[];
  /** Stops accepting, answers what has come, closes all connections, then resolves. */
  stop(): Promise<void>;
}

/**
 * Listens for the operator. If the default address is in use, by another tracker on this machine,
 * the program starts without it. If the operator set the address or a token, it does not start.
 */
export function listenAdmin(program: Program, parts: AdminParts): AdminFront {
  const { config, log, files, ownNames, connections } = program;
  const { pages, swarms, ready, origins, warnings, kept } = parts;
  const handler = createAdmin({
    token: config.adminToken,
    keeper: files.lists,
    now,
    ready,
    names: ownNames,
    refused: (reason) => warnings.tellRefused(reason),
    pages,
    swarms,
  });
  // Any program on this machine can open connections here and leave them: the oldest gives way at
  // once, or the operator would be kept out. Requests are short, and answered when they are whole.
  const options = { connectionsMax: connections.operator, sparedTicks: 0, report: reportTo(log) };
  const server = new HttpServer(handler, options);
  const listeners: Listener[] = [];
  const closings: (() => void)[] = [];
  for (const { host, port } of config.adminListeners) {
    try {
      const common = { hostname: host, port, allowHalfOpen: true, socket: server.socket };
      const { sockets } = kept.take("tcp", { host, port });
      const places = sockets.length === 0 ? [{ reusePort: false }] : sockets.map((fd) => ({ fd }));
      for (const place of places) {
        const socket: TcpListener = Bun.listen({ ...common, ...place });
        kept.note("tcp", { host, port }, socket.fd);
        closings.push(() => socket.stop());
      }
      listeners.push({ host, port });
    } catch (error) {
      const failure = listenError("admin", { host, port }, error);
      // With a token, verbs would send requests to the other program on this port.
      const chosen = origins["TRACKER_ADMIN_ADDRESS"] !== "default";
      if (chosen || config.adminToken !== undefined) throw failure;
      log.warn(failure.message, { remedy: failure.hint }, "admin_address");
    }
  }
  return {
    listeners,
    async stop() {
      for (const close of closings) close();
      await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
      server.cut();
    },
  };
}
