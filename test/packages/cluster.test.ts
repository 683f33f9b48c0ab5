/**
 * The guide to three trackers on three machines, docs/cluster.md: its commands are run word for
 * word on the machine of machine.sh, with Debian's `nats-server` and the package of the tracker.
 *
 * This machine has all three addresses, which are others than those of the guide, as those of most
 * readers are. It follows the guide as the first; a server with the files that the guide makes for
 * the second joins it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "../until.ts";
import { packageOf, PACKAGES, rightsOf, run, SETTINGS_FILE, untilReady } from "./installed.ts";

const GUIDE = resolve(import.meta.dir, "../../docs/cluster.md");
const SECTION = /^## Three trackers on three machines\n([^]*?)^## /m;
/** The commands of the guide, which stand in its list. */
const COMMANDS = /^ {3}```sh\n([^]*?)^ {3}```$/gm;
const [FIRST, SECOND, THIRD] = ["10.7.0.5", "10.7.0.9", "10.7.0.2"];
const PAUSE_MILLISECONDS = 200;
const CONFIG = "/etc/nats-server.conf";

/** Each block of commands, as a person types it. */
function blocks(): string[] {
  const [, section] = SECTION.exec(readFileSync(GUIDE, "utf8"))!;
  return [...section.matchAll(COMMANDS)].map(([, text]) =>
    text
      .replaceAll(/^ {3}/gm, "")
      .replace(/^own=10.0.0.1$/m, `own=${FIRST}`)
      .replace(/^set -- 10.0.0.1 10.0.0.2 10.0.0.3$/m, `set -- ${FIRST} ${SECOND} ${THIRD}`),
  );
}

const hasNats = Bun.which("nats-server", { PATH: "/usr/sbin" }) !== null;

describe.skipIf(PACKAGES === undefined || !hasNats)("the guide to clusters (nats-server)", () => {
  const home = PACKAGES === undefined ? "" : mkdtempSync(join(tmpdir(), "guide-"));
  const typed: string[] = [];
  // The tests run as root, and one shell of a person does all steps.
  const type = (commands: string): Promise<string> => {
    typed.push(commands);
    const script = `cd ${home}\nsudo() { "$@"; }\n${typed.join("")}`;
    return run("bash", "-ec", script);
  };

  beforeAll(async () => {
    for (const at of [FIRST, SECOND, THIRD]) {
      await run("ip", "address", "add", `${at}/32`, "dev", "lo");
    }
    await run("dpkg", "--force-confold", "--install", packageOf("now", "_amd64.deb"));
    await untilReady();
  });

  afterAll(async () => {
    await run("systemctl", "stop", "nats-server");
    await run("dpkg", "--purge", "buntracker");
    for (const at of [FIRST, SECOND, THIRD]) {
      await run("ip", "address", "del", `${at}/32`, "dev", "lo");
    }
  });

  test("sets up server and tracker, which is let in", async () => {
    const all = blocks();
    expect(all).toHaveLength(3);
    const said = await type(all.join(""));
    expect(said).toContain("nats://127.0.0.1:4222 answers without TLS, the login is right");
    await untilReady();
    const asked = `set -a; . ${SETTINGS_FILE}; exec buntracker cluster`;
    await until(
      async () => (await run("sh", "-c", asked)).includes("by 127.0.0.1:4222"),
      PAUSE_MILLISECONDS,
    );
  });

  test("is told by check if the tracker may not read the password", async () => {
    const password = "/etc/buntracker/nats-password";
    const check = `set -a; . ${SETTINGS_FILE}; exec buntracker check`;
    expect(await run("sh", "-c", check)).not.toContain("cannot read");
    await run("chmod", "600", password);
    expect(await run("sh", "-c", check)).toContain(
      `the service's user "buntracker" cannot read TRACKER_CLUSTER_PASSWORD_FILE, ${password}: ` +
        "let its group read it",
    );
    await run("chmod", "640", password);
  });

  test("lets only the services read the secrets", async () => {
    expect(await rightsOf(CONFIG)).toBe("root:nats 640");
    expect(await rightsOf("/etc/nats")).toBe("root:nats 750");
    expect(await rightsOf("/etc/nats/server.key")).toBe("root:nats 640");
    expect(await rightsOf("/etc/buntracker/nats-password")).toBe("root:buntracker 640");
  });

  test("sets up a server that the next one joins", async () => {
    const text = readFileSync(CONFIG, "utf8");
    expect(text).not.toMatch(/^[^#]*\$NATS/m);
    const cluster = join(home, "cluster");
    const second = text
      .replace(`listen: "${FIRST}:6222"`, `listen: "${SECOND}:6222"`)
      .replace('"/etc/nats/server.crt"', `"${cluster}/${SECOND}.crt"`)
      .replace('"/etc/nats/server.key"', `"${cluster}/${SECOND}.key"`);
    expect(second).not.toBe(text);
    writeFileSync(join(home, "second.conf"), second);
    const command = ["/usr/sbin/nats-server", "-c", join(home, "second.conf"), "-p", "4223"];
    const server = Bun.spawn([...command, "-m", "8223"], { stdio: ["ignore", "ignore", "ignore"] });
    try {
      await until(async () => {
        const answer = await fetch("http://127.0.0.1:8223/routez").catch(() => undefined);
        const { num_routes: routes } = ((await answer?.json()) ?? {}) as { num_routes?: number };
        return routes !== undefined && routes > 0;
      }, PAUSE_MILLISECONDS);
    } finally {
      server.kill();
      await server.exited;
    }
  });
});
