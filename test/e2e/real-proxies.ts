/** The real proxies, with the files that we ship: only addresses are changed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "../until.ts";
import { freePort } from "./harness.ts";

const DIST = resolve(import.meta.dir, "../../dist");

/** The configuration of a proxy that listens at `port`, and the command that runs it. */
interface Proxy {
  config(port: number, tracker: number): string;
  command(file: string, folder: string): string[];
}

function replaced(file: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
      return text.replaceAll(from, to);
    },
    readFileSync(join(DIST, file), "utf8"),
  );
}

const CONFIGURED: Record<string, Proxy> = {
  nginx: {
    config: (port, tracker) => {
      const server = replaced("nginx/buntracker.conf", {
        "server 127.0.0.1:6969": `server 127.0.0.1:${tracker}`,
        "listen 80;": `listen 127.0.0.1:${port};`,
        "listen [::]:80;": "",
      });
      return `daemon off; pid nginx.pid; error_log stderr; events {} http { ${server} }`;
    },
    command: (file, folder) => ["nginx", "-p", folder, "-c", file],
  },
  haproxy: {
    config: (port, tracker) =>
      replaced("haproxy/haproxy.cfg", {
        "server local 127.0.0.1:6969": `server local 127.0.0.1:${tracker}`,
        "bind :80\n": `bind 127.0.0.1:${port}\n`,
        "bind :::80 v6only": "",
      }),
    command: (file) => ["haproxy", "-db", "-f", file],
  },
  caddy: {
    config: (port, tracker) => {
      const site = replaced("caddy/Caddyfile", {
        "http://tracker.example.org, https://tracker.example.org {": `http://127.0.0.1:${port} {`,
        "reverse_proxy 127.0.0.1:6969": `reverse_proxy 127.0.0.1:${tracker}`,
      });
      return `{\n\tadmin off\n\tauto_https off\n}\n${site}`;
    },
    command: (file) => ["caddy", "run", "--adapter", "caddyfile", "--config", file],
  },
};

/** The proxies whose files we ship. */
export const PROXIES = ["nginx", "haproxy", "caddy"] as const;

export const isInstalled = (name: string): boolean => Bun.which(name) !== null;

/** Starts the proxy in front of a tracker at this port; resolves once it passes requests on. */
export async function startProxy(name: (typeof PROXIES)[number], tracker: number) {
  const { config, command } = CONFIGURED[name];
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const port = freePort();
  const file = join(folder, "proxy.conf");
  writeFileSync(file, config(port, tracker));
  const env = { PATH: process.env["PATH"], HOME: folder };
  const stdio = ["ignore", "ignore", "ignore"] as const;
  const child = Bun.spawn(command(file, folder), { stdio: [...stdio], env });
  const health = () => fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
  const isHealthy = async (): Promise<boolean> => (await health())?.status === 200;
  const end = async (): Promise<void> => {
    child.kill();
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(isHealthy);
  } catch (error) {
    await end();
    throw error;
  }
  return { port, isHealthy, [Symbol.asyncDispose]: end };
}
