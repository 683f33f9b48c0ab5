/**
 * `buntracker dns NAME`: the records a tracker's name should have, as lines for a zone file.
 *
 *   A, AAAA   its addresses. Every client resolves them, so a short TTL of these records costs
 *             gigabytes of DNS a day on a large tracker.
 *   TXT       the ports of the tracker, in order of preference. [BEP 34]
 *
 * The names are not resolved: the addresses are the public ones of this machine, or those of the
 * NAT before it. Ports on loopback addresses, as behind a proxy, are left out of the record.
 */
import type { NetworkInterfaceInfo } from "node:os";

import { isNotPublic, readAddress } from "../net/addresses.ts";
import type { Listener } from "../config/settings.ts";

const TTL_SECONDS = 86_400;
const LOOPBACK = /^(127\.|::1$)/;

type Interfaces = NodeJS.Dict<Pick<NetworkInterfaceInfo, "address" | "family">[]>;

/** The facts for the advice. */
export interface DnsFacts {
  udpListeners: readonly Listener[];
  httpListeners: readonly Listener[];
  /** The result of `os.networkInterfaces`. */
  interfaces: Interfaces;
  /** The public addresses of the NAT before this machine, if there is one. */
  externalAddresses?: readonly string[];
}

/** The content of the TXT record: `BITTORRENT UDP:6969 TCP:6969`. */
export function trackerRecord({ udpListeners, httpListeners }: DnsFacts): string {
  const words = [
    ...udpListeners.filter(isReached).map(({ port }) => `UDP:${port}`),
    ...httpListeners.filter(isReached).map(({ port }) => `TCP:${port}`),
  ];
  return ["BITTORRENT", ...new Set(words)].join(" ");
}

function isReached({ host }: Listener): boolean {
  return !LOOPBACK.test(host);
}

/** The advice, as text for a terminal. `name` is a host name. */
export function dnsAdvice(name: string, facts: DnsFacts): string {
  const host = `${name.replace(/\.$/, "")}.`;
  const width = Math.max(host.length, 24);
  const record = (type: string, value: string) =>
    `${host.padEnd(width)} ${TTL_SECONDS} IN ${type.padEnd(4)} ${value}\n`;
  const [ipv4, ipv6] = publicAddresses(facts);
  const lines = [
    `; Records for ${host} 86400 seconds are a day: clients resolve the name at\n`,
    "; every announce, so a short TTL causes gigabytes of DNS a day. Shorten it to an hour\n",
    "; a day before the tracker moves.\n",
    ...(ipv4.length > 0 ? ipv4 : ["192.0.2.1"]).map((address) => record("A", address)),
    ...(ipv6.length > 0 ? ipv6 : ["2001:db8::1"]).map((address) => record("AAAA", address)),
  ];
  if (ipv4.length === 0) lines.push(placeholder("IPv4", "A"));
  if (ipv6.length === 0) lines.push(placeholder("IPv6", "AAAA"));
  lines.push(
    "; The ports of the tracker, the preferred one first (BEP 34):\n",
    record("TXT", `"${trackerRecord(facts)}"`),
    ...(facts.httpListeners.every(isReached)
      ? []
      : ["; HTTP listens on loopback only: add the port of its proxy, such as TCP:443.\n"]),
    "; For names that no longer are a tracker, so that clients stop:\n",
    ';   TXT "BITTORRENT DENY ALL"\n',
  );
  return lines.join("");
}

function placeholder(family: string, type: string): string {
  return (
    `; This machine has no public ${family} address: write the one that reaches it, ` +
    `or leave ${type} out.\n`
  );
}

/** The public addresses of this machine, IPv4 and IPv6; that of its NAT takes their place. */
function publicAddresses({ interfaces, externalAddresses = [] }: DnsFacts): [string[], string[]] {
  const bytes = new Uint8Array(16);
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  const isPublic = ({ address }: { address: string }) => {
    const family = readAddress(address, bytes, 0);
    return family !== 0 && !isNotPublic(bytes, 0, family);
  };
  const of = (family: string) => {
    const external = externalAddresses.filter((one) => one.includes(":") === (family === "IPv6"));
    if (external.length > 0) return external;
    return all
      .filter((one) => one.family === family && isPublic(one))
      .map(({ address }) => address);
  };
  return [of("IPv4"), of("IPv6")];
}
