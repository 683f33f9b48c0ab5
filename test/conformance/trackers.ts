/**
 * The trackers that `make conformance` examines, as child processes with their default settings, as
 * far as these allow anybody to announce and to be reached at loopback.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { AWKWARD, PLAIN } from "../../src/verbs/conformance/http-checks.ts";
import { HIGH } from "../../src/verbs/conformance/scrape-checks.ts";
import { letters } from "../../src/verbs/conformance/statements.ts";
import { type Absent, type Contender, launch, makeFolder } from "../bench/contenders.ts";
import { skipped, TOOLS } from "../bench/contenders.ts";
import { BINARY, freePort } from "../e2e/harness.ts";

/** A program that runs, and the URLs at which it answers. */
export type Running = Contender & { urls: string[] };

/** How one is started for a family; some take a process for each. */
export type StartProgram = (family: 4 | 6) => Promise<Running | Absent>;

export interface Tracker {
  name: string;
  /** Which version, and how it was had. */
  version: string;
  programs: StartProgram[];
}

/** The most info hashes that an examination of one program takes. */
export const HASHES_MAX = 1500;

/** The nth info hash, with these bytes first. */
export function hashOf(n: number, first?: Buffer): Buffer {
  return letters(createHash("sha1").update(`buntracker conformance ${n}`).digest(), first);
}

/** All info hashes that may be announced, for a tracker that takes only those it knows. */
function whitelist(): string {
  const lines: string[] = [];
  for (let n = 0; n < HASHES_MAX; n++) {
    for (const first of [undefined, PLAIN, HIGH, AWKWARD]) lines.push(hashOf(n, first).toHex());
    const awkward = hashOf(n, AWKWARD);
    for (const at of AWKWARD.keys()) {
      const other = Buffer.from(awkward);
      other[at] ^= 1;
      lines.push(other.toHex());
    }
  }
  return `${lines.sort().join("\n")}\n`;
}

const hostOf = (family: 4 | 6): string => (family === 4 ? "127.0.0.1" : "[::1]");
const bareHostOf = (family: 4 | 6): string => (family === 4 ? "127.0.0.1" : "::1");

function urlsOf(family: 4 | 6, port: number, ...schemes: string[]): string[] {
  return schemes.map((scheme) => `${scheme}://${hostOf(family)}:${port}/announce`);
}

/** Starts a program that listens at one address, and waits until its port is open. */
async function start(
  name: string,
  family: 4 | 6,
  schemes: string[],
  command: (port: number) => Promise<string[]> | string[],
  env: (port: number) => Record<string, string> = () => ({}),
): Promise<Running | Absent> {
  const port = freePort();
  // A port of UDP alone cannot be seen: half a second is enough for each of these.
  const isOpen =
    schemes.join() === "udp"
      ? () => Bun.sleep(500).then(() => true)
      : (at: number) => isListening(bareHostOf(family), at);
  const started = await launch(name, port, await command(port), env(port), isOpen);
  return "absent" in started
    ? started
    : Object.assign(started, { urls: urlsOf(family, port, ...schemes) });
}

function isListening(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.on("connect", () => resolve(true));
  socket.on("error", () => void Bun.sleep(50).then(() => resolve(false)));
  return promise.finally(() => socket.destroy());
}

const buntracker: StartProgram = async (family) => {
  if (!existsSync(BINARY)) return { absent: "buntracker is skipped: run `make build` first" };
  const env = (port: number) => ({
    TRACKER_UDP_ADDRESS: `${hostOf(family)}:${port}`,
    TRACKER_HTTP_ADDRESS: `${hostOf(family)}:${port}`,
  });
  return start("buntracker", family, ["http", "udp", "ws"], () => [BINARY], env);
};

/** Debian's, which is built for a whitelist, and for IPv4 alone. */
const opentracker: StartProgram = async (family) => {
  if (family === 6) return { absent: "Debian builds it for IPv4 alone" };
  const program = Bun.which("opentracker") ?? "/usr/bin/opentracker";
  if (!existsSync(program)) return { absent: "it is not installed (Debian package opentracker)" };
  const folder = await makeFolder();
  await Bun.write(join(folder, "whitelist"), whitelist());
  return start("opentracker", family, ["http", "udp"], async (port) => {
    const listen = ["udp", "tcp"].map((kind) => `listen.${kind} 127.0.0.1:${port}\n`).join("");
    await Bun.write(
      join(folder, "conf"),
      `tracker.rootdir ${folder}\n${listen}access.whitelist /whitelist\n`,
    );
    return [program, "-f", join(folder, "conf")];
  });
};

