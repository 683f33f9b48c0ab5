/**
 * The packages for rpm and for pacman, installed, upgraded and removed by Debian's builds of these
 * programs under systemd as process 1: `make test-packages` runs this on a machine of its own.
 *
 * Dependencies are not looked at, since a Debian has neither database of packages. The tests of a
 * format are one story: each goes on where the one before it has ended.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, rmSync } from "node:fs";

import {
  askedMeanwhile,
  exists,
  packageOf,
  PACKAGES,
  programOf,
  property,
  rightsOf,
  run,
  SETTINGS_FILE,
  socketsOnPort,
  statusOf,
  Swarms,
  untilReady,
} from "./installed.ts";

/** What differs between the two. */
interface Format {
  /** Makes of the Debian what the program expects. */
  prepare: () => Promise<string>;
  ending: string;
  install: (path: string) => Promise<string>;
  upgrade: (path: string) => Promise<string>;
  remove: () => Promise<string>;
  /** The paths that the database has for the package. */
  list: () => Promise<string>;
  /** Where the new example of settings is put beside settings that were changed. */
  newSettings: string;
  /** The settings after a removal: rpm keeps those that were changed under another name. */
  oldSettings: string;
  restartsOnUpgrade: boolean;
}

const NO_QUESTIONS = ["--noconfirm", "--nodeps", "--nodeps", "--noprogressbar"];

/** Installs or upgrades; on Arch a hook of systemd then makes it read the units again. */
async function pacmanInstall(path: string): Promise<string> {
  const said = await run("pacman", "--upgrade", ...NO_QUESTIONS, path);
  await run("systemctl", "daemon-reload");
  return said;
}

const FORMATS: Record<string, Format> = {
  rpm: {
    prepare: () => run("rpm", "--initdb"),
    ending: ".x86_64.rpm",
    install: (path) => run("rpm", "--install", "--nodeps", "--force-debian", path),
    upgrade: (path) => run("rpm", "--upgrade", "--nodeps", "--force-debian", path),
    remove: () => run("rpm", "--erase", "buntracker"),
    list: () => run("rpm", "--query", "--list", "buntracker"),
    newSettings: ".rpmnew",
    oldSettings: ".rpmsave",
    restartsOnUpgrade: true,
  },
  pacman: {
    // Its scripts are written for bash, which is sh on Arch.
    prepare: () => run("sh", "-c", "mkdir -p /var/lib/pacman && ln -sf bash /usr/bin/sh"),
    ending: "-x86_64.pkg.tar.zst",
    install: pacmanInstall,
    upgrade: pacmanInstall,
    remove: () => run("pacman", "--remove", "--noconfirm", "buntracker"),
    list: () => run("pacman", "--query", "--list", "--quiet", "buntracker"),
    newSettings: ".pacnew",
    oldSettings: ".pacsave",
    restartsOnUpgrade: false,
  },
};

describe.skipIf(PACKAGES === undefined)("the package for", () => {
  describe.each(Object.entries(FORMATS))("%s", (_name, format) => {
    const swarms = new Swarms();

    afterAll(async () => {
      // What is left by design, so that the next format begins without it.
      await run("userdel", "buntracker");
      rmSync("/var/lib/buntracker", { recursive: true });
      rmSync("/etc/buntracker", { recursive: true });
    });

    test("makes the user, and starts nothing before the operator does", async () => {
      await format.prepare();
      await format.install(packageOf("before", format.ending));
      expect(await property("ActiveState")).toBe("inactive");
      expect(await run("getent", "passwd", "buntracker")).toMatch(/nologin$/);
      expect(await rightsOf(SETTINGS_FILE)).toBe("root:root 640");
      expect(await rightsOf("/usr/bin/buntracker")).toBe("root:root 755");
      const paths = await format.list();
      expect(paths).toContain("/usr/share/man/man8/buntracker.8.gz");
      expect(paths).toContain("/usr/share/zsh/site-functions/_buntracker");
      expect(paths).not.toContain("/sysctl.d/");
      expect(await run("systemd-analyze", "verify", await property("FragmentPath"))).toBe("");
      await run("systemctl", "enable", "--now", "buntracker");
      await untilReady();
      const [pid, uid] = [await property("MainPID"), await run("id", "-u", "buntracker")];
      expect(programOf(pid)).toBe("/usr/bin/buntracker");
      expect(statusOf(pid, "Uid")).toBe([uid, uid, uid, uid].join(" "));
    });

    test("is upgraded without loss: edited settings, swarms, sockets, requests", async () => {
      appendFileSync(SETTINGS_FILE, `TRACKER_SNAPSHOT_FILE=/var/lib/buntracker/swarms\n`);
      appendFileSync(SETTINGS_FILE, `TRACKER_UDP_SECRET=${"s".repeat(32)}\n`);
      const edited = readFileSync(SETTINGS_FILE, "utf8");
      await run("systemctl", "restart", "buntracker");
      await untilReady();
      await swarms.announce();
      const [pid, sockets] = [await property("MainPID"), socketsOnPort()];

      const { sent, answered } = await askedMeanwhile(async () => {
        await format.upgrade(packageOf("now", format.ending));
        expect((await property("MainPID")) !== pid).toBe(format.restartsOnUpgrade);
        if (!format.restartsOnUpgrade) await run("systemctl", "restart", "buntracker");
      });
      await untilReady();

      expect(await property("MainPID")).not.toBe(pid);
      expect(socketsOnPort()).toEqual(sockets);
      expect(answered).toBe(sent);
      expect(await swarms.sizes()).toEqual(swarms.expected);
      expect(readFileSync(SETTINGS_FILE, "utf8")).toBe(edited);
      expect(exists(`${SETTINGS_FILE}${format.newSettings}`)).toBe(true);
    });

    test("is removed with the process, and keeps changed settings and swarms", async () => {
      const pid = await property("MainPID");
      await format.remove();
      expect(exists(`/proc/${pid}`)).toBe(false);
      expect(socketsOnPort()).toEqual([]);
      expect(exists("/usr/bin/buntracker")).toBe(false);
      const enabled = "/etc/systemd/system/multi-user.target.wants/buntracker.service";
      expect(exists(enabled)).toBe(false);
      expect(exists(`${SETTINGS_FILE}${format.oldSettings}`)).toBe(true);
      expect(exists("/var/lib/buntracker/swarms")).toBe(true);
    });
  });
});
