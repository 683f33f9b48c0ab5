/**
 * How each real client is started, as a peer of one torrent bound to one address.
 *
 * Whether it seeds or leeches is decided by what lies in its directory. All of them run until they
 * are told to end; what they print goes to `client.log` in their directory. Everything that could
 * find a peer without the tracker is switched off.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

/** A peer to start. */
export interface Peer {
  directory: string;
  torrent: string;
  /** An address of this machine that is nobody else's. */
  address: string;
  port: number;
  seeding: boolean;
  overUdp: boolean;
}

export type ProgramName = "aria2" | "libtorrent" | "transmission";

/** All programs of the matrix. */
export const PROGRAMS: readonly ProgramName[] = ["aria2", "libtorrent", "transmission"];

const COMMANDS: Record<ProgramName, (peer: Peer) => Promise<string[]>> = {
  aria2: aria2Command,
  libtorrent: libtorrentCommand,
  transmission: transmissionCommand,
};

/** Starts a program; end it with `endProgram`. */
export async function startProgram(program: ProgramName, peer: Peer): Promise<Bun.Subprocess> {
  const command = await COMMANDS[program](peer);
  const log = Bun.file(logPath(peer));
  return Bun.spawn(command, {
    cwd: peer.directory,
    env: { PATH: "/usr/bin:/bin", HOME: peer.directory },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
}

/** Ends a program the way its user would, and by force when that takes too long. */
export async function endProgram(child: Bun.Subprocess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const ended = await Promise.race([child.exited.then(() => true), Bun.sleep(5000)]);
  if (ended === true) return;
  child.kill("SIGKILL");
  await child.exited;
}

/** Where a program's output goes. */
export function logPath(peer: Peer): string {
  return join(peer.directory, "client.log");
}

/**
 * aria2 speaks UDP to trackers through its DHT socket only, so DHT has to be on for that; the
 * torrent stays out of it because it is private.
 */
async function aria2Command(peer: Peer): Promise<string[]> {
  const dht = peer.overUdp
    ? [
        "--enable-dht=true",
        `--dht-listen-port=${peer.port}`,
        `--dht-file-path=${peer.directory}/dht.dat`,
      ]
    : ["--enable-dht=false"];
  const role = peer.seeding
    ? ["--check-integrity=true", "--bt-hash-check-seed=true"]
    : ["--allow-overwrite=true"];
  return [
    "aria2c",
    "--no-conf=true",
    ...dht,
    "--enable-dht6=false",
    "--enable-peer-exchange=false",
    "--bt-enable-lpd=false",
    `--interface=${peer.address}`,
    `--listen-port=${peer.port}`,
    "--file-allocation=none",
    "--summary-interval=0",
    "--console-log-level=info",
    "--seed-ratio=0.0",
    ...role,
    `--dir=${peer.directory}`,
    peer.torrent,
  ];
}

/** Debian's own Python, not another one in PATH: only that one has the module. */
async function libtorrentCommand(peer: Peer): Promise<string[]> {
  const script = `${import.meta.dir}/libtorrent_peer.py`;
  const { address, port, directory, torrent } = peer;
  return ["/usr/bin/python3", script, address, String(port), directory, torrent];
}

/** Transmission picks up the torrent from a watched directory, so that no RPC is needed. */
async function transmissionCommand(peer: Peer): Promise<string[]> {
  const configuration = join(peer.directory, "transmission");
  const watched = join(configuration, "watched");
  await mkdir(watched, { recursive: true });
  await Bun.write(join(watched, "payload.torrent"), Bun.file(peer.torrent));
  const binding = peer.address.includes(":")
    ? { "bind-address-ipv6": peer.address }
    : { "bind-address-ipv4": peer.address };
  const settings = {
    ...binding,
    "dht-enabled": false,
    "download-dir": peer.directory,
    "lpd-enabled": false,
    "message-level": 3,
    "peer-port": peer.port,
    "pex-enabled": false,
    "port-forwarding-enabled": false,
    "rpc-enabled": false,
    "trash-original-torrent-files": false,
    "utp-enabled": false,
    "watch-dir": watched,
    "watch-dir-enabled": true,
  };
  await Bun.write(join(configuration, "settings.json"), JSON.stringify(settings));
  return ["transmission-daemon", "--foreground", "--config-dir", configuration];
}
