/** The configuration of NATS servers, and what starts several trackers with them. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { readConfig } from "../../src/config/config.ts";
import { NATS_SERVER } from "../cluster/nats.ts";
import { freePort, startTracker } from "../e2e/harness.ts";
import { until } from "../until.ts";

const ROOT = resolve(import.meta.dir, "../..");
const CONFIG = join(ROOT, "dist/nats/buntracker.conf");
const PASSWORD = "p0123456789";
const MINUTE = 60_000;

test("a server that is gone is noticed in seconds, and one user may use only the cluster", () => {
  const text = readFileSync(CONFIG, "utf8");
  for (const line of ['ping_interval: "2s"', "ping_max: 2", 'write_deadline: "5s"']) {
    expect(text).toContain(`\n${line}\n`);
  }
  expect(text.match(/^ {6}user: /gm)).toHaveLength(1);
  expect(text).toContain('{ publish: "buntracker.default.>", subscribe: "buntracker.default.>" }');
});

test.each([
  ["192.168.5.7", ["192.168.5.7", "192.168.5.9", "192.168.5.2"]],
  ["10.0.0.3", ["10.0.0.2", "10.0.0.3", "10.0.0.1"]],
])("the guide writes the addresses of the reader into it: own %s of %p", async (own, all) => {
  const guide = readFileSync(join(ROOT, "docs/cluster.md"), "utf8");
  const [edit] = /^ {3}sudo sed -i -f - [^]*?^ {3}END$/m.exec(guide)!;
  const folder = mkdtempSync(join(tmpdir(), "buntracker-guide-"));
  try {
    const file = join(folder, "conf");
    copyFileSync(CONFIG, file);
    writeFileSync(join(folder, "nats-password"), "p1\n");
    writeFileSync(join(folder, "route-password"), "p2\n");
    const typed = edit.replaceAll(/^ {3}/gm, "").replace("/etc/nats-server.conf", file);
    const script = `sudo() { "$@"; }\nown=${own}\nset -- ${all.join(" ")}\n${typed}\n`;
    expect(await Bun.spawn(["bash", "-ec", script], { cwd: folder }).exited).toBe(0);
    const text = readFileSync(file, "utf8");
    expect(text).toContain(`\n  listen: "${own}:6222"\n`);
    const routes = [...text.matchAll(/^ {4}"nats:\/\/server:p2@(.*):6222"$/gm)];
    expect(routes.map(([, address]) => address)).toEqual(all);
    expect(text).not.toMatch(/^[^#]*\$NATS/m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe.if(NATS_SERVER !== null)("nats-server, where it is installed,", () => {
  const look = (env: Record<string, string>, file = CONFIG) =>
    Bun.spawnSync([NATS_SERVER!, "-t", "-c", file], { env, stderr: "pipe", stdout: "pipe" });

  test("takes the configuration, but none without a password", () => {
    expect(look({ NATS_PASSWORD: PASSWORD }).exitCode).toBe(0);
    expect(look({}).exitCode).not.toBe(0);
  });

  test("takes a password that begins with a digit, where the variable holds quotes", () => {
    expect(look({ NATS_PASSWORD: '"0123"' }).exitCode).toBe(0);
  });

  test(
    "lets in the user with the password, and nobody else",
    async () => {
      const port = freePort();
      const command = [NATS_SERVER!, "-c", CONFIG, "-p", String(port)];
      const env = { NATS_PASSWORD: PASSWORD };
      const nats = Bun.spawn(command, { env, stdio: ["ignore", "ignore", "ignore"] });
      try {
        const url = `nats://127.0.0.1:${port}`;
        const login = { TRACKER_CLUSTER_URL: url, TRACKER_CLUSTER_USER: "buntracker" };
        await using right = await startTracker({
          env: { ...login, TRACKER_CLUSTER_PASSWORD: PASSWORD },
        });
        await using wrong = await startTracker({
          env: { ...login, TRACKER_CLUSTER_PASSWORD: "another1234" },
        });
        await until(() => right.stderr.includes("connected to the cluster"), 20);
        await until(() => wrong.stderr.includes("the cluster cannot be reached"), 20);
        await Bun.sleep(500);
        expect(right.stderr).not.toMatch(/cannot be reached.*Permission/i);
        expect(wrong.stderr).not.toContain("connected to the cluster");
      } finally {
        nats.kill("SIGKILL");
        await nats.exited;
      }
    },
    MINUTE,
  );

  test(
    "is started three times with three trackers by one command, and ended by one signal",
    async () => {
      const ports = { port: 20_000 + Math.floor(Math.random() * 8000), nats: 0 };
      ports.nats = ports.port + 1000;
      const command = [process.execPath, join(ROOT, "scripts/cluster.ts")];
      const options = ["--port", String(ports.port), "--nats-port", String(ports.nats)];
      const cluster = Bun.spawn([...command, ...options], { stdout: "pipe", stderr: "inherit" });
      const shown = new Response(cluster.stdout).text();
      const heard = async (at: number): Promise<number> => {
        const answer = await fetch(`http://127.0.0.1:${ports.port + 100 * at + 1}/cluster`);
        return ((await answer.json()) as { heard: number }).heard;
      };
      const all = () => Promise.all([0, 1, 2].map((at) => heard(at).catch(() => -1)));
      try {
        await until(async () => (await all()).every((count) => count === 2), 50);
      } finally {
        cluster.kill("SIGINT");
      }
      expect(await cluster.exited).toBe(0);
      expect((await shown).match(/│ ended: /g)).toHaveLength(6);
    },
    MINUTE,
  );
});

describe.if(NATS_SERVER !== null)("make cluster, where nats-server is installed,", () => {
  const begin = () => {
    const port = 20_000 + Math.floor(Math.random() * 8000);
    const nats = port + 1000;
    const options = ["--port", String(port), "--nats-port", String(nats)];
    const start = () =>
      Bun.spawn([process.execPath, join(ROOT, "scripts/cluster.ts"), ...options], {
        ...{ stdout: "pipe", stderr: "pipe" },
      });
    return { port, nats, start };
  };

  test.each([
    ["a NATS server", "tcp", ({ nats }: { nats: number }) => nats, "stop nats-server"],
    ["a route of NATS", "tcp", ({ nats }: { nats: number }) => nats + 2002, "stop nats-server"],
    ["a tracker", "udp", ({ port }: { port: number }) => port + 200, "stop buntracker"],
    [
      "a page of the operator",
      "tcp",
      ({ port }: { port: number }) => port + 101,
      "stop buntracker",
    ],
  ])("starts nothing if the port of %s is taken", async (_, protocol, of, remedy) => {
    const cluster = begin();
    const port = of(cluster);
    const place = { hostname: "127.0.0.1", port };
    const taken =
      protocol === "udp"
        ? await Bun.udpSocket(place)
        : Bun.listen({ ...place, socket: { data() {} } });
    try {
      const child = cluster.start();
      const stderr = await new Response(child.stderr).text();
      expect([await child.exited, await new Response(child.stdout).text()]).toEqual([1, ""]);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(stderr).toStartWith(`another program has 127.0.0.1:${port}, `);
      expect(stderr).toContain(remedy);
    } finally {
      if ("stop" in taken) taken.stop(true);
      else taken.close();
    }
  });

  test(
    "ends all with exit code 1 when one ends by itself, and goes on when one is killed",
    async () => {
      const cluster = begin();
      const child = cluster.start();
      let shown = "";
      const read = (async () => {
        for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) shown += text;
      })();
      const stderr = new Response(child.stderr).text();
      // NATS begins each line with its process id.
      const pidOf = (name: string) =>
        Number(new RegExp(`^${name} │ \\[(\\d+)\\]`, "m").exec(shown)![1]);
      try {
        await until(() => shown.match(/connected to the cluster/g)?.length === 3, 50);
        process.kill(pidOf("nats a"), "SIGTERM");
        await until(() => shown.includes("nats a │ ended: "), 20);
        await until(() => shown.match(/connected to the cluster/g)?.length === 4, 20);
        expect(child.exitCode).toBeNull();
        // On this signal a program in Go ends as by a bug: with a trace, and exit code 2.
        process.kill(pidOf("nats b"), "SIGQUIT");
        await until(() => child.exitCode !== null, 20);
      } finally {
        child.kill("SIGINT");
      }
      expect([await child.exited, await stderr, await read]).toEqual([
        ...[1, "nats b has ended by itself: exit code 2; none is left\n", undefined],
      ]);
      expect(shown.match(/│ ended: /g)).toHaveLength(6);
    },
    MINUTE,
  );
});

interface Service {
  environment: Record<string, string>;
  network_mode: string;
  command?: string[];
}

test("the compose file has three trackers and three servers, with settings that are right", () => {
  const text = readFileSync(join(ROOT, "dist/docker/cluster.yaml"), "utf8");
  const { services } = Bun.YAML.parse(text) as {
    services: Record<string, Service>;
  };
  expect(Object.keys(services).map((name) => name.replace(/-.*/, ""))).toEqual([
    ...["tracker", "tracker", "tracker"],
    ...["nats", "nats", "nats"],
  ]);
  const ports = new Set<number>();
  const servers: Pick<Service, "environment" | "command">[] = [];
  for (const [name, { environment, network_mode: network, command }] of Object.entries(services)) {
    expect(network).toBe("host");
    if (name.startsWith("nats")) {
      servers.push({ environment, command: command! });
      continue;
    }
    const env = Object.fromEntries(
      Object.entries(environment).filter(([variable]) => variable.startsWith("TRACKER_")),
    );
    const read = readConfig({ ...env, TRACKER_CLUSTER_PASSWORD: PASSWORD });
    expect("problems" in read && read.problems).toBe(false);
    if (!("config" in read)) continue;
    expect(read.config.clusterUrls).toHaveLength(3);
    ports.add(read.config.clusterUrls[0].port);
  }
  expect(ports.size).toBe(3);
  expect(servers.map(({ environment }) => Object.keys(environment).sort())).toEqual(
    Array(3).fill(["NATS_PASSWORD", "NATS_ROUTE", "NATS_ROUTE_LISTEN", "NATS_ROUTE_PASSWORD"]),
  );
  // Each names the next, and every user of a machine can read its command lines.
  const of = (variable: string) =>
    servers.map(({ environment }) => /127\.0\.0\.1:\d+/.exec(environment[variable])![0]);
  const listening = of("NATS_ROUTE_LISTEN");
  expect(of("NATS_ROUTE")).toEqual([...listening.slice(1), listening[0]]);
  expect(JSON.stringify(servers.map(({ command }) => command))).not.toMatch(/PASSWORD|route/);
});
