/**
 * The real clients: which there are, what brings them, and how one is started as a peer of one
 * torrent on a host of its own, and ended. Their command lines are in `commands.ts`.
 *
 * Whether a client seeds or leeches is decided by what lies in its directory. All of them run until
 * they are told to end; what they print goes to `client.log` in their directory. Everything that
 * could find a peer without the tracker is switched off.
 */

import { join } from "node:path";
import { ANACROLIX_VERSION } from "./anacrolix.ts";
import {
  anacrolixCommand,
  aria2Command,
  ctorrentCommand,
  delugeCommand,
  ktorrentCommand,
  libtorrentCommand,
  type Peer,
  qbittorrentCommand,
  rtorrentCommand,
  transmissionCommand,
} from "./commands.ts";
import { onHost, searchPath } from "./hosts.ts";

export type ProgramName =
  | "anacrolix"
  | "aria2"
  | "ctorrent"
  | "deluge"
  | "ktorrent"
  | "libtorrent"
  | "qbittorrent"
  | "rtorrent"
  | "transmission";

interface Program {
  /** Debian's packages that bring it; the first is named for it. */
  packages: readonly string[];
  /** Shell commands that succeed when all it needs is there. */
  probe: string;
  command: (peer: Peer) => Promise<string[]>;
  /** It never says that a download is complete, so none is counted. */
  silentAboutCompletion?: true;
}

const ENDING_MILLISECONDS_MAX = 5000;

const TABLE: Record<ProgramName, Program> = {
  anacrolix: {
    packages: [],
    probe: "command -v go",
    command: anacrolixCommand,
    silentAboutCompletion: true,
  },
  aria2: {
    packages: ["aria2"],
    probe: "command -v aria2c",
    command: aria2Command,
  },
  ctorrent: {
    packages: ["ctorrent"],
    probe: "command -v ctorrent",
    command: ctorrentCommand,
  },
  deluge: {
    packages: ["deluged", "deluge-console"],
    probe: "command -v deluged && command -v deluge-console",
    command: delugeCommand,
  },
  ktorrent: {
    packages: ["ktorrent", "xvfb", "dbus"],
    probe: "command -v ktorrent && command -v Xvfb && command -v dbus-daemon",
    command: ktorrentCommand,
  },
  libtorrent: {
    packages: ["python3-libtorrent"],
    probe: "/usr/bin/python3 -c 'import libtorrent'",
    command: libtorrentCommand,
  },
  qbittorrent: {
    packages: ["qbittorrent-nox"],
    probe: "command -v qbittorrent-nox",
    command: qbittorrentCommand,
  },
  rtorrent: {
    packages: ["rtorrent"],
    probe: "command -v rtorrent",
    command: rtorrentCommand,
  },
  transmission: {
    packages: ["transmission-daemon"],
    probe: "command -v transmission-daemon",
    command: transmissionCommand,
  },
};

/** All programs of the matrix. */
export const PROGRAMS = Object.keys(TABLE) as ProgramName[];

/** Whether a program says that a download is complete. */
export function saysCompleted(program: ProgramName): boolean {
  return TABLE[program].silentAboutCompletion === undefined;
}

/** Debian's packages that bring a program. */
export function packagesOf(program: ProgramName): readonly string[] {
  return TABLE[program].packages;
}

/** Whether a program can be started here. */
export function isInstalled(program: ProgramName): boolean {
  const probe = Bun.spawnSync(["sh", "-c", TABLE[program].probe], {
    env: { ...process.env, PATH: searchPath() },
  });
  return probe.exitCode === 0;
}

/** The version of a program here, as its package has it; empty where no package says it. */
export function versionOf(program: ProgramName): string {
  const [name] = TABLE[program].packages;
  if (name === undefined) return ANACROLIX_VERSION;
  return Bun.spawnSync(["dpkg-query", "--show", "--showformat=${Version}", name]).stdout.toString();
}

/** Starts a program; end it with `endProgram`. */
export async function startProgram(program: ProgramName, peer: Peer): Promise<Bun.Subprocess> {
  const command = await TABLE[program].command(peer);
  const log = Bun.file(logPath(peer));
  return Bun.spawn(onHost(peer.host, command), {
    cwd: peer.directory,
    env: { PATH: "/usr/bin:/bin", HOME: peer.directory, TMPDIR: peer.directory, LANG: "C.UTF-8" },
    // A process group of its own, with all that it starts.
    detached: true,
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
}

/**
 * Ends a program the way its user would, and by force when that takes too long; then what it needed
 * to run, such as a display.
 */
export async function endProgram(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  await Promise.race([child.exited, Bun.sleep(ENDING_MILLISECONDS_MAX)]);
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing of the group is left.
  }
  await child.exited;
}

/** Where a program's output goes. */
export function logPath(peer: Peer): string {
  return join(peer.directory, "client.log");
}
