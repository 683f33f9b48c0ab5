/**
 * WebSockets through the real proxies, with the files that we ship: only addresses are changed.
 * Caddy passes upgrades on without being told.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "bun:test";
import { until } from "../until.ts";
import { freePort, startTracker } from "./harness.ts";
import { WsClient } from "./ws-client.ts";

const DIST = resolve(import.meta.dir, "../../dist");

/** The configuration of a proxy that listens at `port`, and the command that runs it. */
interface Proxy {
  config(port: number, tracker: number): string;
  command(file: string, folder: string): string[];
}

function replaced(file: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce(
    (text, [from, to]) => {
      expect(text).toContain(from);
      return text.replaceAll(from, to);
    },
    readFileSync(join(DIST, file), "utf8"),
  );
}

const PROXIES: Record<string, Proxy> = {
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
};

for (const [name, { config, command }] of Object.entries(PROXIES)) {
  test.if(Bun.which(name) !== null)(
    `${name} lets the upgrade through, and names the client`,
    async () => {
      await using tracker = await startTracker({ env: { TRACKER_TRUSTED_PROXIES: "127.0.0.1" } });
      const folder = mkdtempSync(join(tmpdir(), `${name}-`));
      const port = freePort();
      const file = join(folder, "proxy.conf");
      writeFileSync(file, config(port, tracker.port));
      const proxy = Bun.spawn(command(file, folder), { stdio: ["ignore", "ignore", "ignore"] });
      try {
        const health = () => fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
        await until(async () => (await health())?.status === 200);
        const url = `ws://127.0.0.1:${port}/announce`;
        const client = await WsClient.open(url, "-WW0208-aaaaaaaaaaaa");
        expect(await client.announce({ left: 0 })).toMatchObject({ complete: 1, incomplete: 0 });
        expect(await client.announce({ event: "stopped" })).toMatchObject({ complete: 0 });
        client.close();
        await until(() => client.closeCode !== undefined);
        expect((await health())!.status).toBe(200);
      } finally {
        proxy.kill();
        await proxy.exited;
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
}
