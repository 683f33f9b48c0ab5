/**
 * The command lines of the real clients, and the configuration that each of them reads.
 *
 * The process that is started is the client itself, so that it can be told to end; what it needs
 * beside it, such as a display, is started before it in the same process group.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ANACROLIX_BINARY } from "./anacrolix.ts";
import { HOST_INTERFACE, type Host } from "./hosts.ts";

/** A peer to start. */
export interface Peer {
  host: Host;
  directory: string;
  torrent: string;
  port: number;
  seeding: boolean;
  overUdp: boolean;
}

/** The command line of the `torrent` package; it saves into its working directory. */
export async function anacrolixCommand(peer: Peer): Promise<string[]> {
  const off = ["--no-dht", "--no-pex", "--no-port-forward", "--no-webtorrent", "--no-progress"];
  return [ANACROLIX_BINARY, "download", "--seed", ...off, `--addr=:${peer.port}`, peer.torrent];
}

/**
 * aria2 speaks UDP to trackers through its DHT socket only, so DHT has to be on for that; the
 * torrent stays out of it because it is private.
 */
export async function aria2Command(peer: Peer): Promise<string[]> {
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

/** `-e` is for how many hours it seeds. */
export async function ctorrentCommand(peer: Peer): Promise<string[]> {
  return ["ctorrent", "-e", "1", "-p", String(peer.port), peer.torrent];
}

/** The daemon, and beside it the console that hands it the torrent as soon as it listens. */
export async function delugeCommand(peer: Peer): Promise<string[]> {
  const configuration = join(peer.directory, "deluge");
  await mkdir(configuration);
  await Bun.write(join(configuration, "auth"), "localclient:password:10\n");
  const settings = {
    dht: false,
    download_location: peer.directory,
    // By default it listens on IPv4 only; with a name, on what the interface has.
    listen_interface: HOST_INTERFACE,
    listen_ports: [peer.port, peer.port],
    lsd: false,
    natpmp: false,
    new_release_check: false,
    random_port: false,
    upnp: false,
    utpex: false,
  };
  const versions = JSON.stringify({ file: 1, format: 1 });
  await Bun.write(join(configuration, "core.conf"), versions + JSON.stringify(settings));
  const add = 'deluge-console --config "$0" "add $1"';
  const script = `
    (for attempt in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; ${add} && break; done) &
    exec deluged --do-not-daemonize --config "$0" --loglevel info`;
  return ["sh", "-c", script, configuration, peer.torrent];
}

/**
 * KTorrent wants a display and a session bus. 22.12 forgets the torrent that it is started with, so
 * it gets it over the bus as soon as it is there.
 */
export async function ktorrentCommand(peer: Peer): Promise<string[]> {
  const configuration = join(peer.directory, ".config");
  await mkdir(configuration);
  const settings = [
    "[downloads]",
    "dhtSupport=false",
    "pexEnabled=false",
    `port=${peer.port}`,
    `saveDir[$e]=file://${peer.directory}`,
    "useSaveDir=true",
    "utpEnabled=false",
  ];
  await Bun.write(join(configuration, "ktorrentrc"), settings.join("\n"));
  // A display without a file, which only this host sees, but of a number of its own, by which Xvfb
  // names a file in the meantime. The paths of sockets have to be short.
  const script = `
    export DISPLAY=":$1" XDG_RUNTIME_DIR="/run/ktorrent$1"
    export DBUS_SESSION_BUS_ADDRESS="unix:path=$XDG_RUNTIME_DIR/bus"
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    Xvfb "$DISPLAY" -nolock -nolisten unix -nolisten tcp &
    dbus-daemon --session --nofork --nopidfile --address="$DBUS_SESSION_BUS_ADDRESS" &
    until [ -S "$XDG_RUNTIME_DIR/bus" ] && grep -q X11-unix /proc/net/unix; do sleep 0.05; done
    (until dbus-send --session --print-reply --dest=org.kde.ktorrent /core \
      org.ktorrent.core.loadSilently "string:$0" string:; do sleep 0.2; done) &
    exec ktorrent`;
  return ["sh", "-c", script, peer.torrent, peer.host.name.replace(/\D+/, "")];
}

/** Debian's own Python, not another one in PATH: only that one has the module. */
export async function libtorrentCommand(peer: Peer): Promise<string[]> {
  const script = `${import.meta.dir}/libtorrent_peer.py`;
  const { host, port, directory, torrent } = peer;
  return ["/usr/bin/python3", script, host.address, String(port), directory, torrent];
}

export async function qbittorrentCommand(peer: Peer): Promise<string[]> {
  const profile = join(peer.directory, "profile");
  const settings = [
    "[LegalNotice]",
    "Accepted=true",
    "[BitTorrent]",
    "Session\\DHTEnabled=false",
    `Session\\DefaultSavePath=${peer.directory}`,
    "Session\\LSDEnabled=false",
    "Session\\PeXEnabled=false",
    `Session\\Port=${peer.port}`,
    "[Network]",
    "PortForwardingEnabled=false",
  ];
  const folder = join(profile, "qBittorrent", "config");
  await mkdir(folder, { recursive: true });
  await Bun.write(join(folder, "qBittorrent.conf"), settings.join("\n"));
  return ["qbittorrent-nox", `--profile=${profile}`, "--skip-dialog=true", peer.torrent];
}

/** A terminal is not needed with `system.daemon`. */
export async function rtorrentCommand(peer: Peer): Promise<string[]> {
  const settings = [
    "system.daemon.set = true",
    `directory.default.set = ${peer.directory}`,
    `network.port_range.set = ${peer.port}-${peer.port}`,
    "network.port_random.set = no",
    "dht.mode.set = disable",
    "protocol.pex.set = no",
    "trackers.use_udp.set = yes",
    "pieces.hash.on_completion.set = no",
    `log.open_file = "log", ${peer.directory}/rtorrent.log`,
    'log.add_output = "tracker_debug", "log"',
    `schedule2 = start, 0, 0, ((load.start, ${peer.torrent}))`,
  ];
  const file = join(peer.directory, "rtorrent.rc");
  await Bun.write(file, settings.join("\n") + "\n");
  return ["rtorrent", "-n", "-o", `import=${file}`];
}

/** Transmission picks up the torrent from a watched directory, so that no RPC is needed. */
export async function transmissionCommand(peer: Peer): Promise<string[]> {
  const configuration = join(peer.directory, "transmission");
  const watched = join(configuration, "watched");
  await mkdir(watched, { recursive: true });
  await Bun.write(join(watched, "payload.torrent"), Bun.file(peer.torrent));
  const settings = {
    "dht-enabled": false,
    "download-dir": peer.directory,
    // Not encrypted at first: ctorrent does not know encryption.
    encryption: 0,
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
