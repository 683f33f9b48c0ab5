/**
 * NATS servers of a cluster let in only each other, with what is shipped: a server that another
 * person starts gets no route. Skipped, and said so, without `nats-server` or `openssl`.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { NATS_SERVER } from "../cluster/nats.ts";
import { freePort } from "../e2e/harness.ts";
import { makeCertificate } from "../http/openssl.ts";
import { until } from "../until.ts";

const SHIPPED = resolve(import.meta.dir, "../../dist/nats");
const [OWN, OTHER] = ["127.0.0.1", "127.0.0.2"];
/** Begins with a digit, which NATS takes only in quotes. */
const PASSWORD = "0123456789abcdef";
/** A server tries again after a second. */
const REFUSED_MILLISECONDS = 1500;
const PAUSE_MILLISECONDS = 100;

interface Server extends AsyncDisposable {
  /** How many other servers it is connected to. */
  routes(): Promise<number>;
}

function start(config: string, env: Record<string, string> = {}): Server {
  const monitor = freePort();
  const own = ["-a", OWN, "-p", String(freePort()), "-m", String(monitor)];
  const child = Bun.spawn([NATS_SERVER!, "-c", config, ...own], {
    env: { NATS_PASSWORD: `"${PASSWORD}"`, ...env },
    stdio: ["ignore", "ignore", "ignore"],
  });
  return {
    async routes() {
      const answer = await fetch(`http://127.0.0.1:${monitor}/routez`).catch(() => undefined);
      return answer === undefined
        ? -1
        : ((await answer.json()) as { num_routes: number }).num_routes;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-routes-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Expects that neither a server with `config` nor the one it asks has a route to the other. */
async function expectRefused(server: Server, config: string): Promise<void> {
  await using stranger = start(config);
  await until(async () => (await stranger.routes()) >= 0, PAUSE_MILLISECONDS);
  await Bun.sleep(REFUSED_MILLISECONDS);
  expect([await server.routes(), await stranger.routes()]).toEqual([0, 0]);
}

describe.skipIf(NATS_SERVER === null)("a server of the trial on loopback (nats-server)", () => {
  const config = join(SHIPPED, "loopback.conf");
  const variables = (own: number, other: number) => ({
    NATS_ROUTE_PASSWORD: `"${PASSWORD}"`,
    NATS_ROUTE_LISTEN: `"${OWN}:${own}"`,
    NATS_ROUTE: `"nats://server:${PASSWORD}@${OWN}:${other}"`,
  });

  test("is joined by the others", async () => {
    const [one, two] = [freePort(), freePort()];
    await using first = start(config, variables(one, two));
    await using second = start(config, variables(two, one));
    // From 2.10 on, several connections to a server count.
    await until(
      async () => (await first.routes()) > 0 && (await second.routes()) > 0,
      PAUSE_MILLISECONDS,
    );
  }, 60_000);

  test("is not joined without the password of servers, or with that of trackers", async () => {
    await inFolder(async (folder) => {
      const route = freePort();
      const env = variables(route, freePort());
      await using server = start(config, { ...env, NATS_PASSWORD: `"${PASSWORD}-of-trackers"` });
      for (const login of ["", `buntracker:${PASSWORD}-of-trackers@`, "server:another@"]) {
        const stranger = join(folder, "stranger.conf");
        const to = `routes: ["nats://${login}${OWN}:${route}"]`;
        writeFileSync(stranger, `cluster { name: "buntracker", listen: "${OWN}:-1", ${to} }\n`);
        await expectRefused(server, stranger);
      }
    });
  }, 60_000);
});

/** The section `cluster` of buntracker.conf for the server at `own`, with files in `folder`. */
function section(folder: string, own: string, port: number): string {
  const text = readFileSync(join(SHIPPED, "buntracker.conf"), "utf8");
  const commented = text.slice(text.indexOf("# cluster {"));
  return `${text}\n${commented.replaceAll(/^# /gm, "")}`
    .replaceAll(/^(\s*listen: )"10\.0\.0\.1:6222"/gm, `$1"${own}:${port}"`)
    .replaceAll(/@10\.0\.0\.(\d):6222/g, `@127.0.0.$1:${port}`)
    .replaceAll('"/etc/nats/', `"${folder}/`)
    .replaceAll("$NATS_ROUTE_PASSWORD", `p${PASSWORD}`);
}

/** Makes a CA and two certificates that it has signed for this machine, as docs/cluster.md does. */
function makeFiles(folder: string): void {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const openssl = (...args: string[]): void => {
    const options = { cwd: folder, stderr: "pipe" } as const;
    const { exitCode, stderr } = Bun.spawnSync(["openssl", "req", "-x509", ...args], options);
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  const names = ["-subj", "/CN=server", "-addext", `subjectAltName=IP:${OWN},IP:${OTHER}`];
  openssl(...curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=buntracker");
  const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-extensions", "usr_cert"];
  openssl(...curve, ...signed, "-keyout", "server.key", "-out", "server.crt", ...names);
}

const isPossible = NATS_SERVER !== null && makeCertificate.possible;

describe.skipIf(!isPossible || process.platform !== "linux")(
  "a server with the section cluster of buntracker.conf (nats-server, openssl)",
  () => {
    test("is joined by one with its certificate and password, and by no other", async () => {
      await inFolder(async (folder) => {
        makeFiles(folder);
        const port = freePort();
        const file = (name: string, text: string): string => {
          const path = join(folder, name);
          writeFileSync(path, text);
          return path;
        };
        await using server = start(file("own.conf", section(folder, OWN, port)));
        const right = section(folder, OTHER, port);

        const foreign = mkdtempSync(join(folder, "foreign-"));
        makeFiles(foreign);
        const pretended = right.replaceAll(`"${folder}/`, `"${foreign}/`);
        const withoutTls = right.replace(/^ {2}tls \{[^}]*\}/m, "");
        const wrong = right.replaceAll(`p${PASSWORD}`, "another");
        for (const text of [pretended, withoutTls, wrong]) {
          expect(text).not.toBe(right);
          await expectRefused(server, file("stranger.conf", text));
        }

        await using other = start(file("other.conf", right));
        await until(
          async () => (await server.routes()) > 0 && (await other.routes()) > 0,
          PAUSE_MILLISECONDS,
        );
      });
    }, 60_000);
  },
);
