/**
 * Listening for the operator, on an address of its own.
 *
 * Not by Bun.serve, which cannot limit connections: they would take the open files of clients.
 */
import { type AdminPage, createAdmin } from "../admin/admin.ts";
import type { Warnings } from "../admin/warnings.ts";
import type { Origins } from "../config/schema.ts";
import type { Listener } from "../config/settings.ts";
import { now } from "../host/clock.ts";
import { HttpServer } from "../http/server.ts";
import { listenError } from "./listen-error.ts";
import { reportTo } from "./listen-http.ts";
import type { Program } from "./program.ts";

/** What the operator's address shows and changes. */
export interface AdminParts {
  pages: Readonly<Record<string, AdminPage>>;
  /** Whether the tracker can serve. */
  ready: () => boolean;
  /** Where the settings come from: whether the address was chosen or is the usual one. */
  origins: Origins;
  warnings: Pick<Warnings, "tellRefused">;
}

/** The operator is answered. */
export interface AdminFront {
  /** Where; fewer than the settings name if the usual address was taken. */
  listeners: Listener[];
  /** Stops accepting, and cuts all connections. */
  stop(): void;
}

/**
 * Answers the operator. If the usual address is taken, by another tracker on this machine, the
 * program starts without it; if the operator chose the address or set a token, it does not start.
 */
export function listenAdmin(program: Program, parts: AdminParts): AdminFront {
  const { config, log, files, ownNames, connections } = program;
  const { pages, ready, origins, warnings } = parts;
  const handler = createAdmin({
    token: config.adminToken,
    keeper: files.lists,
    now,
    ready,
    names: ownNames,
    refused: (reason) => warnings.tellRefused(reason),
    pages,
  });
  // Any program on this machine can open connections here and leave them: the oldest gives way at
  // once, or the operator would be kept out. Requests are short, and answered when they are whole.
  const options = { connectionsMax: connections.operator, sparedTicks: 0, report: reportTo(log) };
  const server = new HttpServer(handler, options);
  const front: { listener: Listener; close: () => void }[] = [];
  for (const { host, port } of config.adminListeners) {
    try {
      const place = { hostname: host, port, reusePort: false, allowHalfOpen: true };
      const socket = Bun.listen({ ...place, socket: server.socket });
      front.push({ listener: { host, port }, close: () => socket.stop() });
    } catch (error) {
      const failure = listenError("admin", { host, port }, error);
      // A token is for this tracker alone: it must not be sent to what holds the port instead.
      const chosen = origins["TRACKER_ADMIN_ADDRESS"] !== "default";
      if (chosen || config.adminToken !== undefined) throw failure;
      log.warn(failure.message, { remedy: failure.hint }, "admin_address");
    }
  }
  return {
    listeners: front.map(({ listener }) => listener),
    stop() {
      for (const { close } of front) close();
      server.cut();
    },
  };
}
