/**
 * The service in the package of Alpine, run by Debian's OpenRC with the binary for glibc, on the
 * machine of `make test-packages`. Its process 1 is systemd all the same; OpenRC is told that it
 * has booted. The tests are one story: each goes on where the one before it has ended.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import {
  exists,
  packageOf,
  PACKAGES,
  programOf,
  rightsOf,
  run,
  SETTINGS_FILE,
  statusOf,
  Swarms,
  untilReady,
} from "./installed.ts";

const SERVICE = "/etc/init.d/buntracker";
const FILES = ["/usr/bin/buntracker", SERVICE, "/var/log/buntracker.log", dirname(SETTINGS_FILE)];
const FOLDERS = ["/var/lib/buntracker", "/run/buntracker"];
const swarms = new Swarms();

/** Runs the service's script, without the services that it needs. */
async function service(verb: string): Promise<string> {
  return await run(SERVICE, "--nodeps", verb);
}

async function trackerPid(): Promise<string> {
  return await run("pgrep", "--exact", "buntracker");
}

describe.skipIf(PACKAGES === undefined)("the service of OpenRC", () => {
  beforeAll(async () => {
    const folder = join(PACKAGES!, "openrc");
    await run("sh", "-c", `dpkg --force-depends --install ${folder}/*.deb`);
    mkdirSync("/run/openrc", { recursive: true });
    writeFileSync("/run/openrc/softlevel", "");
    await run("useradd", "--system", "--user-group", "buntracker");
    cpSync(packageOf("now", "buntracker"), "/usr/bin/buntracker");
    // The last part of the package, with this file in it.
    const apk = packageOf("now", "_x86_64.apk");
    await run(
      "tar",
      "-xzf",
      apk,
      "--warning=no-unknown-keyword",
      "-C",
      "/",
      "etc/init.d/buntracker",
    );
    mkdirSync(dirname(SETTINGS_FILE));
    writeFileSync(
      SETTINGS_FILE,
      "TRACKER_SNAPSHOT_FILE=/var/lib/buntracker/swarms\n" +
        "TRACKER_UDP_ADDRESS=127.0.0.1:6969,127.0.0.1:80\n",
    );
  });

  afterAll(async () => {
    await service("stop");
    await run("dpkg", "--force-depends", "--purge", "openrc", "librc1", "libeinfo1");
    await run("userdel", "buntracker");
    for (const path of [...FILES, ...FOLDERS]) rmSync(path, { recursive: true, force: true });
  });

  test("starts the tracker, which becomes its user once it has a port below 1024", async () => {
    await service("start");
    await untilReady();
    const pid = await trackerPid();
    const uid = await run("id", "-u", "buntracker");
    expect(statusOf(pid, "Uid")).toBe([uid, uid, uid, uid].join(" "));
    expect(statusOf(pid, "CapEff")).toBe("0".repeat(16));
    expect(programOf(pid)).toBe("/usr/bin/buntracker");
    expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/^Max core file size +0 +0 /m);
    expect(readFileSync("/var/log/buntracker.log", "utf8")).toContain("udp://127.0.0.1:80");
    for (const folder of FOLDERS) expect(await rightsOf(folder)).toBe("buntracker:buntracker 750");
  });

  test("reads lists again, and keeps swarms over a stop and a start", async () => {
    await service("reload");
    await swarms.announce();
    const pid = await trackerPid();
    // A restart of OpenRC 0.45 marks any service as stopped that it has started.
    await service("stop");
    expect(exists(`/proc/${pid}`)).toBe(false);
    await Bun.sleep(1000);
    await service("start");
    await untilReady();
    expect(await trackerPid()).not.toBe(pid);
    expect(await swarms.sizes()).toEqual(swarms.expected);
    expect(readFileSync("/var/log/buntracker.log", "utf8")).toContain("msg=reloaded");
  });

  test("ends it, and does not start it with wrong settings", async () => {
    const pid = await trackerPid();
    await service("stop");
    expect(exists(`/proc/${pid}`)).toBe(false);
    await Bun.sleep(1000);
    appendFileSync(SETTINGS_FILE, "TRACKER_NONSENSE=1\n");
    await expect(service("start")).rejects.toThrow("TRACKER_NONSENSE is not a setting");
    await expect(service("configtest")).rejects.toThrow("TRACKER_NONSENSE is not a setting");
  });

  test("tries NATS servers when its settings are tested, and not before a start", async () => {
    writeFileSync(SETTINGS_FILE, "TRACKER_CLUSTER_URL=nats://127.0.0.1:1\n");
    expect(await service("configtest")).toContain("start a NATS server at 127.0.0.1:1");
    expect(await service("start")).not.toContain("start a NATS server");
    await untilReady();
  });

  test("starts the tracker again when it has died", async () => {
    const pid = await trackerPid();
    process.kill(Number(pid), "SIGKILL");
    while (exists(`/proc/${pid}`)) await Bun.sleep(20);
    await untilReady();
    expect(await trackerPid()).not.toBe(pid);
  });
});
