/** The packaging files: they parse, they agree with each other and with the program. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { archiveName, companions, programName, TARGETS } from "../../scripts/release.ts";
import { descriptions } from "../../src/config/config.ts";
import { EXIT_CONFIG } from "../../src/constants.ts";
import { STORE_OF_UNIT } from "../../src/start/kept-sockets.ts";

const ROOT = resolve(import.meta.dir, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

const packaged = [...new Bun.Glob("dist/**").scanSync(ROOT)].filter(
  (path) => !path.startsWith("dist/bin/"),
);

/** The values of a key of the unit, in order; a key may be repeated. */
function unit(key: string): string[] {
  const lines = read("dist/systemd/buntracker.service").split("\n");
  return lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.split(/=(.*)/)[1]);
}

describe("a release", () => {
  test("is built for the same targets by make and by the script that packs", () => {
    const makefile = read("Makefile").replaceAll("\\\n", " ");
    const targets = /^TARGETS := (.*)$/m.exec(makefile)![1].split(/\s+/);
    expect(targets).toEqual([...TARGETS]);
  });

  test("is named for version and target, as tar.xz, and for Windows as zip", () => {
    expect(archiveName("linux-x64-musl", "1.2.3")).toBe("buntracker-1.2.3-linux-x64-musl.tar.xz");
    expect(archiveName("windows-x64", "1.2.3")).toBe("buntracker-1.2.3-windows-x64.zip");
    expect(programName("windows-x64")).toBe("buntracker.exe");
    expect(programName("freebsd-arm64")).toBe("buntracker");
  });

  test("holds README, licence and the files of its system, all of which exist", () => {
    for (const target of TARGETS) {
      const files = companions(target);
      expect(files.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
      expect(files).toContain("README.md");
      expect(files).toContain("LICENSE");
      const unixes = target.startsWith("windows") ? 0 : 1;
      expect(files.filter((path) => path.startsWith("dist/man/"))).toHaveLength(unixes);
      expect(files.includes("dist/systemd/buntracker.service")).toBe(target.startsWith("linux"));
      expect(files.includes("dist/freebsd/buntracker")).toBe(target.startsWith("freebsd"));
    }
  });

  test("holds the files its documents link to, except sources and other systems", () => {
    const documents = companions("linux-x64").filter((path) => path.endsWith(".md"));
    expect(documents).toContain("docs/settings.md");
    const links = documents.flatMap((path) =>
      [...read(path).matchAll(/(?:\]\(|<img src=")([\w./-]+)[)#"]/g)].map(([, link]) =>
        join(dirname(path), link),
      ),
    );
    expect(links).toContain("docs/page.png");
    const others = /^(src|test|scripts)\/(?!bench\/results\/compare)|^dist\/(freebsd|sysctl)\//;
    const needed = links.filter((link) => !others.test(link));
    for (const target of TARGETS) {
      expect(companions(target)).toEqual(expect.arrayContaining(needed));
    }
  });

  test("leaves out no packaging file except those that build it, and packages", () => {
    const held = new Set(TARGETS.flatMap(companions));
    const builders = /^dist\/(docker\/Containerfile\.build$|packages\/)/;
    expect(packaged.filter((path) => !held.has(path) && !builders.test(path))).toEqual([]);
  });

  test("compiles a binary in one way only", () => {
    expect(read("Makefile").match(/build --compile/g)).toHaveLength(1);
  });
});

test("no packaging file names a variable that is not a setting", () => {
  const known = descriptions().flatMap(({ variable }) => [variable, `${variable}_FILE`]);
  for (const path of packaged) {
    const named = read(path).match(/TRACKER_[A-Z_]*[A-Z]/g) ?? [];
    expect(named.filter((name) => !known.includes(name)).map((name) => `${path}: ${name}`)).toEqual(
      [],
    );
  }
});

describe("the systemd unit", () => {
  test("reports readiness and has a watchdog", () => {
    expect(unit("Type")).toEqual(["notify"]);
    expect(unit("NotifyAccess")).toEqual(["main"]);
    expect(Number(unit("WatchdogSec"))).toBeGreaterThan(0);
  });

  test("allows memory that is writable and executable, which the compiler needs", () => {
    expect(unit("MemoryDenyWriteExecute")).toEqual([]);
  });

  test("keeps the environment from unlocking the runtime inside", () => {
    expect(unit("UnsetEnvironment").flatMap((line) => line.split(" "))).toEqual([
      "BUN_BE_BUN",
      "BUN_OPTIONS",
      "NODE_OPTIONS",
      "BUN_INSPECT",
      "BUN_INSPECT_CONNECT_TO",
      "BUN_INSPECT_NOTIFY",
      "BUN_INSPECT_PRELOAD",
      "LD_PRELOAD",
      "LD_AUDIT",
      "LD_LIBRARY_PATH",
    ]);
  });

  test("writes no core dump, which would hold the token and the keys", () => {
    expect(unit("LimitCORE")).toEqual(["0"]);
  });

  test("does not restart with wrong settings", () => {
    expect(unit("Restart")).toEqual(["on-failure"]);
    expect(unit("RestartPreventExitStatus")).toEqual([String(EXIT_CONFIG)]);
  });

  test("keeps sockets, and a folder in memory, over a restart that takes its time", () => {
    expect(unit("FileDescriptorStoreMax")).toEqual([String(STORE_OF_UNIT)]);
    expect(unit("FileDescriptorStorePreserve")).toEqual([]);
    expect(unit("RuntimeDirectory")).toEqual(["buntracker"]);
    expect(unit("RuntimeDirectoryPreserve")).toEqual(["restart"]);
    expect(unit("TimeoutStartSec")).toEqual(["5min"]);
    expect(unit("TimeoutStopSec")).toEqual(["60"]);
  });

  test("is restarted by an upgrade, never stopped and started: a stop closes the sockets", () => {
    const upgrade = /^## Upgrade$.*?^## /ms.exec(read("docs/operating.md"))![0];
    expect(upgrade).toMatch(/^sudo systemctl restart buntracker$/m);
    // The change over to a .socket unit is the one stop: the socket's port must be free for it.
    const changeOver = /^\*\*A `\.socket` unit\*\* .*?(?=^\*\*Without systemd\*\*)/ms;
    expect(read("docs/operating.md")).toMatch(changeOver);
    for (const path of [...packaged, "docs/operating.md", "README.md", "scripts/release.ts"]) {
      // Where the package goes, so does the process.
      if (/^dist\/packages\/(rpm\/preun|arch\/pre_remove)$/.test(path)) continue;
      const text = read(path).replace(changeOver, "");
      expect(`${path} ${/systemctl (stop|start|disable)\b/.exec(text)?.[0]}`).toBe(
        `${path} undefined`,
      );
    }
  });

  test("lets the tracker read the kernel's drops, and notify systemd", () => {
    expect(unit("ProcSubset")).toEqual([]);
    expect(unit("RestrictAddressFamilies")[0].split(" ")).toContain("AF_UNIX");
    expect(unit("SystemCallFilter")).toEqual(["@system-service", "~@privileged @resources"]);
  });

  test("gives no right except that to low ports", () => {
    expect(unit("CapabilityBoundingSet")).toEqual(["CAP_NET_BIND_SERVICE"]);
    expect(unit("DynamicUser")).toEqual(["yes"]);
    expect(unit("ProtectSystem")).toEqual(["strict"]);
    expect(unit("NoNewPrivileges")).toEqual(["yes"]);
  });
});

describe("the rc script of FreeBSD", () => {
  const script = read("dist/freebsd/buntracker");

  test("is a valid shell script", () => {
    expect(statSync(join(ROOT, "dist/freebsd/buntracker")).mode & 0o111).toBe(0o111);
    const shell = Bun.spawnSync(["sh", "-n", join(ROOT, "dist/freebsd/buntracker")]);
    expect(shell.stderr.toString()).toBe("");
    expect(shell.exitCode).toBe(0);
  });

  test("names its place in the order of the start", () => {
    expect(script).toMatch(/^# PROVIDE: buntracker$/m);
    expect(script).toMatch(/^# REQUIRE: NETWORKING\b/m);
    expect(script).toMatch(/^# KEYWORD: shutdown$/m);
    expect(script.trimEnd()).toEndWith('run_rc_command "$1"');
  });

  test("keeps the environment from unlocking the runtime inside", () => {
    const [, loop] = /^(for variable in .*?^unset variable .*?$)/ms.exec(script)!;
    const env = {
      PATH: "/usr/bin:/bin",
      BUN_INSPECT: "1",
      BUN_JSC_useJIT: "0",
      BUN_OPTIONS: "a b",
    };
    const more = { BUN_BE_BUN: "1", NODE_OPTIONS: "--inspect", TRACKER_INTERVAL: "1m" };
    const shell = Bun.spawnSync(["sh", "-euc", `${loop}\nenv`], { env: { ...env, ...more } });
    expect(shell.stderr.toString()).toBe("");
    expect(shell.stdout.toString()).not.toMatch(/^(BUN|NODE)_/m);
    expect(shell.stdout.toString()).toContain("TRACKER_INTERVAL=1m");
  });

  test("explains every variable of rc.conf that it reads, with its default", () => {
    const defaults = [...script.matchAll(/^: "\$\{(buntracker_\w+):=(.*)\}"$/gm)];
    expect(defaults).toHaveLength(6);
    for (const [, name, value] of defaults) expect(script).toContain(`#   ${name}="${value}"`);
  });
});

describe("the container files", () => {
  test("run the tracker by user id, and check it with its health verb", () => {
    const image = read("dist/docker/Containerfile");
    expect(image).toMatch(/^USER \d+:\d+$/m);
    expect(image).toContain('CMD ["/usr/bin/buntracker", "health"]');
    expect(image).toMatch(/^ENTRYPOINT \["\/usr\/bin\/buntracker"\]$/m);
    expect(image).not.toMatch(/^RUN\b/m);
  });

  test("use the network of the host", () => {
    const compose = Bun.YAML.parse(read("dist/docker/compose.yaml")) as {
      services: { buntracker: Record<string, unknown> };
    };
    expect(compose.services.buntracker["network_mode"]).toBe("host");
    expect(compose.services.buntracker["ports"]).toBeUndefined();
  });
});

describe("monitoring of the tracker", () => {
  const rules = Bun.YAML.parse(read("dist/prometheus/buntracker.rules.yml")) as {
    groups: { rules: { alert: string; expr: string; annotations: object }[] }[];
  };
  const dashboard = JSON.parse(read("dist/grafana/buntracker.json")) as {
    __inputs: { name: string }[];
    panels: {
      id: number;
      type: string;
      title: string;
      gridPos: { x: number; y: number; w: number; h: number };
      targets?: { expr: string }[];
    }[];
    templating: { list: { name: string }[] };
  };

  test("alerts name the problem and the remedy", () => {
    const alerts = rules.groups.flatMap((group) => group.rules);
    expect(alerts.length).toBeGreaterThan(5);
    for (const { annotations } of alerts) {
      expect(Object.keys(annotations)).toEqual(["summary", "description"]);
    }
  });

  test("what the alerts look at is in the dashboard, and no two panels lie on each other", () => {
    const metrics = (text: string): string[] => text.match(/\b(tracker|process)_[a-z_]+\b/g) ?? [];
    const shown = metrics(JSON.stringify(dashboard.panels));
    const watched = rules.groups.flatMap((group) =>
      group.rules.flatMap(({ expr }) => metrics(expr)),
    );
    expect(watched.filter((name) => !shown.includes(name))).toEqual([]);
    const places = dashboard.panels.map(({ gridPos }) => gridPos);
    for (const [at, { x, y, w, h }] of places.entries()) {
      const lie = places.slice(at + 1).filter((one) => {
        return one.x < x + w && x < one.x + one.w && one.y < y + h && y < one.y + one.h;
      });
      expect(lie, dashboard.panels[at]!.title).toEqual([]);
    }
  });

  test("the dashboard can be imported anywhere, and shows one instance or all", () => {
    expect(dashboard.__inputs.map(({ name }) => name)).toEqual(["DS_PROMETHEUS"]);
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(["instance"]);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { type, title, targets = [] } of dashboard.panels) {
      if (type === "row") continue;
      expect(targets.length, title).toBeGreaterThan(0);
      for (const { expr } of targets) expect(expr, title).toContain('instance=~"$instance"');
    }
  });
});

test.each([
  ["dist/nginx/buntracker.conf", "proxy_set_header X-Forwarded-Proto $scheme;"],
  ["dist/nginx/buntracker.conf", "proxy_set_header Host $host:$server_port;"],
  ["dist/haproxy/haproxy.cfg", "http-request set-header X-Forwarded-Proto https if { ssl_fc }"],
])("%s tells the scheme and the port, of which the page makes the proxy's URL", (path, line) => {
  const lines = read(path).split("\n");
  expect(lines.map((text) => text.trim())).toContain(line);
});

test.each([
  ["dist/nginx/buntracker.conf", "proxy_set_header X-Forwarded-For $remote_addr;"],
  ["dist/haproxy/haproxy.cfg", "http-request set-header X-Forwarded-For %[src]"],
  ["dist/caddy/Caddyfile", "reverse_proxy 127.0.0.1:6969"],
])("%s passes the client's address on, and not what the client says of itself", (path, line) => {
  const lines = read(path)
    .split("\n")
    .map((text) => text.trim());
  expect(lines).toContain(line);
  expect(lines.filter((text) => /^[^#]*(forwardfor|\$proxy_add_x)/.test(text))).toEqual([]);
});
