/**
 * The addresses of this machine's interfaces. The module that tells them takes 200 KiB in each
 * thread that loads it, so that UDP workers, which look addresses up, do not load this file.
 */
import { networkInterfaces } from "node:os";

/**
 * The addresses of the machine's interfaces without loopback, as text; undefined where a sandbox
 * forbids the question. `ask` is for tests.
 */
export function listAddresses(ask: typeof networkInterfaces = networkInterfaces) {
  try {
    const all = Object.values(ask()).flatMap((addresses) => addresses ?? []);
    return all.map(({ address }) => address).filter((address) => !isLoopback(address));
  } catch {
    return undefined;
  }
}

/** 127.0.0.0/8 and ::1, on any interface. */
function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
