/**
 * The package of Debian, from the first install to the purge, under systemd as process 1: `make
 * test-packages` runs this on a machine of its own.
 *
 * The tests are one story: each goes on where the one before it has ended.
 */
import { describe, expect, test } from "bun:test";
import { appendFileSync, cpSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

import {
  askedMeanwhile,
  exists,
  packageOf,
  PACKAGES,
  PORT,
  programOf,
  property,
  rightsOf,
  run,
  SETTINGS_FILE,
  socketsOnPort,
  statusOf,
  Swarms,
  traces,
  untilReady,
  VERSION_BEFORE,
} from "./installed.ts";

const ROOT = resolve(import.meta.dir, "../..");
const EXPOSURE_MAX = 2.0;
/** CAP_NET_BIND_SERVICE [capabilities(7)]. */
const BIND_SERVICE = (1 << 10).toString(16).padStart(16, "0");
const SECRET = "the-same-over-every-restart-of-this-test";

/** Installs a package; settings that the operator has changed stay, as with unattended upgrades. */
async function install(version: "now" | "before"): Promise<string> {
  return await run("dpkg", "--force-confold", "--install", packageOf(version, "_amd64.deb"));
}

const swarms = new Swarms();

describe.skipIf(PACKAGES === undefined)("the package of Debian", () => {
  let before: string[] = [];
  let rmemMax = "";

  test("starts the tracker as its own user, which can bind low ports and no more", async () => {
    before = await traces();
    rmemMax = readFileSync("/proc/sys/net/core/rmem_default", "utf8");
    await install("before");
    await untilReady();
    const pid = await property("MainPID");
    expect(programOf(pid)).toBe("/usr/bin/buntracker");
    const uid = await run("id", "-u", "buntracker");
    expect(statusOf(pid, "Uid")).toBe([uid, uid, uid, uid].join(" "));
    expect(statusOf(pid, "CapBnd")).toBe(BIND_SERVICE);
    expect(statusOf(pid, "NoNewPrivs")).toBe("1");
    expect(await run("systemctl", "is-enabled", "buntracker")).toBe("enabled");
    expect(await run("getent", "passwd", "buntracker")).toEndWith(
      ":/var/lib/buntracker:/usr/sbin/nologin",
    );
  });

  test("gives each file the rights it needs", async () => {
    expect(await rightsOf("/usr/bin/buntracker")).toBe("root:root 755");
    expect(await rightsOf(SETTINGS_FILE)).toBe("root:root 640");
    expect(await rightsOf("/var/lib/buntracker")).toBe("buntracker:buntracker 750");
    expect(await rightsOf("/run/buntracker")).toBe("buntracker:buntracker 750");
    expect(await run("dpkg", "--verify", "buntracker")).toBe("");
  });

  test("brings a unit in which systemd finds no fault, its manual page among it", async () => {
    const unit = await property("FragmentPath");
    expect(unit).toEndWith("/lib/systemd/system/buntracker.service");
    expect(await run("systemd-analyze", "verify", unit)).toBe("");
    const table = await run("systemd-analyze", "security", "--offline=true", unit);
    const exposure = /exposure level for buntracker.service: ([\d.]+)/.exec(table)![1];
    expect(Number(exposure)).toBeLessThanOrEqual(EXPOSURE_MAX);
  });

  test("brings the manual page and the completions of three shells", async () => {
    expect(await run("man", "--where", "8", "buntracker")).toBe(
      "/usr/share/man/man8/buntracker.8.gz",
    );
    const completion = "/usr/share/bash-completion/completions/buntracker";
    expect(await run("bash", "-c", `. ${completion} && complete -p buntracker`)).toContain("-F");
    expect(exists("/usr/share/zsh/vendor-completions/_buntracker")).toBe(true);
    expect(exists("/usr/share/fish/vendor_completions.d/buntracker.fish")).toBe(true);
  });

  test("brings the sysctl file as an example that no boot applies", async () => {
    const path = "/usr/share/doc/buntracker/dist/sysctl/60-buntracker.conf";
    expect(exists(path)).toBe(true);
    expect(readFileSync("/proc/sys/net/core/rmem_default", "utf8")).toBe(rmemMax);
    expect((await run("systemd-analyze", "cat-config", "sysctl.d")).includes("buntracker")).toBe(
      false,
    );
  });

  test("answers as the binary of the release does", async () => {
    const health = `set -a; . ${SETTINGS_FILE}; exec buntracker health`;
    expect(await run("sh", "-c", health)).toContain("ok");
    const report = await run("buntracker", "selftest", `udp://127.0.0.1:${PORT}/announce`);
    expect(report).not.toContain("bad");
  });

  test("is upgraded without loss: edited settings, swarms, sockets, requests", async () => {
    appendFileSync(
      SETTINGS_FILE,
      `TRACKER_SNAPSHOT_FILE=/var/lib/buntracker/swarms\nTRACKER_UDP_SECRET=${SECRET}\n`,
    );
    const edited = readFileSync(SETTINGS_FILE, "utf8");
    await run("systemctl", "restart", "buntracker");
    await untilReady();
    await swarms.announce();
    const [pid, sockets] = [await property("MainPID"), socketsOnPort()];
    expect(await run("dpkg-query", "--show", "--showformat=${Version}", "buntracker")).toBe(
      VERSION_BEFORE,
    );

    const { sent, answered } = await askedMeanwhile(() => install("now"));
    await untilReady();

    expect(await property("MainPID")).not.toBe(pid);
    expect(socketsOnPort()).toEqual(sockets);
    expect(sent).toBeGreaterThan(10);
    expect(answered).toBe(sent);
    expect(await swarms.sizes()).toEqual(swarms.expected);
    expect(readFileSync(SETTINGS_FILE, "utf8")).toBe(edited);
    // The new example lies beside it, since it has changed as well.
    expect(exists(`${SETTINGS_FILE}.dpkg-dist`)).toBe(true);
    expect(await rightsOf("/var/lib/buntracker/swarms")).toBe("buntracker:buntracker 600");
  });

  test("leaves a service alone that the operator has disabled", async () => {
    await run("systemctl", "disable", "--now", "buntracker");
    await install("now");
    expect(await property("ActiveState")).toBe("inactive");
    expect(await run("sh", "-c", "systemctl is-enabled buntracker || :")).toBe("disabled");
    await run("systemctl", "enable", "--now", "buntracker");
    await untilReady();
  });

  test("is removed with the process, and keeps settings and swarms", async () => {
    const pid = await property("MainPID");
    await run("dpkg", "--remove", "buntracker");
    expect(exists(`/proc/${pid}`)).toBe(false);
    expect(socketsOnPort()).toEqual([]);
    expect(await property("LoadState")).toBe("not-found");
    expect(exists("/usr/bin/buntracker")).toBe(false);
    expect(readFileSync(SETTINGS_FILE, "utf8")).toContain(SECRET);
    expect(exists("/var/lib/buntracker/swarms")).toBe(true);
  });

  test("is purged without a trace", async () => {
    await run("dpkg", "--purge", "buntracker");
    expect(await traces()).toEqual(before);
  });

  test("takes over from an archive the swarms that belong to a dynamic user", async () => {
    const byHand = "/etc/systemd/system/buntracker.service";
    cpSync(packageOf("now", "buntracker"), "/usr/local/bin/buntracker");
    cpSync(join(ROOT, "dist/systemd/buntracker.service"), byHand);
    await run("install", "-d", "/etc/buntracker");
    appendFileSync(
      SETTINGS_FILE,
      `TRACKER_SNAPSHOT_FILE=/var/lib/buntracker/swarms\nTRACKER_UDP_SECRET=${SECRET}\n`,
    );
    await run("systemctl", "daemon-reload");
    await run("systemctl", "enable", "--now", "buntracker");
    await untilReady();
    await swarms.announce();

    expect(await install("now")).toContain(`${byHand} hides the unit of this package`);
    await untilReady();
    expect(programOf(await property("MainPID"))).toBe("/usr/local/bin/buntracker");
    const sockets = socketsOnPort();
    rmSync(byHand);
    rmSync("/usr/local/bin/buntracker");
    await run("systemctl", "daemon-reload");
    await run("systemctl", "restart", "buntracker");
    await untilReady();

    expect(programOf(await property("MainPID"))).toBe("/usr/bin/buntracker");
    expect(socketsOnPort()).toEqual(sockets);
    expect(await swarms.sizes()).toEqual(swarms.expected);
    expect(await rightsOf("/var/lib/buntracker/swarms")).toBe("buntracker:buntracker 600");
    await run("dpkg", "--purge", "buntracker");
    expect(await traces()).toEqual(before);
  });
});
