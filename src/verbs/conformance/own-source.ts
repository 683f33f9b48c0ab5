/**
 * The address from which a tracker sees this machine, as digits of its bytes; undefined where a NAT
 * may stand between them, so that the address is not known. Nothing is sent.
 */
import { createSocket } from "node:dgram";

import { isNotPublic, readAddress } from "../../net/addresses.ts";

export async function ownSource(tracker: string): Promise<string | undefined> {
  const socket = createSocket(tracker.includes(":") ? "udp6" : "udp4");
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  socket.on("error", () => resolve(undefined));
  // The kernel chooses the source of a connected socket; any port will do.
  socket.connect(9, tracker, (error?: Error | null) =>
    resolve(error ? undefined : socket.address().address),
  );
  const source = await promise;
  socket.close();
  if (source === undefined) return undefined;
  const [own, other] = [source, tracker].map(bytesOf);
  return own.isPublic === other.isPublic ? own.digits : undefined;
}

/** An address as digits of its 4 or 16 bytes; empty if the text is none. */
export function digitsOfAddress(text: string): string {
  return bytesOf(text).digits;
}

function bytesOf(text: string): { digits: string; isPublic: boolean } {
  const bytes = new Uint8Array(16);
  const family = readAddress(text, bytes, 0);
  if (family === 0) return { digits: "", isPublic: false };
  const digits = Buffer.from(bytes).toString("hex", 0, family === 4 ? 4 : 16);
  return { digits, isPublic: !isNotPublic(bytes, 0, family) };
}

/** Whether an address is one that everybody can reach. */
export function isPublicAddress(address: string): boolean {
  return bytesOf(address).isPublic;
}

/** Whether an address is one of loopback, where every machine is its own client. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
