/**
 * Checks whether a running tracker answers, for the `health` verb.
 *
 * Over HTTP it requests /health, over UDP a connection and then an announce, like a client. The
 * announce stops a peer that never existed, so it changes nothing; a tracker that refuses it is
 * healthy too. All requests go to this machine, never over a proxy from the environment. The result
 * is true or false; no answer or a wrong answer is false. No function throws or exceeds its
 * timeout.
 */
import { randomBytes } from "node:crypto";

import { askOverHttp, reachable } from "./http-client.ts";
import { RefusedError, UdpClient } from "./udp-client.ts";

/** The address of a tracker; a wildcard address means loopback. */
interface Endpoint {
  host: string;
  port: number;
  /** True for HTTPS. The certificate is not verified: the tracker is on this machine. */
  tls?: boolean;
}

/** The longest answer; a healthy one is "ok". */
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
