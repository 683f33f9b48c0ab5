/**
 * Warnings that follow from the settings and the machine, before any traffic: the start logs them,
 * and `buntracker check` prints them.
 */
import { type Circumstances, IP_PARAMETER, type Tell } from "../admin/warnings.ts";
import { memoryNeeded } from "../config/derived.ts";
import type { Config } from "../config/schema.ts";
import { isIPv6, readNetwork } from "../net/addresses.ts";
import { showBytes } from "../config/settings.ts";
import { compilerIsOff } from "../host/libc.ts";
import type { Machine } from "../host/machine.ts";
import { memoryLimit } from "../host/memory-limit.ts";

/** What the warnings depend on. */
export interface Prospect {
  config: Config;
  /** Undefined where batches of datagrams and socket options are not available. */
  libc: unknown;
  /** The smallest UDP receive buffer granted; Infinity if no buffer was requested. */
  receiveBufferBytes: number;
  /** Addresses of this machine, without loopback. */
  addresses: readonly string[];
  /** Processors that this process may use; those of the machine if absent. */
  processors?: number;
}

/** The largest buffer that Linux grants: it stores twice the size in an int. [socket(7)] */
const RECEIVE_BUFFER_BYTES_MAX = 2 ** 30 - 1;

/** Gives the warnings that hold. */
export function forewarn(warnings: Tell, prospect: Prospect): void {
  const { config, libc, receiveBufferBytes } = prospect;
  const inThreads = libc !== undefined && config.udpWorkers > 0;
  const wanted = config.udpListeners.length > 0 && config.udpWorkers > 0;
  if (libc === undefined && compilerIsOff()) {
    const slow = "the engine may not compile code: every request costs some twenty times as much";
    const limits = "LimitAS or LimitDATA of systemd, or ulimit -v or -d";
    warnings.tell("compiler", slow, { remedy: `no MemoryDenyWriteExecute, ${limits}` });
  } else if (wanted && !inThreads && process.platform === "linux") {
    const slow = "UDP is answered in the event loop: the C library could not be opened";
    warnings.tell("c_library", slow, { remedy: "use the build for the C library of this system" });
  }
  if (inThreads) warnOfWorkers(warnings, prospect);
  warnOfHttpWorkers(warnings, prospect);
  if (config.allowIpParameter) {
    const { message, remedy } = IP_PARAMETER;
    warnings.tell("ip_parameter", message, { remedy });
  }
  warnOfProxies(warnings, config.trustedProxies);
  if (config.externalAddresses.length > 0 && config.privateAddresses === "refuse") {
    const why = "peers with private addresses are refused";
    const message = `TRACKER_EXTERNAL_ADDRESS has no effect: ${why}`;
    const remedy = "TRACKER_PRIVATE_ADDRESSES=accept, or leave TRACKER_EXTERNAL_ADDRESS out";
    warnings.tell("external_address", message, { remedy });
  }
  if (!inThreads) warnOfSource(warnings, prospect);
  if (receiveBufferBytes < Math.min(config.udpReceiveBufferBytes, RECEIVE_BUFFER_BYTES_MAX)) {
    const small = "the system limits the UDP receive buffer, so bursts may be dropped";
    warnings.tell("receive_buffer", small, {
      granted: showBytes(receiveBufferBytes),
      remedy: `sysctl -w net.core.rmem_max=${config.udpReceiveBufferBytes}`,
    });
  }
}

/** One worker for each address is the default, and answers what one processor can. */
function warnOfWorkers(warnings: Tell, { config, processors }: Prospect): void {
  const { udpWorkers, udpListeners } = config;
  const threads = udpWorkers * udpListeners.length;
  const has = processors ?? navigator.hardwareConcurrency;
  if (udpWorkers === 1 || threads <= has) return;
  const fitting = Math.max(1, Math.floor((has - 1) / udpListeners.length));
  warnings.tell("workers", "there are more UDP workers than processors, which answers no faster", {
    workers: threads,
    processors: has,
    remedy: `TRACKER_UDP_WORKERS=${fitting}: each address has as many`,
  });
}

/** They are off by default, so a number of them is meant. */
function warnOfHttpWorkers(warnings: Tell, { config, libc, processors }: Prospect): void {
  const { httpWorkers, httpListeners } = config;
  if (httpWorkers === 0 || httpListeners.length === 0) return;
  const has = processors ?? navigator.hardwareConcurrency;
  if (libc === undefined) {
    const none = "HTTP is answered in the event loop: there are no workers on this system";
    warnings.tell("workers", none, { remedy: "TRACKER_HTTP_WORKERS=0, or Linux" });
  } else if (httpWorkers > has) {
    const many = "there are more HTTP workers than processors, which answers no faster";
    const remedy = `TRACKER_HTTP_WORKERS=${has}`;
    warnings.tell("workers", many, { workers: httpWorkers, processors: has, remedy });
  }
}

/** What the warnings about the machine depend on (see warnings.ts). */
export function circumstancesOf(config: Config, machine: Machine): Circumstances {
  return {
    machine,
    udpPorts: config.udpListeners.map(({ port }) => port),
    http: config.httpListeners.length > 0,
    user: config.user === undefined ? process.getuid?.() : undefined,
    memory: {
      needed: memoryNeeded(config),
      swarms: config.memoryBytesMax,
      limit: memoryLimit(),
    },
  };
}

/**
 * No network of proxies has first bytes that lie further apart, as a prefix of 4 bits has; 2000::/3
 * is all that is assigned of IPv6.
 */
const PROXY_FIRST_BYTES_MAX = 16;

function warnOfProxies(warnings: Tell, networks: readonly string[]): void {
  const [first, last] = [new Uint8Array(16), new Uint8Array(16)];
  const everybody = networks.filter((network) => {
    readNetwork(network, first, last);
    return last[0] - first[0] >= PROXY_FIRST_BYTES_MAX;
  });
  if (everybody.length === 0) return;
  const message = "everybody is a trusted proxy: any client may announce any address by a header";
  const remedy = "name the networks of your proxies in TRACKER_TRUSTED_PROXIES";
  warnings.tell("trusted_proxies", message, { networks: everybody.join(","), remedy });
}

/** Bun's sockets do not tell the destination of a request, and clients need replies from there. */
function warnOfSource(warnings: Tell, { config, addresses }: Prospect): void {
  const hosts = config.udpListeners.map(({ host }) => host);
  const reachable = addresses.filter((address) => !/^fe80:/i.test(address));
  const ipv6 = reachable.filter((address) => isIPv6(address)).length;
  const ipv4 = reachable.length - ipv6;
  const isUnclear = (host: string): boolean =>
    host === "::" ? ipv4 > 1 || ipv6 > 1 : host === "0.0.0.0" && ipv4 > 1;
  if (!hosts.some(isUnclear)) return;
  const unclear = "in the event loop, UDP replies have the address that routing picks";
  const remedy = "name each of this machine's addresses in TRACKER_UDP_ADDRESS";
  warnings.tell("udp_source", unclear, { addresses: ipv4 + ipv6, remedy });
}
