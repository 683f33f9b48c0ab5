/**
 * Asking a running tracker, from outside, whether it answers: what the `health` verb does.
 *
 * HTTP is asked for /health; where HTTP is off, UDP is asked for a connection id. Both go to this
 * machine, past any proxy the environment names. The answer is yes or no: silence, refusal and
 * nonsense are all no. Nothing here throws or outlives its timeout.
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";

/** An address to ask; one that means "all of this machine's" is asked by way of loopback. */
interface Endpoint {
  host: string;
  port: number;
}

const HTTP_OK = /^HTTP\/1\.[01] 200 /;
const STATUS_LINE_BYTES_MAX = 1024;

/** The first eight bytes of a connect request, by which trackers know it. [BEP 15] */
const CONNECT_MAGIC = 0x41727101980n;
const CONNECT_BYTES = 16;
const ACTION_CONNECT = 0;

/** True if GET /health is answered with 200 within `timeout` milliseconds. */
export function probeHttp({ host, port }: Endpoint, timeout: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: reachable(host), port });
  const timer = setTimeout(() => resolve(false), timeout);
  let head = "";
  socket.on("connect", () => {
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

/** True if a connect request is answered with a connect reply within `timeout` milliseconds. */
export function probeUdp({ host, port }: Endpoint, timeout: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const target = reachable(host);
  const socket = createSocket(target.includes(":") ? "udp6" : "udp4");
  const timer = setTimeout(() => resolve(false), timeout);
  const request = Buffer.alloc(CONNECT_BYTES);
  request.writeBigUInt64BE(CONNECT_MAGIC, 0);
  request.writeUInt32BE(ACTION_CONNECT, 8);
  randomBytes(4).copy(request, 12);
  socket.on("message", (reply) => {
    const echoed = reply.length >= CONNECT_BYTES && reply.readUInt32BE(0) === ACTION_CONNECT;
    // Anything else may be a stray datagram; the right one may still come.
    if (echoed && reply.subarray(4, 8).equals(request.subarray(12))) resolve(true);
  });
  socket.on("error", () => resolve(false));
  socket.send(request, port, target, (error) => {
    if (error) resolve(false);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

/** Where a listener can be reached from its own machine. */
function reachable(host: string): string {
  return host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
}