/** Three programs, one for each transport. */
function aquatic(transport: "udp" | "http" | "ws"): StartProgram {
  return async (family) => {
    const folder = transport === "udp" ? "aquatic-udp" : "aquatic";
    const program = join(TOOLS, folder, `bin/aquatic_${transport}`);
    if (!existsSync(program)) return skipped(`aquatic_${transport}`);
    return start(`aquatic_${transport}`, family, [transport], async (port) => {
      const file = join(await makeFolder(), "aquatic.toml");
      const only = family === 6 ? "only_ipv6 = true\n" : "";
      const way = transport === "udp" ? "use_io_uring = false\n" : "";
      await Bun.write(file, `[network]\naddress = "${hostOf(family)}:${port}"\n${only}${way}`);
      return [program, "-c", file];
    });
  };
}

const chihaya: StartProgram = async (family) => {
  const program = join(TOOLS, "chihaya/bin/chihaya");
  if (!existsSync(program)) return skipped("chihaya");
  return start("chihaya", family, ["http", "udp"], (port) => [program, String(port)]);
};

const torrust: StartProgram = async (family) => {
  const program = join(TOOLS, "torrust/bin/torrust-tracker");
  if (!existsSync(program)) return skipped("torrust-tracker");
  const folder = await makeFolder();
  const env = (port: number) => ({
    TORRUST_TRACKER_CONFIG_TOML:
      `[metadata]\nschema_version = "2.0.0"\n[logging]\nthreshold = "error"\n` +
      `[core]\nlisted = false\nprivate = false\n` +
      // It lists peers of loopback at this address.
      `[core.net]\nexternal_ip = "${bareHostOf(family)}"\n` +
      `[core.database]\ndriver = "sqlite3"\npath = "${join(folder, "db")}"\n` +
      `[[udp_trackers]]\nbind_address = "${hostOf(family)}:${port}"\n` +
      `[[http_trackers]]\nbind_address = "${hostOf(family)}:${port}"\n`,
  });
  return start("torrust", family, ["http", "udp"], () => [program], env);
};

const npm: StartProgram = async (family) => {
  const module = join(TOOLS, "bittorrent-tracker/node_modules/bittorrent-tracker/server.js");
  if (!existsSync(module)) return skipped("bittorrent-tracker");
  const node = Bun.which("node");
  if (node === null) return { absent: "there is no node" };
  return start("npm bittorrent-tracker", family, ["http", "udp", "ws"], async (port) => {
    const file = join(await makeFolder(), "server.mjs");
    const host = JSON.stringify(bareHostOf(family));
    await Bun.write(
      file,
      `import Server from ${JSON.stringify(module)};\n` +
        `const server = new Server({ udp: true, http: true, ws: true, stats: false });\n` +
        `server.on("warning", () => {});\n` +
        `server.listen(${port}, { http: ${host}, udp: "127.0.0.1", udp6: "::1" });\n`,
    );
    return [node, file];
  });
};

function versionIn(file: string): string {
  const path = join(TOOLS, file);
  return existsSync(path) ? (require(path) as { version: string }).version : "";
}

/** In the order of the table. */
export const TRACKERS: Tracker[] = [
  { name: "buntracker", version: "this one", programs: [buntracker] },
  { name: "opentracker", version: debianVersion("opentracker"), programs: [opentracker] },
  {
    name: "chihaya",
    version: "2.0.0-rc.2, its last release, by the Go module proxy",
    programs: [chihaya],
  },
  {
    name: "aquatic",
    version: "0.9.0, by cargo",
    programs: [aquatic("http"), aquatic("udp"), aquatic("ws")],
  },
  { name: "torrust", version: "3.0.0, by cargo", programs: [torrust] },
  {
    name: "npm",
    version:
      `bittorrent-tracker ` +
      `${versionIn("bittorrent-tracker/node_modules/bittorrent-tracker/package.json")}, by npm`,
    programs: [npm],
  },
];

function debianVersion(name: string): string {
  if (Bun.which("dpkg-query") === null) return "Debian";
  const asked = Bun.spawnSync(["dpkg-query", "-W", "-f", "${Version}", name]);
  return `${asked.stdout.toString()} of Debian`;
}
