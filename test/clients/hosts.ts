/**
 * The network of the matrix: a switch on which the tracker has its addresses, and a host for each
 * client. A host is a network namespace with one address and a cable (a veth pair) to the switch.
 *
 *     tracker 10.77.0.1, 2001:db8::1
 *        |
 *     switch ---- eth0 of client10 ---- eth0 of client11 ---- ...
 *
 * So every client has a machine and an address to itself, as on the Internet: clients keep one peer
 * per address, Transmission connects to no loopback address, some bind to every address there is.
 * Nothing leads outside. A host has one address of one family, so that no client can use the other.
 *
 * All this is made in namespaces of the program's own, and ends with it: no process outlives it.
 */

import { join } from "node:path";

export type Family = 4 | 6;

/** A machine with one address. */
export interface Host {
  name: string;
  family: Family;
  address: string;
}

export const TRACKER_ADDRESS: Record<Family, string> = { 4: "10.77.0.1", 6: "2001:db8::1" };

/** A name: Transmission 3.00 takes an IPv6 literal in a udp:// URL for a name to look up. */
export const TRACKER_NAME_IPV6 = "tracker6.test";

/** The name of the interface that a host has beside its loopback. */
export const HOST_INTERFACE = "eth0";

const SWITCH = "switch";
const SWITCH_MAC = "02:00:00:00:00:01";
/** Where `ip netns` keeps its names, in a directory that only this mount namespace sees. */
const STATE_DIRECTORY = "/run";
const PREFIX_BITS: Record<Family, number> = { 4: 16, 6: 64 };
/** An IPv6 address is not asked for on the network before it is used. */
const NO_WAIT: Record<Family, string> = { 4: "", 6: " nodad" };
/** Hosts are numbered from here; this many have their IPv4 addresses in the same third byte. */
const HOST_NUMBER_FIRST = 10;
const HOSTS_PER_BYTE = 200;

const INSIDE = "BUNTRACKER_CLIENTS_INSIDE";

let added = 0;

/** Whether this process was started by `runInNamespaces`. */
export function isInNamespaces(): boolean {
  return process.env[INSIDE] !== undefined;
}

/**
 * Runs this program again, with the same arguments, in a network, mount and process namespace of
 * its own; its exit code. Root makes them directly, others in a user namespace.
 */
export async function runInNamespaces(): Promise<number> {
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const namespaces = [...asRoot, "--net", "--mount", "--mount-proc", "--pid", "--fork"];
  const again = [process.execPath, ...process.argv.slice(1)];
  const child = Bun.spawn(["unshare", ...namespaces, "--kill-child", "--", ...again], {
    env: { ...process.env, [INSIDE]: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const end = (): void => child.kill("SIGKILL");
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  return await child.exited;
}

/** Raises the switch and the tracker's addresses; `directory` takes the hosts file. */
export async function raiseNetwork(directory: string): Promise<void> {
  run(["mount", "-t", "tmpfs", "tmpfs", STATE_DIRECTORY]);
  ip(
    "link set lo up",
    // Without an address of its own it takes that of one of its cables, which may be removed.
    // Without snooping, neighbour discovery needs no querier of multicast groups.
    `link add ${SWITCH} address ${SWITCH_MAC} type bridge stp_state 0 mcast_snooping 0`,
    `link set ${SWITCH} up`,
    `addr add ${TRACKER_ADDRESS[4]}/${PREFIX_BITS[4]} dev ${SWITCH}`,
    `addr add ${TRACKER_ADDRESS[6]}/${PREFIX_BITS[6]} dev ${SWITCH}${NO_WAIT[6]}`,
  );
  const hosts = join(directory, "hosts");
  await Bun.write(hosts, `127.0.0.1 localhost\n${TRACKER_ADDRESS[6]} ${TRACKER_NAME_IPV6}\n`);
  run(["mount", "--bind", hosts, "/etc/hosts"]);
}

/** Adds a host to the switch. */
export function addHost(family: Family): Host {
  const number = HOST_NUMBER_FIRST + added++;
  const name = `client${number}`;
  const address = addressOf(number, family);
  ip(
    `netns add ${name}`,
    `link add ${name} type veth peer name ${HOST_INTERFACE} netns ${name}`,
    `link set ${name} master ${SWITCH} up`,
  );
  ipOn(
    { name, family },
    "link set lo up",
    `link set ${HOST_INTERFACE} up`,
    `addr add ${address}/${PREFIX_BITS[family]} dev ${HOST_INTERFACE}${NO_WAIT[family]}`,
    // Transmission opens its IPv6 socket only if there is a route to the Internet.
    `route add default via ${TRACKER_ADDRESS[family]}`,
  );
  return { name, family, address };
}

/** Takes a host away; what still runs there has no network any more. */
export function removeHost({ name }: Host): void {
  ip(`link del ${name}`, `netns del ${name}`);
}

/** The command line that runs `command` on a host, as the same process. */
export function onHost({ name }: Host, command: readonly string[]): string[] {
  return ["nsenter", `--net=${STATE_DIRECTORY}/netns/${name}`, "--", ...command];
}

/** Where programs of the system are, those for root too. */
export function searchPath(): string {
  return `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
}

function addressOf(number: number, family: Family): string {
  if (family === 6) return `2001:db8::${number.toString(16)}`;
  const third = 1 + Math.floor(number / HOSTS_PER_BYTE);
  return `10.77.${third}.${HOST_NUMBER_FIRST + (number % HOSTS_PER_BYTE)}`;
}

/** Lines for `ip -batch`: one process for all of them. */
function ip(...lines: string[]): void {
  run(["ip", "-batch", "-"], lines);
}

function ipOn({ name, family }: Pick<Host, "name" | "family">, ...lines: string[]): void {
  run(["ip", `-${family}`, "-n", name, "-batch", "-"], lines);
}

function run(command: readonly string[], lines: readonly string[] = []): void {
  const [name, ...args] = command;
  const result = Bun.spawnSync([Bun.which(name!, { PATH: searchPath() })!, ...args], {
    stdin: Buffer.from(lines.join("\n")),
  });
  if (result.exitCode === 0) return;
  const said = result.stderr.toString().trim();
  throw new Error(`${command.join(" ")}: ${said}\n${lines.join("\n")}`);
}
