/**
 * Asking a running tracker, from outside, whether it answers: what the `health` verb does.
 *
 * HTTP is asked for /health, UDP for a connection and then an announce: the whole way that requests
 * go. The announce says that a peer has stopped which never was, so nothing comes of it; a tracker
 * that refuses it is as well as one that does not. All goes to this machine, past any proxy the
 * environment names. The answer is yes or no: silence and nonsense are no. Nothing here throws or
 * outlives its timeout.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { RefusedError, UdpClient } from "../verbs/udp-client.ts";

/** An address to ask; one that means "all of this machine's" is asked by way of loopback. */
interface Endpoint {
  host: string;
  port: number;
  /** True for HTTPS. Whose certificate it is does not matter: we ask ourselves. */
  tls?: boolean;
}

const HTTP_OK = /^HTTP\/1\.[01] 200 /;
const STATUS_LINE_BYTES_MAX = 1024;

/** True if GET /health is answered with 200 within `timeout` milliseconds. */
export function probeHttp({ host, port, tls }: Endpoint, timeout: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const to = { host: reachable(host), port };
  const socket: Socket = tls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
  const timer = setTimeout(() => resolve(false), timeout);
  let head = "";
  socket.on(tls ? "secureConnect" : "connect", () => {
    socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  });
  socket.on("data", (bytes) => {
    head += bytes.toString("latin1");
    if (head.includes("\r\n") || head.length > STATUS_LINE_BYTES_MAX) resolve(HTTP_OK.test(head));
  });
  socket.on("error", () => resolve(false));
  socket.on("close", () => resolve(false));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** True if UDP connects and answers an announce, each within half of `timeout` milliseconds. */
export async function probeUdp({ host, port }: Endpoint, timeout: number): Promise<boolean> {
  const client = new UdpClient(reachable(host), port, timeout / 4);
  let connected = false;
  try {
    await client.connect();
    connected = true;
    const [infoHash, peerId] = [randomBytes(20), randomBytes(20)];
    await client.announce({ infoHash, peerId, port: 1, left: 0, event: "stopped" });
    return true;
  } catch (error) {
    return connected && error instanceof RefusedError;
  } finally {
    client.close();
  }
}

/** Where a listener can be reached from its own machine. */
function reachable(host: string): string {
  return host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
}
