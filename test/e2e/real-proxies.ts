/** The real proxies, with the files that we ship: only addresses are changed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "../until.ts";
import { freePort } from "./harness.ts";

const DIST = resolve(import.meta.dir, "../../dist");

/** The files of a certificate; `both` holds the certificate and the key. */
interface Certificate {
  cert: string;
  key: string;
  both: string;
}

/** The configuration of a proxy that listens at `port`, and the command that runs it. */
interface Proxy {
  config(port: number, tracker: number, tls?: Certificate): string;
  command(file: string, folder: string): string[];
}

/** How a proxy is started, where that is not the usual way. */
interface ProxyOptions {
  /** It speaks TLS with this certificate: what the file we ship says in a comment. */
  tls?: { cert: string; key: string };
  /** Puts a command before its command. */
  run?: (command: string[]) => string[];
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
    config: (port, tracker, tls) => {
      const server = replaced("nginx/buntracker.conf", {
        "server 127.0.0.1:6969": `server 127.0.0.1:${tracker}`,
        "listen 80;": tls ? "" : `listen 127.0.0.1:${port};`,
        "listen [::]:80;": "",
        ...(tls && {
          "#   listen 443 ssl;": `listen 127.0.0.1:${port} ssl;`,
          "#   ssl_": "ssl_",
          "/etc/ssl/tracker.example.org.pem": tls.cert,
          "/etc/ssl/private/tracker.example.org.key": tls.key,
        }),
      });
      return `daemon off; pid nginx.pid; error_log stderr; events {} http { ${server} }`;
    },
    command: (file, folder) => ["nginx", "-p", folder, "-c", file],
  },
  haproxy: {
    config: (port, tracker, tls) =>
      replaced("haproxy/haproxy.cfg", {
        "server local 127.0.0.1:6969": `server local 127.0.0.1:${tracker}`,
        "bind :80\n": tls ? "\n" : `bind 127.0.0.1:${port}\n`,
        "bind :::80 v6only": "",
        ...(tls && {
          "# For TLS: bind :443 ": `bind 127.0.0.1:${port} `,
          "/etc/haproxy/tracker.example.org.pem": tls.both,
        }),
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
export async function startProxy(
  name: (typeof PROXIES)[number],
  tracker: number,
  { tls, run = (command) => command }: ProxyOptions = {},
) {
  const { config, command } = CONFIGURED[name];
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const port = freePort();
  const file = join(folder, "proxy.conf");
  const both = join(folder, "both.pem");
  if (tls) writeFileSync(both, readFileSync(tls.cert, "utf8") + readFileSync(tls.key, "utf8"));
  writeFileSync(file, config(port, tracker, tls && { ...tls, both }));
  const env = { PATH: process.env["PATH"], HOME: folder };
  const stdio = ["ignore", "ignore", "ignore"] as const;
  const child = Bun.spawn(run(command(file, folder)), { stdio: [...stdio], env });
  const url = `${tls ? "https" : "http"}://127.0.0.1:${port}/health`;
  const health = () => fetch(url, { tls: { rejectUnauthorized: false } }).catch(() => undefined);
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
  return { port, pid: child.pid, isHealthy, [Symbol.asyncDispose]: end };
}
