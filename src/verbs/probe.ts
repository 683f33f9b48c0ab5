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

import { askOverHttp, reachable } from "./http-client.ts";
import { RefusedError, UdpClient } from "./udp-client.ts";

/** An address to ask; one that means "all of this machine's" is asked by way of loopback. */
interface Endpoint {
  host: string;
  port: number;
  /** True for HTTPS. Whose certificate it is does not matter: we ask ourselves. */
  tls?: boolean;
}

/** The tracker says "ok". */
const BODY_BYTES_MAX = 1024;

/** True if GET /health is answered with 200 within `timeout` milliseconds. */
export async function probeHttp({ host, port, tls }: Endpoint, timeout: number): Promise<boolean> {
  const question = { host: "localhost", target: "/health", timeout, bodyBytesMax: BODY_BYTES_MAX };
  const to = { address: host, port, tls: tls === true ? ("any certificate" as const) : undefined };
  try {
    return (await askOverHttp({ ...question, ...to })).status === 200;
  } catch {
    return false;
  }
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
